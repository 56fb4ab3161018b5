//! What must hold for any bytes: one function for each kind of outside input, called by the fuzzer and by the tests.

mod audit;
mod config;
mod decision;
mod draw;
mod entries;
mod journal;
mod lease;
mod schedule;
mod values;

pub use audit::audit;
pub use config::config;
pub use decision::decision;
pub use entries::entries;
pub use journal::journal;
pub use lease::lease;
pub use schedule::schedule;
pub use values::values;

/// What holds for some bytes, or panics.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders in `corpus`.
pub const TARGETS: [(&str, Target); 8] = [
    ("audit", audit),
    ("schedule", schedule),
    ("config", config),
    ("decision", decision),
    ("entries", entries),
    ("journal", journal),
    ("lease", lease),
    ("values", values),
];

/// Waits for what another thread may have to answer.
fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A directory of one's own: in memory where there is such a place, because SQLite waits for the disk.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory for the journal")
}

/// What a person reads is one line, and nothing in it moves the cursor.
#[track_caller]
fn assert_readable(text: &str) {
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "not fit for a terminal: {text:?}");
}
