//! How one lifecycle state of a simulated instance leads to the next.

use super::group_behavior::Hook;
use super::instance::{Env, SimInstance, later};
use super::phase::Phase;
use super::random::Random;
use super::target::Target;
use crate::domain::span::Time;

/// How long the steps take that only hand on.
const PROCEED_S: u32 = 2;

impl Hook {
    /// When its turn ends, and whether it was abandoned.
    fn wait(self, now: Time, random: &mut Random) -> (Time, bool) {
        match self.answer.map(|answer| random.within(answer)).filter(|answer| *answer < self.heartbeat) {
            Some(answer) => (later(now, answer), false),
            None => (later(now, self.heartbeat), self.abandons),
        }
    }
}

impl SimInstance {
    /// Its phase has come to its end. False when it has vanished.
    pub(super) fn proceed(&mut self, env: &Env<'_>, random: &mut Random) -> bool {
        let (now, behavior) = (env.now, env.behavior);
        match self.phase {
            Phase::Pending { .. } => match behavior.launch_hook {
                Some(hook) => {
                    let (until, abandoned) = hook.wait(now, random);
                    self.phase = Phase::PendingWait { until, abandoned };
                }
                None => self.enter_service(env, random),
            },
            Phase::PendingWait { abandoned: true, .. } => self.terminate(env, random),
            Phase::PendingWait { abandoned: false, .. } => {
                self.phase = Phase::PendingProceed { until: later(now, PROCEED_S) };
            }
            Phase::PendingProceed { .. } => self.enter_service(env, random),
            Phase::Terminating { .. } => {
                self.targets.fill(Target::Unregistered);
                match behavior.terminate_hook {
                    Some(hook) => {
                        let (until, abandoned) = hook.wait(now, random);
                        self.phase = Phase::TerminatingWait { until, abandoned };
                    }
                    None => self.vanish(env, random),
                }
            }
            Phase::TerminatingWait { abandoned: true, .. } if behavior.retains => self.phase = Phase::Retained,
            Phase::TerminatingWait { .. } => self.vanish(env, random),
            Phase::TerminatingProceed { .. } | Phase::Detaching { .. } => return false,
            Phase::EnteringStandby { .. } => {
                self.targets.fill(Target::Unregistered);
                self.phase = Phase::Standby;
            }
            Phase::ReplacingRootVolume { .. } => self.enter_service(env, random),
            Phase::InService | Phase::Retained | Phase::Standby => {}
        }
        true
    }

    fn vanish(&mut self, env: &Env<'_>, random: &mut Random) {
        self.phase = Phase::TerminatingProceed { until: later(env.now, random.within(env.behavior.vanish)) };
    }

    /// Out of the load balancers; returns when the deregistration delay ends.
    fn drain(&mut self, env: &Env<'_>) -> Time {
        let mut delay = 0;
        for target in &mut self.targets {
            if target.is_registered() {
                *target = Target::Draining;
                delay = env.behavior.drain;
            }
        }
        (self.dies_at, self.marked_at) = (None, None);
        later(env.now, delay)
    }

    /// Out of the load balancers, then the hook, then gone. A retained one goes at once.
    pub fn terminate(&mut self, env: &Env<'_>, random: &mut Random) {
        match self.phase {
            Phase::Retained => self.vanish(env, random),
            _ => self.phase = Phase::Terminating { until: self.drain(env) },
        }
    }

    pub fn stand_by(&mut self, env: &Env<'_>) {
        self.phase = Phase::EnteringStandby { until: self.drain(env) };
    }

    /// Back from standby: hooks do not fire.
    pub fn return_to_service(&mut self, env: &Env<'_>) {
        self.phase = Phase::PendingProceed { until: later(env.now, PROCEED_S) };
    }

    pub fn detach(&mut self, env: &Env<'_>) {
        self.phase = Phase::Detaching { until: self.drain(env) };
    }

    /// A refresh of the disk in place: the same instance, out of service for a while.
    pub fn replace_root_volume(&mut self, env: &Env<'_>, random: &mut Random) {
        self.targets.fill(Target::Unregistered);
        self.phase = Phase::ReplacingRootVolume { until: later(env.now, random.within(env.behavior.boot)) };
    }
}
