//! The lifecycle states of a simulated member, and how one leads to the next.

use super::group_behavior::Hook;
use super::instance::{Env, SimInstance, later};
use super::random::Random;
use super::target::Target;
use crate::domain::group::Lifecycle;
use crate::domain::span::Time;

/// AWS's `LifecycleState`, with when it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending {
        until: Time,
    },
    /// `Pending:Wait`: the launch hook has its turn, and may give it up.
    PendingWait {
        until: Time,
        abandoned: bool,
    },
    PendingProceed {
        until: Time,
    },
    InService,
    /// Out of the load balancers first.
    Terminating {
        until: Time,
    },
    /// `Terminating:Wait`: the termination hook has its turn.
    TerminatingWait {
        until: Time,
        abandoned: bool,
    },
    TerminatingProceed {
        until: Time,
    },
    /// `Terminating:Retained`: until somebody terminates it once more.
    Retained,
    EnteringStandby {
        until: Time,
    },
    Standby,
    Detaching {
        until: Time,
    },
    ReplacingRootVolume {
        until: Time,
    },
}

/// How long the steps take that only hand on.
const PROCEED_S: u32 = 2;

impl Phase {
    pub fn until(self) -> Option<Time> {
        match self {
            Self::Pending { until }
            | Self::PendingWait { until, .. }
            | Self::PendingProceed { until }
            | Self::Terminating { until }
            | Self::TerminatingWait { until, .. }
            | Self::TerminatingProceed { until }
            | Self::EnteringStandby { until }
            | Self::Detaching { until }
            | Self::ReplacingRootVolume { until } => Some(until),
            Self::InService | Self::Retained | Self::Standby => None,
        }
    }

    /// Counts towards desired capacity.
    pub fn counts(self) -> bool {
        self.is_pending() || matches!(self, Self::InService | Self::ReplacingRootVolume { .. })
    }

    pub fn is_pending(self) -> bool {
        matches!(self, Self::Pending { .. } | Self::PendingWait { .. } | Self::PendingProceed { .. })
    }

    pub fn is_terminating(self) -> bool {
        matches!(self, Self::Terminating { .. } | Self::TerminatingWait { .. } | Self::TerminatingProceed { .. })
    }

    pub fn is_standby(self) -> bool {
        matches!(self, Self::EnteringStandby { .. } | Self::Standby)
    }

    pub(super) fn lifecycle(self) -> Lifecycle {
        match self {
            Self::Pending { .. } | Self::PendingWait { .. } | Self::PendingProceed { .. } => Lifecycle::Pending,
            Self::InService => Lifecycle::InService,
            Self::Terminating { .. } | Self::TerminatingWait { .. } | Self::TerminatingProceed { .. } => {
                Lifecycle::Terminating
            }
            Self::Retained => Lifecycle::Retained,
            Self::EnteringStandby { .. } | Self::Standby => Lifecycle::Standby,
            Self::Detaching { .. } => Lifecycle::Detaching,
            Self::ReplacingRootVolume { .. } => Lifecycle::ReplacingRootVolume,
        }
    }
}

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
