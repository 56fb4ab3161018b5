//! Other people's hands, and fate: what happens to a simulated group that regend did not do.

use super::activity::By;
use super::group::SimGroup;
use super::group_behavior::Image;
use super::instance::{Env, Origin, SimInstance, Why, later};
use super::phase::Phase;
use super::random::Random;
use super::scaling::target_tracking_alarm;
use super::target;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::kind::CapacityUnit;
use crate::domain::lease;
use crate::domain::span::{Span, Time};

/// How long before it goes a Spot instance's interruption is announced.
const NOTICE_S: u32 = 120;

/// The tag of a managed node group.
const NODE_GROUP: &str = "eks:nodegroup-name";

/// Something that happens to one group at a set time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    SetDesired(u32),
    /// Up or down from whatever it is: a scaling policy.
    Scale(i32),
    SetMin(u32),
    SetMax(u32),
    /// A scheduled action: min, max and desired at once.
    Scheduled(u32, u32, u32),
    /// The instance is dead at once, and AWS notices later.
    Kill(Which),
    /// Target groups find it unhealthy.
    Sicken(Which),
    /// Everything that lives is healthy again.
    Recover,
    /// For so many seconds the load balancers cannot tell who is healthy.
    Unavailable(u32),
    /// A Spot instance is taken back, two minutes from now.
    Interrupt(Which),
    Protect(Which),
    Unprotect,
    /// Into standby, and desired capacity falls with it.
    StandBy(Which),
    /// Into standby, and the group launches another in its place.
    StandByReplaced(Which),
    /// All that are in standby return, and desired capacity rises with them.
    ExitStandby,
    /// Out of the group, alive; whether desired capacity falls with it.
    Detach(Which, bool),
    /// An instance from elsewhere, so many hours old, and desired capacity rises with it.
    Attach(u32),
    /// An instance refresh replaces its disk in place.
    ReplaceRootVolume(Which),
    /// An operator terminates it through Auto Scaling; whether desired capacity falls with it.
    Terminate(Which, bool),
    Suspend(&'static str),
    /// AWS itself suspends it, after a day of failed launches.
    SuspendByAws(&'static str),
    /// All processes.
    Resume,
    /// A tool restores the tags that it knows, and the lease is not among them.
    Untag,
    StartRefresh,
    EndRefresh,
    Shift,
    EndShift,
    /// The listeners of all target groups forward to others from now on.
    ListenerLeaves,
    ListenerReturns,
    /// From now on instances are launched from this.
    Image(Image),
    /// The zone of this number has no capacity.
    DryUp(usize),
    /// It has capacity for so many more.
    Scarce(usize, u32),
    /// All have again.
    Wet,
    /// From now on desired capacity counts this.
    Unit(CapacityUnit),
    /// The group becomes a managed node group of EKS.
    Managed,
    Unmanaged,
    Delete,
}

/// One of the members in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Oldest,
    Newest,
    /// This one of those in service, counted around.
    Nth(usize),
}

