//! Files on disk: a user's are read within bounds; our own are private from their creation, and
//! replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// What a file holds that a user named, perhaps a secret. One that is larger than 16 MiB, or never
/// ends, is an error.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(LARGEST);
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.min(LARGEST) + 1));
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > LARGEST {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// The same, of a file that must be UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let bytes = read(path)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(ErrorKind::InvalidData.into()),
    }
}

const LARGEST: usize = 16 << 20;

/// `path` with more at the end of its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The folder that `path` is in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the folder of `path` where it is missing, for this user alone.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    private_folder(&mut builder);
    builder.create(folder(path))
}

/// Puts `text` in place of what `path` holds. All or nothing, also when the power goes: the new file
/// is on the disk before it gets the name, and the name when this returns.
///
/// `temporary` lies in the same folder. Whoever else writes there at the same time is the caller's
/// concern.
pub(crate) fn replace(path: &Path, text: &[u8], temporary: &Path) -> io::Result<()> {
    let written = write_new(temporary, text).and_then(|()| fs::rename(temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    sync_folder(folder(path))
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private_file(&mut options);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    use rustix::fs::OFlags;

    use super::*;

    pub(super) fn private_folder(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    /// Private from its creation. Links are not followed, and nobody waits for the other end of a
    /// pipe.
    pub(crate) fn private_file(options: &mut OpenOptions) {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }

    /// Links are followed; nobody waits for the other end of a pipe.
    pub(crate) fn without_waiting(options: &mut OpenOptions) {
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }

    /// Whether it is the effective user's.
    pub(crate) fn is_own(what: &Metadata) -> bool {
        what.uid() == rustix::process::geteuid().as_raw()
    }

    /// Whether it is the effective user's or root's.
    pub(crate) fn is_own_or_roots(what: &Metadata) -> bool {
        is_own(what) || what.uid() == ROOT
    }

    const ROOT: u32 = 0;

    /// Whether anyone but its owner, and root, may write to it.
    pub(crate) fn others_may_write(what: &Metadata) -> bool {
        what.mode() & 0o022 != 0
    }

    /// Whether anyone but its owner, and root, may do anything with it.
    pub(crate) fn others_may_open(what: &Metadata) -> bool {
        what.mode() & 0o077 != 0
    }

    pub(crate) fn is_link(error: &io::Error) -> bool {
        error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }

    /// A name that was given is on the disk once its folder is.
    pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
        match File::open(folder)?.sync_all() {
            // Some file systems sync no folders.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }
}

#[cfg(not(unix))]
pub(crate) use other::*;

/// Elsewhere a user's own folders are private by the rights that they inherit.
#[cfg(not(unix))]
mod other {
    use std::fs::Metadata;

    use super::*;

    pub(super) fn private_folder(_: &mut DirBuilder) {}

    pub(crate) fn private_file(_: &mut OpenOptions) {}

    pub(crate) fn without_waiting(_: &mut OpenOptions) {}

    pub(crate) fn is_own(_: &Metadata) -> bool {
        true
    }

    pub(crate) fn is_own_or_roots(_: &Metadata) -> bool {
        true
    }

    pub(crate) fn others_may_write(_: &Metadata) -> bool {
        false
    }

    pub(crate) fn others_may_open(_: &Metadata) -> bool {
        false
    }

    pub(crate) fn is_link(_: &io::Error) -> bool {
        false
    }

    pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_within_bounds() {
        let path = std::env::temp_dir().join(format!("steadfast-disk-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        file.set_len(LARGEST as u64).unwrap();
        let (most, text) = (read(&path), read_text(&path));
        file.set_len(LARGEST as u64 + 1).unwrap();
        let more = read(&path);
        fs::write(&path, b"a\xff").unwrap();
        let (bytes, no_text) = (read(&path), read_text(&path));
        fs::remove_file(&path).unwrap();
        assert_eq!(most.unwrap().len(), LARGEST);
        assert_eq!(text.unwrap().len(), LARGEST);
        assert_eq!(more.unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(bytes.unwrap().as_slice(), b"a\xff");
        assert_eq!(no_text.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
