//! The warm pool of a simulated group: as many instances beside it as max size leaves above desired capacity.

use super::group::SimGroup;
use super::group_behavior::Image;
use super::instance::{Env, Origin, SimInstance};
use super::phase::Phase;
use super::random::Random;
use super::target::Target;
use crate::domain::group::Zone;
use crate::domain::span::Time;

/// How soon a prepared instance is in the group, in seconds.
const START: (u32, u32) = (5, 15);

impl SimGroup {
    fn pool_size(&self) -> usize {
        if self.behavior.warm_pool && self.behavior.prepares {
            self.max.saturating_sub(self.desired) as usize
        } else {
            0
        }
    }

    pub(super) fn pool_differs(&self) -> bool {
        let (is, should) = (self.pool.len(), self.pool_size());
        is > should || (is < should && self.runs("Launch") && self.zones.iter().any(|zone| self.has_capacity(zone)))
    }

    /// One at a time, as the group does everything.
    pub(super) fn fill_pool(&mut self, now: Time) {
        if self.pool.len() > self.pool_size() {
            self.pool.pop();
        } else if let Some(zone) = self.roomiest() {
            let prepared = self.boot(now, zone, Origin::Group);
            self.pool.push(prepared);
        }
    }

    /// A prepared instance of that zone enters the group: no younger for it.
    pub(super) fn take_from_pool(&mut self, now: Time, zone: &Zone) -> Option<SimInstance> {
        let ready = |i: &SimInstance| &i.zone == zone && i.phase.until().is_none_or(|until| until <= now);
        let n = self.pool.iter().position(ready)?;
        let mut instance = self.pool.swap_remove(n);
        self.in_env(now, |env, random| instance.start(env, random));
        Some(instance)
    }

    /// What leaves the group goes back to the pool, where it is reused.
    pub(super) fn put_back(&mut self, mut instance: SimInstance) {
        let went = matches!(instance.phase, Phase::TerminatingProceed { .. });
        if self.behavior.reuses && went && self.pool.len() < self.pool_size() && instance.healthy {
            instance.phase = Phase::Standby;
            (instance.ended, instance.served) = (None, false);
            instance.targets.fill(Target::Unregistered);
            self.pool.push(instance);
        }
    }
}

impl SimInstance {
    fn start(&mut self, env: &Env<'_>, random: &mut Random) {
        let boot = match self.image_health {
            Image::NeverInService => Time::MAX_UTC,
            Image::Good | Image::NeverHealthy | Image::Dies(_) => super::instance::later(env.now, random.within(START)),
        };
        self.phase = Phase::Pending { until: boot };
        self.first_served = None;
    }
}