impl SimGroup {
    /// Lets it happen.
    pub fn happen(&mut self, now: Time, event: &Event) {
        if self.deleting {
            return;
        }
        let (desired, limits) = (self.desired, (self.wished_min, self.wished_max));
        match event {
            Event::SetDesired(n) => self.wish(now, *n, By::Request),
            Event::Scale(by) if self.runs("AlarmNotification") => {
                self.step_by_policy(now, *by);
                // What others want moved with it already.
                return self.notice(now);
            }
            Event::Scheduled(min, max, desired) if self.runs("ScheduledActions") => {
                self.limit_to(*min.min(max), *max);
                self.wish(now, *desired, By::Schedule(self.min, self.max));
                self.ledger.acted("scheduled action");
            }
            Event::Scale(_) | Event::Scheduled(..) => {}
            Event::SetMin(n) => self.update_limits(now, (*n).min(self.max), self.max),
            Event::SetMax(n) => self.update_limits(now, self.min, (*n).max(self.min)),
            Event::Kill(which) => self.with_member(now, *which, |i, _, _| i.die(now)),
            Event::Sicken(which) => {
                self.with_member(now, *which, |i, env, random| i.sicken(None, target::FAILED, env, random));
            }
            Event::Recover => self.members.iter_mut().for_each(|i| i.recover(now)),
            Event::Unavailable(seconds) => self.unavailable_until = Some(later(now, *seconds)),
            Event::Interrupt(which) => self.interrupt(now, *which),
            Event::Protect(which) => self.with_member(now, *which, |i, _, _| i.protected = true),
            Event::Unprotect => self.members.iter_mut().for_each(|i| i.protected = false),
            Event::StandBy(which) => self.stand_by(now, *which, true),
            Event::StandByReplaced(which) => self.stand_by(now, *which, false),
            Event::ExitStandby => self.exit_standby(now),
            Event::Detach(which, decrement) => self.detach(now, *which, *decrement),
            Event::Attach(hours) => self.attach(now, Span::hours(*hours).before(now)),
            Event::ReplaceRootVolume(which) => {
                self.with_member(now, *which, |i, env, random| i.replace_root_volume(env, random));
            }
            Event::Terminate(which, decrement) => {
                if let Some(id) = self.member(*which) {
                    // What AWS says to an operator is not regend's business.
                    let _ = self.terminate_instance(now, &id, *decrement);
                }
            }
            Event::Suspend(process) => self.suspend(process, "User suspended at the operator's request"),
            Event::SuspendByAws(process) => {
                self.suspend(process, "Suspended by Auto Scaling: launches have failed for more than 24 hours");
            }
            Event::Untag => drop(self.tags.remove(lease::TAG)),
            Event::Resume => self.suspended.clear(),
            Event::StartRefresh => self.start_refresh(now),
            Event::EndRefresh => self.refresh = None,
            Event::Shift => self.shifted = self.zones.first().cloned(),
            Event::EndShift => self.shifted = None,
            Event::ListenerLeaves => self.lose_listeners(),
            Event::ListenerReturns => self.find_listeners(now),
            Event::Image(image) => {
                self.behavior.image = *image;
                self.version += 1;
            }
            Event::DryUp(n) => self.limit(*n, 0),
            Event::Scarce(n, left) => self.limit(*n, *left),
            Event::Wet => self.capacity.clear(),
            Event::Unit(unit) => self.unit = unit.clone(),
            Event::Managed => drop(self.tags.insert(NODE_GROUP.to_owned(), "workers".to_owned())),
            Event::Unmanaged => drop(self.tags.remove(NODE_GROUP)),
            Event::Delete => self.delete(now),
        }
        self.follow_others(desired, limits);
        self.notice(now);
    }

    /// Takes over what others want from what they set. `desired` and `limits` are as they were before.
    fn follow_others(&mut self, desired: u32, limits: (u32, u32)) {
        // An external change sets desired capacity, whatever surplus is in it.
        if self.desired != desired {
            self.external_desired = self.desired;
            self.ledger.scaled_in(desired.saturating_sub(self.desired));
        }
        if self.desired != desired || limits != (self.wished_min, self.wished_max) {
            // Others want no fewer than their own min size, and no more than their own max size.
            self.external_desired = self.within_limits(self.external_desired);
        }
    }

    fn step_by_policy(&mut self, now: Time, by: i32) {
        let alarm = target_tracking_alarm(&self.key.name, if by < 0 { "Low" } else { "High" });
        let by_alarm = By::Alarm { alarm, policy: "scale".to_owned() };
        self.scale(now, self.desired.saturating_add_signed(by), by_alarm, "one step of a policy");
    }

    fn update_limits(&mut self, now: Time, min: u32, max: u32) {
        self.limit_to(min, max);
        self.wish(now, self.desired, By::Update(self.min, self.max));
    }

    /// A limit that is set to what it is already cannot be told from the one that regend set.
    fn limit_to(&mut self, min: u32, max: u32) {
        if min != self.min {
            (self.min, self.wished_min) = (min, min);
        }
        if max != self.max {
            (self.max, self.wished_max) = (max, max);
        }
        // A person who sets a min size above the former max size saw the one that regend raised.
        self.wished_max = self.wished_max.max(self.wished_min);
    }

    /// What scales the group is there before it acts, and can be listed.
    pub(super) fn announce(&mut self, event: &Event) {
        match event {
            Event::Scale(_) => drop(self.announced.insert("policy scale".to_owned())),
            Event::Scheduled(..) => drop(self.announced.insert("scheduled action night".to_owned())),
            _ => {}
        }
    }

    fn wish(&mut self, now: Time, desired: u32, by: By) {
        self.resize(now, desired.clamp(self.min, self.max), by);
    }

