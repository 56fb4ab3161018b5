//! The journal's unit: an [`Entry`] is an envelope, the same for all, and an [`Event`] with what only its kind has.

pub use conclusion::Conclusion;
pub use entry::{Entry, Trigger, VERSION};
pub use event::{Event, Kind, UnknownKind};
pub use facts::OUTCOMES;
pub use payload::*;
pub use schema::schema;

mod conclusion;
mod entry;
mod event;
mod facts;
pub mod micros;
mod payload;
mod schema;
