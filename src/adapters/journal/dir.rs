//! The state directory: made where it is missing, and refused with the reason and the remedy.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use crate::engine::ports::JournalError;

/// Makes sure that the directory is there and may be written to.
///
/// # Errors
/// It is not, and cannot be made so.
pub(super) fn ensure(dir: &Path) -> Result<(), JournalError> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            let message = "it is not a directory: pass another --state-dir".to_owned();
            return Err(JournalError::StateDir { path: dir.display().to_string(), message });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir)?,
        Err(error) => return Err(refuse(dir, &error.to_string())),
    }
    // Asked for rather than tried, so that a refusal leaves nothing behind.
    accessat(CWD, dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|error| refuse(dir, &format!("it cannot be written to: {}", io::Error::from(error))))
}

fn create(dir: &Path) -> Result<(), JournalError> {
    // The journal names hosts and people: only its owner lets others in.
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        let remedy = "create it for that uid, or pass another --state-dir";
        refusal(dir, &format!("it cannot be created: {error}"), remedy)
    })?;
    // A directory that a power cut forgets takes the first entries with it.
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

/// Says whose the path is and who asks, because that is what the remedy depends on.
pub(super) fn refuse(path: &Path, what: &str) -> JournalError {
    refusal(path, what, "run regend as that user, give it access, or pass another --state-dir")
}

fn refusal(path: &Path, what: &str, remedy: &str) -> JournalError {
    let uid = rustix::process::geteuid().as_raw();
    let whose = match nearest(path) {
        Some((path, found)) => {
            format!("{} belongs to uid {} with mode {:04o}", path.display(), found.uid(), found.mode() & 0o7777)
        }
        None => "nothing on the way to it can be seen".to_owned(),
    };
    let message = format!("{what}. This is uid {uid}; {whose}: {remedy}");
    JournalError::StateDir { path: path.display().to_string(), message }
}

fn nearest(path: &Path) -> Option<(PathBuf, Metadata)> {
    path.ancestors().find_map(|path| fs::metadata(path).ok().map(|found| (path.to_path_buf(), found)))
}

/// How much room is left where the directory is, in bytes.
pub(super) fn room(dir: &Path) -> Option<u64> {
    statvfs(dir).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize))
}
