//! What must be remembered of a regeneration: a fold over its journal entries, the same live and in recovery.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::action::{Action, LEASED_BY_OTHER, Outcome, Reason};
use super::activity::Accounted;
use super::capacity::Units;
use super::group::{GroupKey, Instance, InstanceId};
use super::journal::{Aborted, Conclusion, Entry, Event, Kind, Member, Opened, Trigger};
use super::lease::Lease;
use super::pause::Pause;
use super::span::{Span, Time};

pub use state::{Intent, Newcomer, Refusals, Retirement, Settling, back_off};

mod effect;
mod numbers;
mod staleness;
mod state;

/// How far AWS's clock may be behind ours before a newcomer looks older than the cutoff.
/// NTP keeps hosts within seconds; minutes mean a broken clock, which `check` reports.
pub const SKEW: Span = Span::minutes(5);

/// How long a look may still show the world before an effect of ours. Auto Scaling's reads settle within seconds;
/// the price of waiting longer is time, that of waiting too little is a surplus taken for an external change.
pub const SETTLE: Span = Span::seconds(30);

/// One replacement of every instance of one group, from opened to closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Regeneration {
    pub id: Uuid,
    pub group: GroupKey,
    pub actor: String,
    pub trigger: Trigger,
    pub reason: Option<String>,
    pub opened_at: Time,
    pub opened: Opened,
    /// The group's numbers as regend last accounted for them. An observation that differs shows an external change.
    pub min: Units,
    pub desired: Units,
    pub max: Units,
    /// The least and the most that others made of desired capacity since the opening.
    pub desired_range: (Units, Units),
    /// AWS's sentences about changes of desired capacity that are recorded: each explains one change.
    pub explained: BTreeSet<String>,
    /// Changes of desired capacity that regend requested besides retirements, and those that no activity explained.
    pub accounted: Vec<Accounted>,
    /// Desired capacity before recent effects of ours, which a stale look may still show.
    pub settling: Vec<Settling>,
    /// How much of desired capacity is regend's own surplus.
    pub raised: Units,
    /// Desired capacity before the latest termination with decrement of an instance with a weight. AWS does not document
    /// whether it falls by the weight, which is expected, or by one.
    pub decremented: Option<Units>,
    /// The latest termination lowered desired capacity by less than the weight of the instance.
    pub undecremented: bool,
    /// A termination with decrement has lowered desired capacity by one, not by a weight.
    pub decrements_by_one: bool,
    /// Surplus asked for by way of desired capacity whose instances have not come yet.
    pub unclaimed: Units,
    /// How much more came than was asked for: Auto Scaling launches whole instances.
    pub overclaimed: Units,
    /// Min and max size as they were before regend shifted them: to put them back is an obligation.
    pub min_before: Option<Units>,
    pub max_before: Option<Units>,
    /// How often others took the surplus, and when last: a scale-in did, or it was set away.
    pub taken: Option<(u32, Time)>,
    /// How often others filled the room of a surplus that had just been given back.
    pub retaken: u32,
    /// When the whole surplus was given back by one call: Auto Scaling chooses which instances go.
    pub shrunk_at: Option<Time>,
    /// The lease on the group, as we wrote it last.
    pub lease: Option<Lease>,
    /// Since when it has been ours without a break.
    pub leased_at: Option<Time>,
    /// The daemon whose live lease an operator wants it to take over. It may be overwritten once.
    pub claimed: Option<String>,
    /// It was given back: a look may still show it.
    pub released: bool,
    /// The intent that has no outcome yet. There is never more than one.
    pub intent: Option<Intent>,
    /// How often in a row its answer was lost, and when last.
    pub unanswered: Option<(u32, Time)>,
    /// Instances that came after the regeneration opened.
    pub newcomers: BTreeMap<InstanceId, Newcomer>,
    /// Instances that regend retired and that are not known to be gone.
    pub retired: BTreeMap<InstanceId, Retirement>,
    /// Stale instances that went without us.
    pub lost: BTreeSet<InstanceId>,
    /// How many members an external scale-in may still terminate: those did not fail.
    pub scaled_in: Units,
    /// When it was asked for, and how many it takes.
    pub scaling_in: Option<(Time, Units)>,
    /// Members at the opening.
    pub originals: BTreeSet<InstanceId>,
    /// The weight of each instance that counts for more than one unit.
    pub weights: BTreeMap<InstanceId, Units>,
    /// Fresh instances that a retired one was paired with.
    pub successors: BTreeSet<InstanceId>,
    /// When the outcome of the latest effect was known. Only a look that began later may carry a decision.
    pub last_effect: Option<Time>,
    /// The same without renewals of the lease, which change nothing that an observation could show too late.
    pub last_change: Option<Time>,
    /// When the latest process took it up.
    pub restarted_at: Option<Time>,
    pub failures: u32,
    /// When the newest instance came to serve, for the canary's bake.
    pub served: Vec<Time>,
    /// When the last retired instance was gone, for the bake.
    pub last_gone: Option<Time>,
    /// Launches asked for: each has its own token.
    pub launches: u32,
    /// Refusals in a row, of any call.
    pub refusals: Refusals,
    /// The reason a regeneration is being ended early; what is left is tidying up.
    pub ending: Option<Aborted>,
    /// An operator paused the group.
    pub paused: Option<Pause>,
    /// The holds in force, by code, as they were last recorded.
    pub held: BTreeSet<String>,
    pub closed: Option<Outcome>,
}

