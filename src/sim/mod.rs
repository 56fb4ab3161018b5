//! AWS's half, simulated: groups that boot, heal, drain and balance in virtual time, other people's hands, and faults.
//! Pure like the domain: the same seed always tells the same story.

pub mod call;
pub mod checkers;
pub mod event;
pub mod fault;
pub mod group;
pub mod instance;
pub mod nature;
pub mod race;
pub mod random;
pub mod world;
