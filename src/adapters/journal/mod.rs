//! The journal on disk, and what is asked of it.

mod dir;
pub mod history;
pub mod lock;
pub mod query;
pub mod sqlite;