/// An entry that cannot follow what is already known. The journal is damaged, or the program has a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {id} ({kind}) cannot follow: {why}")]
pub struct Illegal {
    pub id: Uuid,
    pub kind: Kind,
    pub why: &'static str,
}

impl Regeneration {
    /// Starts from a `regeneration.opened`.
    ///
    /// # Errors
    /// The entry is of another kind, or lacks what a regeneration starts from.
    pub fn open(entry: &Entry) -> Result<Self, Illegal> {
        let illegal = |why| Illegal { id: entry.id, kind: entry.kind(), why };
        let Event::RegenerationOpened(opened) = &entry.event else {
            return Err(illegal("a regeneration starts with regeneration.opened"));
        };
        let opened = Opened::clone(opened);
        let inherited = opened.inherited.as_ref();
        // What another host launched is watched like a launch of our own: it may fail, and it may stand in for others.
        let is_fresh = |member: &&Member| member.born.is_some_and(|born| born >= opened.cutoff);
        let (fresh, old): (Vec<_>, Vec<_>) = opened.members.iter().partition(is_fresh);
        Ok(Self {
            id: entry.regeneration.ok_or_else(|| illegal("it has no regeneration"))?,
            group: entry.key().ok_or_else(|| illegal("it does not name its group"))?,
            actor: entry.actor.clone(),
            trigger: entry.trigger.unwrap_or(Trigger::Manual),
            reason: entry.reason.clone(),
            opened_at: entry.t,
            min: opened.min,
            desired: opened.desired,
            max: opened.max,
            desired_range: (opened.desired, opened.desired),
            explained: BTreeSet::new(),
            accounted: Vec::new(),
            settling: Vec::new(),
            raised: inherited.map_or(Units::ZERO, |i| i.raised),
            decremented: None,
            undecremented: false,
            decrements_by_one: false,
            overclaimed: Units::ZERO,
            unclaimed: inherited.map_or(Units::ZERO, |i| i.raised.min(opened.desired.saturating_sub(opened.units()))),
            min_before: inherited.and_then(|i| i.min),
            max_before: inherited.and_then(|i| i.max),
            taken: None,
            retaken: 0,
            shrunk_at: None,
            lease: None,
            leased_at: None,
            claimed: None,
            released: false,
            intent: None,
            unanswered: None,
            newcomers: fresh.iter().map(|m| (m.instance.clone(), Newcomer::since(entry.t, false))).collect(),
            retired: BTreeMap::new(),
            lost: BTreeSet::new(),
            scaled_in: Units::ZERO,
            scaling_in: None,
            weights: opened.weights().collect(),
            originals: old.iter().map(|member| member.instance.clone()).collect(),
            successors: BTreeSet::new(),
            last_effect: None,
            last_change: None,
            restarted_at: None,
            failures: 0,
            served: Vec::new(),
            last_gone: None,
            launches: 0,
            refusals: Refusals::default(),
            ending: None,
            paused: None,
            held: BTreeSet::new(),
            closed: None,
            opened,
        })
    }