    /// Forced: its instances are terminated with it.
    fn delete(&mut self, now: Time) {
        (self.deleting, self.min, self.desired) = (true, 0, 0);
        self.wished_min = 0;
        let members: Vec<_> = self.members.iter().filter(|i| !i.phase.is_terminating()).map(|i| i.id.clone()).collect();
        members.iter().for_each(|id| self.terminate(id, now, Why::Deleted));
    }

    fn limit(&mut self, nth: usize, left: u32) {
        let zone: Option<Zone> = nth.checked_rem(self.zones.len()).and_then(|n| self.zones.get(n)).cloned();
        self.capacity.extend(zone.map(|zone| (zone, left)));
    }

    /// `EnterStandby`: out of the load balancers at once.
    fn stand_by(&mut self, now: Time, which: Which, decrement: bool) {
        if let Some((id, falls)) = self.leaver(which, decrement) {
            self.with(&id, now, |i, env, _| i.stand_by(env));
            self.desired -= falls;
        }
    }

    /// A Spot instance is taken back, after AWS's notice.
    fn interrupt(&mut self, now: Time, which: Which) {
        if let Some(id) = self.member(which) {
            self.with(&id, now, |i, _, _| {
                i.interrupted = true;
                i.die(later(now, NOTICE_S));
            });
            self.replace_before_it_goes(now, id);
        }
    }

    fn detach(&mut self, now: Time, which: Which, decrement: bool) {
        if let Some((id, falls)) = self.leaver(which, decrement) {
            self.with(&id, now, |i, env, _| i.detach(env));
            self.desired -= falls;
        }
    }

    /// Who leaves, and by how much desired capacity falls with it: not below min size.
    fn leaver(&self, which: Which, decrement: bool) -> Option<(InstanceId, u32)> {
        let id = self.member(which)?;
        let falls = if decrement { self.decrement(&id) } else { 0 };
        (falls == 0 || self.desired >= self.min + falls).then_some((id, falls))
    }

    fn suspend(&mut self, process: &str, reason: &str) {
        self.suspended.insert(process.to_owned(), reason.to_owned());
    }

    fn lose_listeners(&mut self) {
        self.listens = false;
        self.members.iter_mut().for_each(SimInstance::lose_listener);
    }

    fn find_listeners(&mut self, now: Time) {
        self.listens = true;
        let mut members = std::mem::take(&mut self.members);
        self.in_env(now, |env, random| members.iter_mut().for_each(|i| i.find_listener(env, random)));
        self.members = members;
    }

    /// `ExitStandby` raises desired capacity even where entering did not lower it.
    fn exit_standby(&mut self, now: Time) {
        let standing_by = self.members.iter().filter(|i| i.phase == Phase::Standby).map(|i| i.id.clone());
        for id in standing_by.collect::<Vec<_>>() {
            let rises = self.decrement(&id);
            if self.desired + rises <= self.max && self.runs("Launch") {
                self.with(&id, now, |i, env, _| i.return_to_service(env));
                self.desired += rises;
                self.tolerate_overshoot();
            }
        }
    }

    /// `AttachInstances`: refused beyond max size, and no hook fires.
    fn attach(&mut self, now: Time, born: Time) {
        if self.desired < self.max
            && let Some(zone) = self.roomiest()
        {
            let mut instance = self.boot(now, zone, Origin::Attached);
            (instance.born, instance.image_health) = (born, Image::Good);
            instance.weight = instance.weight.min(self.max - self.desired);
            let id = instance.id.clone();
            self.members.push(instance);
            self.with(&id, now, |i, env, _| i.return_to_service(env));
            self.desired += self.weight(&id);
        }
    }

    fn member(&self, which: Which) -> Option<InstanceId> {
        let mut members: Vec<&SimInstance> = self.members.iter().filter(|i| i.phase == Phase::InService).collect();
        members.sort_by_key(|i| (i.born, &i.id));
        let member = match which {
            Which::Oldest => members.first(),
            Which::Newest => members.last(),
            Which::Nth(n) => n.checked_rem(members.len()).and_then(|n| members.get(n)),
        };
        member.map(|i| i.id.clone())
    }

    fn with_member(&mut self, now: Time, which: Which, act: impl FnOnce(&mut SimInstance, &Env<'_>, &mut Random)) {
        if let Some(id) = self.member(which) {
            self.with(&id, now, act);
        }
    }
}
