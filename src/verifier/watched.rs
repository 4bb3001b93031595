//! A key set in a file that someone else writes.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::fetch_error::FetchError;
use super::fetched::Fetched;
use crate::disk;
use crate::jose::{KeySet, LONGEST_DOCUMENT};
use crate::transport::REQUEST_DEADLINE;

/// The file, and what was good in it last.
///
/// It is read whole at each look, and compared: times and sizes of files miss a change that comes
/// soon after another, and reading costs less than telling when they can be relied on.
pub(super) struct WatchedFile {
    path: PathBuf,
    last: Option<Vec<u8>>,
}

impl WatchedFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, last: None }
    }

    pub(super) async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        let document = read(&self.path, LONGEST_DOCUMENT)
            .await
            .map_err(|error| FetchError::File(error.kind()))?;
        let is_same = self.last.as_ref() == Some(&document);
        let keys = match is_same {
            true => None,
            false => {
                let keys = KeySet::from_json(&document).map_err(FetchError::KeySet)?;
                self.last = Some(document.clone());
                Some((keys, document))
            }
        };
        Ok(Fetched {
            keys,
            fresh_for: None,
        })
    }
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// What `path` holds; more than `most` is an error.
pub(super) async fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    on_disk(move || {
        let mut options = OpenOptions::new();
        options.read(true);
        disk::without_waiting(&mut options);
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut content = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut content)?;
        match content.len() > most {
            true => Err(ErrorKind::FileTooLarge.into()),
            false => Ok(content),
        }
    })
    .await?
}

/// Does `work` where waiting for a disk holds nobody up. One that does not answer is given up: the
/// keys are worth more than the file.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let work = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(REQUEST_DEADLINE, work).await {
        Ok(done) => done.map_err(io::Error::other),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::scripted::Folder;

    #[tokio::test]
    async fn only_small_regular_files_are_read() {
        let folder = Folder::new("watched-read");
        let path = folder.write("file", "12345");
        assert_eq!(read(&path, 5).await.unwrap(), b"12345");
        let kind = async |path: &Path, most| read(path, most).await.unwrap_err().kind();
        assert_eq!(kind(&path, 4).await, ErrorKind::FileTooLarge);
        assert_eq!(kind(folder.as_ref(), 5).await, ErrorKind::InvalidInput);
        assert_eq!(kind(&folder.path("absent"), 5).await, ErrorKind::NotFound);
        #[cfg(unix)]
        assert_eq!(
            kind(Path::new("/dev/zero"), 5).await,
            ErrorKind::InvalidInput
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_answer_is_given_up() {
        let (answer, waits) = std::sync::mpsc::channel::<()>();
        let waiting = tokio::spawn(on_disk(move || waits.recv()));
        tokio::task::yield_now().await;
        tokio::time::advance(2 * REQUEST_DEADLINE).await;
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(answer);
    }
}
