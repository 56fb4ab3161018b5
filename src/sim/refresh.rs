//! An external instance refresh: one instance after another, terminated first, as the default settings allow.

use super::group::{Refresh, SimGroup};
use super::instance::Why;
use super::phase::Phase;
use crate::domain::group::InstanceId;
use crate::domain::span::Time;

impl SimGroup {
    pub(super) fn start_refresh(&mut self, now: Time) {
        let id = format!("08b91cf7-8fa6-48af-b6a6-{:012x}", self.random.draw() >> 16);
        self.refresh.get_or_insert(Refresh { id, since: now });
    }

    /// Whether the refresh goes on, or ends, when the group next sees to itself.
    pub(super) fn refresh_is_due(&self) -> bool {
        let Some(refresh) = &self.refresh else { return false };
        let idle = self.count() >= self.desired && !self.members.iter().any(|i| i.phase.is_pending());
        let runs = self.runs("Launch") && self.runs("Terminate") && self.runs("InstanceRefresh");
        idle && (runs || self.next_to_refresh(refresh).is_none())
    }

    pub(super) fn go_on_refreshing(&mut self, now: Time) {
        let Some(refresh) = &self.refresh else { return };
        match self.next_to_refresh(refresh) {
            Some(id) => self.terminate(&id, now, Why::Refresh),
            None => self.refresh = None,
        }
    }

    /// Neither protected ones nor those in standby.
    fn next_to_refresh(&self, refresh: &Refresh) -> Option<InstanceId> {
        let due = self.members.iter().filter(|i| i.phase == Phase::InService && !i.protected && i.born < refresh.since);
        due.min_by_key(|i| (i.born, &i.id)).map(|i| i.id.clone())
    }
}
