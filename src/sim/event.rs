//! Other people's hands, and fate: what happens to a simulated group that regend did not do.

use super::group::SimGroup;
use super::instance::{Phase, SimInstance};
use super::nature::Image;
use crate::domain::group::{InstanceId, Zone};
use crate::domain::span::Time;

/// Something that happens to one group at a set time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    SetDesired(u32),
    /// Up or down from whatever it is, like a scaling policy does.
    Scale(i32),
    SetMin(u32),
    SetMax(u32),
    /// The instance is dead at once, and AWS notices later.
    Kill(Which),
    /// Target groups find it unhealthy.
    Sicken(Which),
    /// Everything that lives is healthy again.
    Recover,
    Protect(Which),
    StandBy(Which),
    /// An operator terminates it through Auto Scaling; whether desired capacity falls with it.
    Terminate(Which, bool),
    Suspend(&'static str),
    /// All processes.
    Resume,
    StartRefresh,
    EndRefresh,
    Shift,
    EndShift,
    /// From now on instances are launched from this.
    Image(Image),
    /// The zone of this number has no capacity.
    DryUp(usize),
    /// All have again.
    Wet,
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
        let before = (self.min, self.desired, self.max);
        match event {
            Event::SetDesired(n) => self.wish(now, *n),
            Event::Scale(by) => self.wish(now, self.desired.saturating_add_signed(*by)),
            Event::SetMin(n) => {
                self.min = (*n).min(self.max);
                self.wish(now, self.desired);
                // Nobody who wants so many at least wants fewer.
                self.wished = self.wished.max(self.min);
            }
            Event::SetMax(n) => {
                let max = (*n).max(self.min);
                if max != self.max {
                    (self.max, self.wished_max) = (max, max);
                    self.wish(now, self.desired);
                }
            }
            Event::Kill(which) => self.each(now, *which, |i| i.die(now)),
            Event::Sicken(which) => {
                if let Some(id) = self.member(*which) {
                    self.with(&id, now, |i, ground, random| i.sicken(None, ground, random));
                }
            }
            Event::Recover => self.members.iter_mut().for_each(|i| i.recover(now)),
            Event::Protect(which) => self.each(now, *which, |i| i.protected = true),
            Event::StandBy(which) => {
                if self.desired > self.min
                    && let Some(id) = self.member(*which)
                {
                    self.with(&id, now, |i, _, _| i.stand_by());
                    self.desired -= 1;
                }
            }
            Event::Terminate(which, decrement) => {
                if let Some(id) = self.member(*which) {
                    // What AWS says to an operator is not regend's business.
                    let _ = self.terminate_instance(now, &id, *decrement);
                }
            }
            Event::Suspend(process) => {
                self.suspended.insert((*process).to_owned(), "User suspended at the operator's request".to_owned());
            }
            Event::Resume => self.suspended.clear(),
            Event::StartRefresh => self.refresh = Some("08b91cf7-8fa6-48af-b6a6-d227f40f1b9b".to_owned()),
            Event::EndRefresh => self.refresh = None,
            Event::Shift => self.shifted = self.zones.first().cloned(),
            Event::EndShift => self.shifted = None,
            Event::Image(image) => {
                self.nature.image = *image;
                self.version += 1;
            }
            Event::DryUp(n) => {
                let zone: Option<Zone> = n.checked_rem(self.zones.len()).and_then(|n| self.zones.get(n)).cloned();
                self.dry.extend(zone);
            }
            Event::Wet => self.dry.clear(),
            Event::Delete => self.deleting = true,
        }
        // Whoever changes desired capacity says what it shall be, whatever surplus is in it.
        if self.desired != before.1 {
            self.wished = self.desired;
        }
        self.touched += u32::from((self.min, self.desired, self.max) != before);
        self.notice(now);
    }

    fn wish(&mut self, now: Time, desired: u32) {
        self.resize(now, desired.clamp(self.min, self.max));
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

    fn each(&mut self, now: Time, which: Which, act: impl FnOnce(&mut SimInstance)) {
        if let Some(id) = self.member(which) {
            self.with(&id, now, |instance, _, _| act(instance));
        }
    }
}
