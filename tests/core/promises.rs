//! The promises, each in scenarios that a person can read: what is given, what happens meanwhile, what is kept.
//! Every scenario is watched by the checkers of `sim::checkers` from its first call to its last.

use regend::domain::policy::Policy;
use regend::sim::group_behavior::GroupBehavior;

use crate::scene::{Scene, policy, shape};

mod crash;
mod failure;
mod faults;
mod found;
mod hosts;
mod others;
mod scaled;
mod size;
mod ways;

fn plain() -> Scene {
    Scene::new(shape(2, 4, 10), GroupBehavior::default(), policy())
}

fn with(behavior: GroupBehavior) -> Scene {
    Scene::new(shape(2, 4, 10), behavior, policy())
}

fn under(policy: Policy) -> Scene {
    Scene::new(shape(2, 4, 10), GroupBehavior::default(), policy)
}
