//! The pure core: what was seen, what is wanted, what is remembered, and the decision. No clock, no files, no network.

pub mod action;
pub mod activity;
pub mod capacity;
pub mod change_detection;
pub mod decision;
pub mod forecast;
pub mod group;
pub mod health_tracker;
pub mod journal;
pub mod kind;
pub mod lease;
pub mod opening;
pub mod pause;
pub mod policy;
pub mod regeneration;
pub mod schedule;
pub mod span;
pub mod veto;
