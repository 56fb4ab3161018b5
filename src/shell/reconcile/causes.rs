//! What Auto Scaling is asked for an explanation of: who changed desired capacity, why an instance went, why none comes.

use super::{Active, Turning};
use crate::domain::action::Hold;
use crate::domain::activity::{self, Activity};
use crate::domain::entry::{Aws, Entry, Kind};
use crate::domain::group::Group;
use crate::domain::notice::LOST;
use crate::domain::regeneration::{SETTLE, SKEW};
use crate::domain::span::{Span, Time};
use crate::shell::clock::{Clock, unless_stopped};
use crate::shell::cloud::{ACTIVITIES, Cloud};
use crate::shell::journal::Journal;

/// How often a group that lacks members is asked why.
const ASK_AGAIN: Span = Span::minutes(1);

impl<C: Cloud, J: Journal, K: Clock> Turning<'_, C, J, K> {
    /// Who changed desired capacity: a scaling policy reckons from what it saw, surplus included; a person or a schedule
    /// says what shall be. Nothing is known while Auto Scaling has done nothing about the change: then the answer is
    /// waited for, but not for long, where it makes a difference.
    pub(super) async fn attribute(&mut self, active: &mut Active, group: &Group, news: &mut [Entry]) -> Option<Hold> {
        let change = news.iter_mut().find_map(|entry| {
            let [before, after] = entry.change.as_ref()?.desired?;
            Some((entry, before, after))
        });
        let Some((entry, before, after)) = change else {
            active.unattributed = None;
            return None;
        };
        let activities = self.activities(active, SKEW.before(active.regeneration.opened_at)).await;
        let autoscaled = is_autoscaled(group);
        if let Some((relative, says)) = activity::who_resized(&activities, before, after, autoscaled) {
            active.unattributed = None;
            entry.error = Some(format!("AWS says: {says}"));
            if let Some(change) = &mut entry.change {
                change.relative = relative;
            }
            return None;
        }
        let since = *active.unattributed.get_or_insert(group.seen);
        let known = &active.regeneration;
        let is_as_before = known.is_as_before_launch(after, group.seen);
        let is_patient = known.raised > 0 && !group.deleting && !is_as_before && group.seen < SETTLE.after(since);
        if is_patient {
            return Some(Hold::CauseUnknown { before, after });
        }
        active.unattributed = None;
        None
    }

    /// The record says in AWS's words why an instance went that regend did not retire, where AWS can be asked. One that
    /// others ended has not failed.
    pub(super) async fn explained(&mut self, active: &Active, mut news: Vec<Entry>) -> Vec<Entry> {
        if !news.iter().any(is_loss) {
            return news;
        }
        let activities = self.activities(active, SKEW.before(active.regeneration.opened_at)).await;
        news.retain(|entry| {
            let why = entry.instance.as_ref().and_then(|instance| activity::why_gone(&activities, instance));
            let by_others = why.is_some_and(|(_, why)| activity::was_ended_by_others(why));
            !(entry.kind == Kind::InstanceFailed && is_loss(entry) && by_others)
        });
        for entry in news.iter_mut().filter(|entry| is_loss(entry)) {
            let why = entry.instance.as_ref().and_then(|instance| activity::why_gone(&activities, instance));
            if let (Some((activity, why)), Some(error)) = (why, &mut entry.error) {
                error.push_str("; AWS says: ");
                error.push_str(why);
                let (api, activity_id) = (ACTIVITIES.to_owned(), Some(activity.id.clone()));
                entry.aws = Some(Aws { api, request_id: None, activity_id });
            }
        }
        news
    }

    /// Why the group does not launch what it lacks, as it says itself.
    pub(super) async fn why_short(&mut self, active: &mut Active, group: &Group, holds: &[Hold]) -> Option<Hold> {
        let since = group.short_since.filter(|since| SETTLE.after(*since) <= group.seen);
        let waits = holds.iter().any(|hold| matches!(hold, Hold::Replacing { .. }));
        let Some(since) = since.filter(|_| waits) else {
            active.asked = None;
            return None;
        };
        let now = self.clock.now();
        if active.asked.as_ref().is_none_or(|(asked, _)| ASK_AGAIN.after(*asked) <= now) {
            let activities = self.activities(active, since).await;
            let says = activity::why_short(&activities, since).map(str::to_owned);
            active.asked = Some((now, says.map(|says| Hold::LaunchFails { says })));
        }
        active.asked.as_ref().and_then(|(_, hold)| hold.clone())
    }

    /// What the group says that it did since then; nothing, where AWS does not say. No decision hangs on it.
    async fn activities(&mut self, active: &Active, since: Time) -> Vec<Activity> {
        let ask = self.cloud.activities(&active.regeneration.group, since);
        unless_stopped(self.clock, Span::ZERO, ask).await.and_then(Result::ok).unwrap_or_default()
    }
}

/// An instance went that regend did not retire.
fn is_loss(entry: &Entry) -> bool {
    entry.kind == Kind::InstanceLost || (entry.kind == Kind::InstanceFailed && entry.code.as_deref() == Some(LOST))
}

/// Whether a Kubernetes cluster autoscaler scales the group: it sets desired capacity as a person does, and computes it
/// from what it saw.
fn is_autoscaled(group: &Group) -> bool {
    group.tags.keys().any(|key| key.starts_with("k8s.io/cluster-autoscaler/"))
}
