//! What people read of an entry and of an instance: sentences and lines of text. Pure.

mod instance_history;
mod sentence;
mod text;

pub use instance_history::{Line, Timeline, timeline};
pub use sentence::{lease_of, left_words, messages, sentence};
pub use text::{at, clean, rough};
