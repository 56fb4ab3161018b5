//! What each kind of entry has of its own: one struct for each kind, or for kinds that say the same of different things.

pub use call::*;
pub use instance::*;
pub use regeneration::*;

mod call;
mod instance;
mod regeneration;
