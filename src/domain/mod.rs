//! The pure core: what was seen, what is wanted, what is remembered, and the decision. No clock, no files, no network.

pub mod action;
pub mod activity;
pub mod calendar;
pub mod decide;
pub mod entry;
pub mod group;
pub mod lease;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod regeneration;
pub mod span;
pub mod tell;
pub mod veto;
pub mod watch;