    /// An entry about it. The journal stamps the rest.
    pub fn entry(&self, event: Event, t: Time) -> Entry {
        Entry { regeneration: Some(self.id), ..Entry::new(event, t, self.actor.clone()).about(&self.group) }
    }

    /// Another daemon has the lease, and with it the obligation to restore the group. If it does not live to do so, its
    /// lease states what is left.
    fn lose_lease(&mut self) {
        (self.lease, self.leased_at, self.claimed) = (None, None, None);
        (self.raised, self.unclaimed, self.min_before, self.max_before) = (Units::ZERO, Units::ZERO, None, None);
        self.opened.inherited = None;
        self.desired_range = (self.desired, self.desired);
    }

    /// Whether this live lease of another daemon may be overwritten.
    pub fn may_overwrite(&self, lease: &Lease) -> bool {
        self.lease.is_none() && self.claimed.as_ref() == Some(&lease.daemon)
    }

    /// Folds a whole regeneration, oldest entry first.
    ///
    /// # Errors
    /// An entry cannot follow those before it.
    pub fn recover<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Option<Self>, Illegal> {
        let mut entries = entries.into_iter();
        let Some(first) = entries.next() else { return Ok(None) };
        let mut regeneration = Self::open(first)?;
        entries.try_for_each(|entry| regeneration.apply(entry))?;
        Ok(Some(regeneration))
    }

