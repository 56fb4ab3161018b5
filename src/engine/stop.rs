//! Why the engine cannot go on.

use crate::domain::regeneration::Illegal;
use crate::engine::ports::JournalError;

/// Why the loop cannot go on. AWS is not touched after this.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Stop {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal contradicts itself: {0}. This is a bug or a damaged journal; nothing more is done")]
    Illegal(#[from] Illegal),
    #[error("change detection did not converge for {0}. This is a bug; nothing more is done")]
    DetectionDiverged(String),
}
