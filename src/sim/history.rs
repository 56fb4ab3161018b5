//! What really happened in a world: each call with the truth around it, each change, each event.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use super::fault::Fault;
use super::group::SimGroup;
use super::instance::SimInstance;
use super::phase::Phase;
use crate::domain::action::{Action, Answer, Receipt};
use crate::domain::group::{GroupKey, InstanceId, Numbers, Zone};
use crate::domain::span::Time;

/// What really happened.
#[derive(Debug, Default)]
pub struct History {
    /// Each mutating call, in order.
    pub calls: Vec<Call>,
    /// Each change of a group's numbers.
    pub moments: BTreeMap<GroupKey, Vec<Moment>>,
    /// How often each API was called, as the real adapter would.
    pub counts: BTreeMap<&'static str, u64>,
    /// When other people changed a group's numbers.
    pub external_changes: Vec<ExternalChange>,
    /// What others and fate took from a group.
    pub harms: Vec<Harm>,
    /// How often each actor acted on a group: a policy, a schedule, AZRebalance.
    pub actors: BTreeMap<&'static str, u64>,
    /// Zones without capacity in which regend terminated the last member.
    pub emptied: Vec<(Time, GroupKey, Zone)>,
    /// Other people's events, as they happened.
    pub events: Vec<(Time, GroupKey, Event)>,
    /// How often which call went wrong.
    pub faults: BTreeMap<Fault, u64>,
    /// How often a look lacked something, was behind, or was throttled.
    pub partial_looks: u64,
    pub late_looks: u64,
    pub throttled_looks: u64,
}

/// Instances of a group that served, and that others or fate took out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harm {
    pub at: Time,
    pub group: GroupKey,
    /// Their capacity.
    pub count: u32,
    /// The group's moment, by its place, that first shows it.
    pub moment: usize,
}

/// One change of a group's numbers by other people.
#[derive(Debug, Clone)]
pub struct ExternalChange {
    pub at: Time,
    pub group: GroupKey,
    pub before: Numbers,
    pub after: Numbers,
}

/// One mutating call, and the truth around it.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Time,
    /// Later, where it took effect after its caller had stopped waiting.
    pub arrived: Time,
    /// Which of several regends made it.
    pub by: u32,
    pub group: GroupKey,
    pub action: Action,
    /// Absent where AWS refused, or the request was lost.
    pub effect: Option<Receipt>,
    pub answer: Answer,
    /// When the look that it rests on began.
    pub looked_at: Time,
    /// What was true at the moment that the look showed.
    pub seen: Truth,
    /// When the group's numbers were last seen to be what the call takes them for.
    pub read_at: Time,
    /// What was true when the call arrived.
    pub before: Truth,
}

/// What is true of a group at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    pub at: Time,
    pub min: u32,
    pub desired: u32,
    pub max: u32,
    /// Pending and in service, in units.
    pub members: u32,
    /// The weight of each member that counts for more than one unit.
    pub weights: BTreeMap<InstanceId, u32>,
    /// The weight of the heaviest instance that it has or may launch.
    pub heaviest: u32,
    /// In service and healthy everywhere, with since when.
    pub serving: BTreeMap<InstanceId, Time>,
    /// When each member was born.
    pub born: BTreeMap<InstanceId, Time>,
    pub protected: BTreeSet<InstanceId>,
    pub standby: BTreeSet<InstanceId>,
    pub terminating: BTreeSet<InstanceId>,
    /// What everybody but regend wants.
    pub external_desired: u32,
    pub wished_min: u32,
    pub wished_max: u32,
}

/// A group's numbers from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: Time,
    pub members: u32,
    /// And terminating: all that is billed and not in standby.
    pub running: u32,
    /// In units, like all that follows.
    pub serving: u32,
    pub desired: u32,
    pub max: u32,
    pub external_desired: u32,
    pub wished_max: u32,
    /// Members of the fullest zone less those of the emptiest.
    pub slant: u32,
    /// The weight of the heaviest instance that the group has or may launch.
    pub heaviest: u32,
}

impl Moment {
    pub(super) fn of(group: &SimGroup, at: Time) -> Self {
        Self {
            at,
            members: group.count(),
            running: group.members.iter().filter(|i| i.phase != Phase::Standby).count() as u32,
            serving: group.serving().map(|i| i.weight).sum(),
            desired: group.desired,
            max: group.max,
            external_desired: group.external_desired,
            wished_max: group.wished_max,
            slant: group.slant(),
            heaviest: group.heaviest(),
        }
    }
}

impl Truth {
    /// For how many units of desired capacity a member counts.
    pub fn weight(&self, id: &InstanceId) -> u32 {
        self.weights.get(id).copied().unwrap_or(1)
    }

    /// The capacity of these members.
    pub fn units<'a>(&self, ids: impl IntoIterator<Item = &'a InstanceId>) -> u32 {
        ids.into_iter().map(|id| self.weight(id)).sum()
    }

    pub(super) fn of(group: &SimGroup, now: Time) -> Self {
        let born = group.members.iter().map(|i| (i.id.clone(), i.born)).collect();
        let ids = |is: fn(&SimInstance) -> bool| {
            group.members.iter().filter(|i| is(i)).map(|i| i.id.clone()).collect::<BTreeSet<_>>()
        };
        let heavy = group.members.iter().filter(|i| i.weight > 1);
        Self {
            at: now,
            min: group.min,
            desired: group.desired,
            max: group.max,
            members: group.units(),
            weights: heavy.map(|i| (i.id.clone(), i.weight)).collect(),
            heaviest: group.heaviest(),
            serving: group.serving().map(|i| (i.id.clone(), i.first_served.unwrap_or(now))).collect(),
            born,
            protected: ids(|i| i.protected),
            standby: ids(|i| i.phase.is_standby()),
            terminating: ids(|i| i.phase.is_terminating() || i.phase == Phase::Retained),
            external_desired: group.external_desired,
            wished_min: group.wished_min,
            wished_max: group.wished_max,
        }
    }
}
