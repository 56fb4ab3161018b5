//! What people read of an entry and of an instance: sentences and lines of text. Pure.

mod instance_history;
mod sentence;

pub use instance_history::{Line, Timeline, story};
pub use sentence::{OUTCOMES, at, clean, outcome, rough, sentence};
