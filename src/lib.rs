//! regend regenerates infrastructure: it replaces every instance of an Auto Scaling group with a fresh one, verified
//! and recorded. `ARCHITECTURE.md` says how the parts fit.

pub mod domain;
pub mod shell;
pub mod sim;
