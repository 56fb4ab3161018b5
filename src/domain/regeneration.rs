//! What must be remembered of a regeneration: a fold over its journal entries, the same live and in recovery.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::action::{Action, Outcome, Reason};
use super::entry::{Conclusion, Entry, Kind, Member, Opened, Trigger};
use super::group::{GroupKey, Instance, InstanceId};
use super::lease::Lease;
use super::span::{Span, Time};

pub use state::{Ending, Intent, Newcomer, Refusals, Retirement, Settling};

mod effect;
mod numbers;
mod staleness;
mod state;

/// How far AWS's clock may be behind ours before a newcomer looks older than the cutoff.
/// NTP keeps hosts within seconds; minutes mean a broken clock, which `check` reports.
pub const SKEW: Span = Span::minutes(5);

/// How long a look may still show the world before an effect of ours. Auto Scaling's reads settle within seconds;
/// the price of waiting longer is time, that of waiting too little a surplus taken for somebody's wish.
pub const SETTLE: Span = Span::seconds(30);

/// The code of an `instance.launched` whose instance answers to a launch of regend's.
pub const OURS: &str = "regend";
/// The code of one that answers to a launch of regend's and comes from a warm pool: it may be older than the cutoff.
pub const POOL: &str = "pool";
/// The code of one that the group, or somebody else, launched.
pub const THEIRS: &str = "group";

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
    /// The group's numbers as regend last accounted for them. A look that differs shows somebody else's hand.
    pub min: u32,
    pub desired: u32,
    pub max: u32,
    /// The least and the most that others made of desired capacity since the opening.
    pub desired_range: (u32, u32),
    /// Desired capacity before recent effects of ours, which a stale look may still show.
    pub settling: Vec<Settling>,
    /// How much of desired capacity is regend's own surplus.
    pub raised: u32,
    /// Surplus asked for by way of desired capacity whose instances have not come yet.
    pub unclaimed: u32,
    /// Min and max size as they were before regend shifted them: to put them back is an obligation.
    pub min_before: Option<u32>,
    pub max_before: Option<u32>,
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
    /// How many members somebody else's scale-in may still take: those did not fail.
    pub scaled_in: u32,
    /// When it was asked for, and how many it takes.
    pub scaling_in: Option<(Time, u32)>,
    /// Members at the opening.
    pub originals: BTreeSet<InstanceId>,
    /// Fresh instances that a retired one was paired with.
    pub successors: BTreeSet<InstanceId>,
    /// When the outcome of the latest effect was known. Only a look that began later may carry a decision.
    pub last_effect: Option<Time>,
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
    pub paused: bool,
    /// The reason a regeneration is being ended early; what is left is tidying up.
    pub ending: Option<Ending>,
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
        let illegal = |why| Illegal { id: entry.id, kind: entry.kind, why };
        if entry.kind != Kind::RegenerationOpened {
            return Err(illegal("a regeneration starts with regeneration.opened"));
        }
        let opened = entry.opened.as_deref().cloned().ok_or_else(|| illegal("it does not say what it starts from"))?;
        let inherited = opened.inherited.as_ref();
        // What another host launched is watched like a launch of our own: it may fail, and it may stand in for others.
        let is_fresh = |member: &&Member| member.born.is_some_and(|born| born >= opened.cutoff);
        let (fresh, old): (Vec<_>, Vec<_>) = opened.members.iter().partition(is_fresh);
        Ok(Self {
            id: entry.regeneration.ok_or_else(|| illegal("it has no regeneration"))?,
            group: GroupKey {
                account: entry.account.clone().ok_or_else(|| illegal("it has no account"))?,
                region: entry.region.clone().ok_or_else(|| illegal("it has no region"))?,
                name: entry.group.clone().ok_or_else(|| illegal("it has no group"))?,
            },
            actor: entry.actor.clone(),
            trigger: entry.trigger.unwrap_or(Trigger::Manual),
            reason: entry.reason.clone(),
            opened_at: entry.t,
            min: opened.min,
            desired: opened.desired,
            max: opened.max,
            desired_range: (opened.desired, opened.desired),
            settling: Vec::new(),
            raised: inherited.map_or(0, |i| i.raised),
            unclaimed: inherited
                .map_or(0, |i| i.raised.min(opened.desired.saturating_sub(opened.members.len() as u32))),
            min_before: inherited.and_then(|i| i.min),
            max_before: inherited.and_then(|i| i.max),
            taken: None,
            retaken: 0,
            shrunk_at: None,
            lease: None,
            leased_at: None,
            released: false,
            intent: None,
            unanswered: None,
            newcomers: fresh.iter().map(|m| (m.instance.clone(), Newcomer::since(entry.t, false))).collect(),
            retired: BTreeMap::new(),
            lost: BTreeSet::new(),
            scaled_in: 0,
            scaling_in: None,
            originals: old.iter().map(|member| member.instance.clone()).collect(),
            successors: BTreeSet::new(),
            last_effect: None,
            restarted_at: None,
            failures: 0,
            served: Vec::new(),
            last_gone: None,
            launches: 0,
            refusals: Refusals::default(),
            paused: false,
            ending: None,
            held: BTreeSet::new(),
            closed: None,
            opened,
        })
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
        let illegal = |why| Illegal { id: entry.id, kind: entry.kind, why };
        if entry.regeneration != Some(self.id) {
            return Err(illegal("it belongs to another regeneration"));
        }
        if self.closed.is_some() {
            return Err(illegal("the regeneration is closed"));
        }
        match entry.kind {
            Kind::RegenerationOpened => return Err(illegal("the regeneration is already open")),
            Kind::RegenerationClosed => {
                self.closed = Some(entry.outcome.ok_or_else(|| illegal("it has no outcome"))?);
            }
            Kind::RegenerationPaused => self.paused = true,
            Kind::RegenerationResumed => {
                // A restart resumes too; only an operator's word, which names no code, ends an operator's pause.
                match entry.code.as_deref() {
                    None => self.paused = false,
                    Some("holds_ended") => self.held.clear(),
                    Some("restarted") => self.restarted(entry.t),
                    Some(_) => {}
                }
            }
            Kind::RegenerationHeld => {
                self.held = entry.code.iter().flat_map(|codes| codes.split(',')).map(str::to_owned).collect();
            }
            Kind::RegenerationAborted => {
                self.ending = Some(Ending {
                    outcome: entry.outcome.unwrap_or(Outcome::Aborted),
                    code: entry.code.clone().unwrap_or_default(),
                    why: entry.error.clone().unwrap_or_default(),
                });
                // Whoever ends it wants it to end, paused or not.
                self.paused = false;
                // What was refused so far says nothing of the calls that tidy up.
                self.refusals.end();
            }
            Kind::LeaseIntended
            | Kind::MaxSizeIntended
            | Kind::MinSizeIntended
            | Kind::LaunchIntended
            | Kind::SurplusIntended
            | Kind::RetireIntended => {
                if self.intent.is_some() {
                    return Err(illegal("another intent is still open"));
                }
                let action = entry.action.clone().ok_or_else(|| illegal("it does not say what is intended"))?;
                if let Action::Launch { .. } | Action::Grow { .. } = action {
                    self.launches += 1;
                }
                let desired = entry.capacity.map_or(self.desired, |c| c.desired);
                self.intent = Some(Intent { id: entry.id, action, at: entry.t, desired });
            }
            Kind::LeaseTaken
            | Kind::LeaseReleased
            | Kind::MaxSizeRaised
            | Kind::MaxSizeRestored
            | Kind::MinSizeRestored
            | Kind::LaunchAccepted
            | Kind::SurplusReturned
            | Kind::RetireAccepted => {
                let intent = self.concluded(entry).ok_or_else(|| illegal("it concludes no open intent"))?;
                if entry.kind != Kind::concluded(&intent.action, Conclusion::Done) {
                    return Err(illegal("it concludes an intent of another kind"));
                }
                self.refusals.end();
                self.done(&intent, entry);
            }
            Kind::LeaseRefused
            | Kind::MaxSizeRefused
            | Kind::MinSizeRefused
            | Kind::LaunchRefused
            | Kind::SurplusRefused
            | Kind::RetireRefused => {
                let intent = self.concluded(entry).ok_or_else(|| illegal("it concludes no open intent"))?;
                if entry.kind != Kind::concluded(&intent.action, Conclusion::Refused) {
                    return Err(illegal("it concludes an intent of another kind"));
                }
                self.refusals.note(&intent, entry);
            }
            // The intent stays open: only a look can close it.
            Kind::LeaseUnknown
            | Kind::MaxSizeUnknown
            | Kind::MinSizeUnknown
            | Kind::LaunchUnknown
            | Kind::SurplusUnknown
            | Kind::RetireUnknown => {
                let open = self.intent.as_ref().filter(|intent| Some(intent.id) == entry.intent);
                let intent = open.ok_or_else(|| illegal("it concludes no open intent"))?;
                if entry.kind != Kind::concluded(&intent.action, Conclusion::Unknown) {
                    return Err(illegal("it concludes an intent of another kind"));
                }
                self.unanswered = Some((self.unanswered.map_or(0, |(times, _)| times) + 1, entry.t));
            }
            Kind::GroupChanged => {
                let is_told = entry.error.is_some();
                self.changed(&entry.change.clone().unwrap_or_default(), is_told, entry.t);
            }
            Kind::InstanceLaunched
            | Kind::InstanceInService
            | Kind::InstanceServing
            | Kind::InstanceFailed
            | Kind::InstanceDraining
            | Kind::InstanceTerminated
            | Kind::InstanceLost => {
                let id = entry.instance.clone().ok_or_else(|| illegal("it names no instance"))?;
                self.instance(entry, id);
            }
            Kind::RegenerationSkipped | Kind::RegenerationMissed => {
                return Err(illegal("a regeneration that was not opened has no entries of its own"));
            }
            Kind::ActionVetoed
            | Kind::GateClosed
            | Kind::GateOpened
            | Kind::DaemonStarted
            | Kind::DaemonReloaded
            | Kind::DaemonStopped => {}
        }
        Ok(())
    }

    /// Takes the open intent if this entry concludes it.
    fn concluded(&mut self, entry: &Entry) -> Option<Intent> {
        self.last_effect = Some(entry.t);
        self.unanswered = None;
        self.intent.take_if(|intent| Some(intent.id) == entry.intent)
    }

    /// The clock may have been set in between: what a look may still show is waited for anew.
    fn restarted(&mut self, now: Time) {
        self.restarted_at = Some(now);
        self.settling.iter_mut().for_each(|settling| settling.since = settling.since.max(now));
        self.last_effect = self.last_effect.map(|at| at.max(now));
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