    /// Takes one more entry in.
    ///
    /// # Errors
    /// The entry cannot follow: it belongs to another regeneration, concludes no open intent, or comes after the close.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Illegal> {
        let illegal = |why| Illegal { id: entry.id, kind: entry.kind(), why };
        if entry.regeneration != Some(self.id) {
            return Err(illegal("it belongs to another regeneration"));
        }
        if self.closed.is_some() {
            return Err(illegal("the regeneration is closed"));
        }
        if let Some((intent, conclusion)) = entry.event.conclusion() {
            return self.conclude(entry, intent, conclusion).map_err(illegal);
        }
        if let Some(action) = entry.event.intended_action() {
            return self.intend(entry, action).map_err(illegal);
        }
        match &entry.event {
            Event::RegenerationOpened(_) => return Err(illegal("the regeneration is already open")),
            Event::RegenerationClosed(closed) => self.closed = Some(closed.outcome),
            Event::RegenerationHeld(held) => {
                self.held = held.holds.iter().map(|hold| hold.code.clone()).collect();
                if self.held.contains(LEASED_BY_OTHER) {
                    self.lose_lease();
                }
            }
            Event::RegenerationReleased(_) => self.held.clear(),
            Event::RegenerationRecovered(_) => self.recovered(entry.t),
            Event::RegenerationPaused(_) | Event::RegenerationResumed(_) => self.paused = entry.pause(),
            Event::RegenerationAborted(aborted) => {
                self.ending = Some(aborted.clone());
                // What was refused so far says nothing of the calls that tidy up.
                self.refusals.end();
            }
            Event::LeaseClaimed(claim) => {
                self.lose_lease();
                self.claimed = Some(claim.inherited.daemon.clone());
            }
            Event::GroupChanged(changed) => self.changed(changed, entry.t),
            Event::RegenerationQueued(_) | Event::RegenerationSkipped(_) | Event::RegenerationMissed(_) => {
                return Err(illegal("a regeneration that was not opened has no entries of its own"));
            }
            event => self.instance(event, entry.t),
        }
        Ok(())
    }

    fn intend(&mut self, entry: &Entry, action: Action) -> Result<(), &'static str> {
        if self.intent.is_some() {
            return Err("another intent is still open");
        }
        if let Action::Launch { .. } | Action::Grow { .. } = action {
            self.launches += 1;
        }
        let desired = entry.event.capacity().map_or(self.desired, |capacity| capacity.desired);
        (self.decremented, self.undecremented) = (None, false);
        self.intent = Some(Intent { id: entry.id, action, at: entry.t, desired });
        Ok(())
    }

    /// Takes in what became of the open intent.
    fn conclude(&mut self, entry: &Entry, intent: Uuid, conclusion: Conclusion) -> Result<(), &'static str> {
        let Some(open) = self.intent.clone().filter(|open| open.id == intent) else {
            return Err("it concludes no open intent");
        };
        if entry.kind() != Kind::concluded(&open.action, conclusion) {
            return Err("it concludes an intent of another kind");
        }
        if conclusion == Conclusion::Unknown {
            // The intent stays open: only an observation can close it.
            self.unanswered = Some((self.unanswered.map_or(0, |(times, _)| times) + 1, entry.t));
            return Ok(());
        }
        (self.intent, self.unanswered, self.last_effect) = (None, None, Some(entry.t));
        let lives = self.lease.as_ref().is_some_and(|lease| entry.t < lease.until);
        let is_renewal = lives && matches!(open.action, Action::TakeLease { .. });
        if !is_renewal {
            self.last_change = Some(entry.t);
        }
        match entry.event.refusal() {
            Some((kind, cause)) => self.refusals.note(&open, Some(kind), cause, entry.t),
            None => {
                // That the lease could be renewed says nothing of another call that was refused before.
                if !is_renewal || self.refusals.api == open.action.api() {
                    self.refusals.end();
                }
                self.done(&open, entry);
            }
        }
        Ok(())
    }

    /// The clock may have been set in between: what a look may still show is waited for anew.
    fn recovered(&mut self, now: Time) {
        self.restarted_at = Some(now);
        self.settling.iter_mut().for_each(|settling| settling.since = settling.since.max(now));
        self.last_effect = self.last_effect.map(|at| at.max(now));
        self.last_change = self.last_change.map(|at| at.max(now));
    }

    /// Whether the instance is fresh: it is never replaced by this regeneration. Unknown while its birth is.
    pub fn is_fresh(&self, instance: &Instance) -> Option<bool> {
        if self.newcomers.get(&instance.id).is_some_and(|newcomer| newcomer.ours) {
            return Some(true);
        }
        let born = instance.born?;
        let was_there = self.originals.contains(&instance.id);
        let cutoff = if was_there { self.opened.cutoff } else { SKEW.before(self.opened.cutoff) };
        Some(born >= cutoff)
    }

    /// Every instance that an observation may lack: members at the opening, newcomers, and what is being retired.
    pub fn known_instances(&self) -> impl Iterator<Item = &InstanceId> {
        let retiring = match self.intent.as_ref().map(|intent| &intent.action) {
            Some(Action::Retire(retire)) => Some(&retire.instance),
            _ => None,
        };
        self.originals.iter().chain(self.newcomers.keys()).chain(self.retired.keys()).chain(retiring)
    }

    /// How many units of desired capacity the instance counts for.
    pub fn weight(&self, id: &InstanceId) -> Units {
        self.weights.get(id).copied().unwrap_or(Units::ONE)
    }

    /// Retired, whatever a look may still show of it.
    pub fn is_retired(&self, id: &InstanceId) -> bool {
        self.retired.contains_key(id)
    }

    /// Retired and not gone yet.
    pub fn draining(&self) -> impl Iterator<Item = (&InstanceId, &Retirement)> {
        self.retired.iter().filter(|(_, retirement)| !retirement.gone)
    }

    /// Stale instances that are gone, and in whose place a fresh one has come to serve: what others took away without a
    /// successor is not replaced.
    pub fn replaced(&self) -> usize {
        let is_replaced = |retirement: &&Retirement| retirement.gone && retirement.why == Reason::Stale;
        let lost = self.lost.iter().filter(|id| self.originals.contains(id)).count();
        let gone = self.retired.values().filter(is_replaced).count() + lost;
        gone.min(self.newcomers.values().filter(|newcomer| newcomer.serving.is_some()).count())
    }
}
