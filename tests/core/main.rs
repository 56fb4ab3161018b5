//! The core's tests: pure, in virtual time, without features.

mod calendar;
mod decide;
mod fleet;
mod policy;
mod promises;
mod scene;
mod seeds;
