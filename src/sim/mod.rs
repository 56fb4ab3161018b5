//! AWS's half, simulated: groups that boot, heal, drain and balance in virtual time, other people's hands, and faults.
//! Pure like the domain: the same seed always tells the same story.

mod activity;
pub mod ambiguity;
mod balance;
pub mod bucket;
pub mod call;
pub mod checkers;
pub mod event;
pub mod fault;
pub mod group;
pub mod group_behavior;
mod harm;
pub mod history;
pub mod instance;
mod ledger;
mod lifecycle;
pub mod phase;
mod pool;
pub mod random;
mod refresh;
pub mod scaling;
pub mod scaling_policy;
pub mod script;
pub mod target;
mod weights;
pub mod world;
