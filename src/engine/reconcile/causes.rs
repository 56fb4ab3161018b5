//! What Auto Scaling is asked for an explanation of: who changed desired capacity, why an instance went, why none
//! comes.

use super::{Active, Reconciler};
use crate::domain::action::Hold;
use crate::domain::activity::{self, Activity, Resize};
use crate::domain::capacity::Units;
use crate::domain::change_detection::LOST;
use crate::domain::group::{Group, InstanceId, is_autoscaled};
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{Change, Entry, Event, Explanation, GroupChanged};
use crate::domain::regeneration::{Regeneration, SETTLE, SKEW};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, unless_stopped};
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

/// How far this host's clock may be ahead of AWS's: NTP keeps them within seconds.
const CLOCKS: Span = Span::minutes(1);

/// How often a group that lacks members is asked why.
const ASK_AGAIN: Span = Span::minutes(1);

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// What Auto Scaling says of this news, if any of it needs an explanation: asked once for all of it.
    pub(super) async fn explanations(&self, active: &mut Active, changes: &[Entry]) -> Result<Vec<Activity>, Stop> {
        match changes.iter().any(|entry| is_loss(entry) || is_resize(entry)) {
            true => self.activities(active, SKEW.before(active.regeneration.opened_at)).await,
            false => Ok(Vec::new()),
        }
    }

    /// Why the group does not launch what it lacks, as it says itself.
    pub(super) async fn why_short(
        &self,
        active: &mut Active,
        group: &TrackedGroup,
        holds: &[Hold],
    ) -> Result<Option<Hold>, Stop> {
        let since = group.short_since.filter(|since| SETTLE.after(*since) <= group.seen);
        let waits = holds.iter().any(|hold| matches!(hold, Hold::Replacing { .. }));
        let Some(since) = since.filter(|_| waits) else {
            active.asked = None;
            return Ok(None);
        };
        let now = self.clock.now();
        if active.asked.as_ref().is_none_or(|(asked, _)| ASK_AGAIN.after(*asked) <= now) {
            let activities = self.activities(active, since).await?;
            let says = activity::why_short(&activities, since).map(str::to_owned);
            active.asked = Some((now, says.map(|message| Hold::LaunchFails { message })));
        }
        Ok(active.asked.as_ref().and_then(|(_, hold)| hold.clone()))
    }

    /// What the group says that it did since then; nothing, where AWS does not say. No decision hangs on it.
    async fn activities(&self, active: &mut Active, since: Time) -> Result<Vec<Activity>, Stop> {
        let key = active.regeneration.group.clone();
        let ask = unless_stopped(self.clock, Span::ZERO, self.cloud.activities(&key, since));
        Ok(self.attend(active, ask).await?.and_then(Result::ok).unwrap_or_default())
    }
}

/// Who changed desired capacity: a scaling policy reckons from what it saw, surplus included; a person or a schedule
/// says what shall be. Each step has its entry, because the limits of others hold at each. Nothing is known while Auto
/// Scaling has done nothing about the change: then the answer is waited for, but not for long, where it makes a
/// difference.
pub(super) fn attribute(
    active: &mut Active,
    group: &Group,
    changes: &mut Vec<Entry>,
    activities: &[Activity],
) -> Option<Hold> {
    let resized = changes.iter().enumerate().find_map(|(n, entry)| match &entry.event {
        Event::GroupChanged(changed) => changed.change.desired.map(|[before, after]| (n, before, after)),
        _ => None,
    });
    let Some((n, before, after)) = resized else {
        active.unattributed = None;
        return None;
    };
    let is_ours = |activity: &&Activity| active.regeneration.retired.keys().any(|id| activity.is_about(id));
    // What came before the opening is in the numbers that it started from.
    let since = CLOCKS.before(active.regeneration.opened_at);
    let others = activities.iter().filter(|activity| activity.at >= since && !is_ours(activity));
    let Regeneration { explained, accounted, .. } = &active.regeneration;
    let change = [before, after];
    if let Some(resizes) = activity::who_resized(others, change, is_autoscaled(&group.tags), explained, accounted) {
        active.unattributed = None;
        let steps = steps(&active.regeneration, group, resizes, &changes[n]);
        changes.splice(n..=n, steps);
        return None;
    }
    let since = *active.unattributed.get_or_insert(group.seen);
    let known = &active.regeneration;
    let is_as_before = known.is_as_before_launch(after, group.seen) || known.is_decrement_by_one(after);
    let is_patient = known.raised > Units::ZERO && !group.deleting && !is_as_before && group.seen < SETTLE.after(since);
    if is_patient {
        return Some(Hold::CauseUnknown { before, after });
    }
    active.unattributed = None;
    None
}

/// An entry for each step of a change. An update and a scheduled action say which limits they left: min size may have
/// been set to just what regend had set it to. What else became of the limits is taken to have come before the steps
/// that say nothing of them.
fn steps(known: &Regeneration, group: &Group, resizes: Vec<Resize>, changed: &Entry) -> Vec<Entry> {
    let entry = |change, relative, explanation| {
        let event = Event::GroupChanged(GroupChanged { change, relative, decrement: false, explanation });
        Entry { event, ..changed.clone() }
    };
    let (mut limits, observed) = ((known.min, known.max), (group.min, group.max));
    let last_stated = resizes.iter().rposition(|resize| resize.limits.is_some());
    let mut steps = Vec::new();
    for (n, resize) in resizes.into_iter().enumerate() {
        let next = if Some(n) > last_stated { observed } else { resize.limits.unwrap_or(limits) };
        let change = Change { desired: Some([resize.from, resize.to]), ..Change::of_limits(limits, next) };
        steps.push(entry(change, resize.relative, Some(resize.says)));
        limits = next;
    }
    if limits != observed {
        steps.push(entry(Change::of_limits(limits, observed), false, None));
    }
    steps
}

/// The record says in AWS's words why an instance went that regend did not retire, where AWS tells. One that others
/// ended has not failed.
pub(super) fn explained(mut changes: Vec<Entry>, activities: &[Activity]) -> Vec<Entry> {
    changes.retain_mut(|entry| {
        let is_failure = matches!(entry.event, Event::InstanceFailed(_));
        let Some((id, explanation)) = explanation_of_loss(&mut entry.event) else { return true };
        let Some((activity, why)) = activity::why_gone(activities, &id) else { return true };
        *explanation = Some(Explanation { activity_id: activity.id.clone(), cause: why.to_owned() });
        !is_failure || !activity::was_ended_by_others(why)
    });
    changes
}

/// Desired capacity changed, and regend did not change it.
fn is_resize(entry: &Entry) -> bool {
    matches!(&entry.event, Event::GroupChanged(GroupChanged { change, .. }) if change.desired.is_some())
}

/// An instance is gone that regend did not retire.
fn is_loss(entry: &Entry) -> bool {
    match &entry.event {
        Event::InstanceLost(_) => true,
        Event::InstanceFailed(failed) => failed.cause.code == LOST,
        _ => false,
    }
}

/// The instance that is gone, and where its explanation belongs.
fn explanation_of_loss(event: &mut Event) -> Option<(InstanceId, &mut Option<Explanation>)> {
    match event {
        Event::InstanceLost(lost) => Some((lost.instance.id.clone(), &mut lost.explanation)),
        Event::InstanceFailed(failed) if failed.cause.code == LOST => {
            Some((failed.instance.id.clone(), &mut failed.explanation))
        }
        _ => None,
    }
}
