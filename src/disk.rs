//! Files of our own on disk: private from their creation, replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

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
