//! Simulated AWS behind the engine's port.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::rc::Rc;

use super::kill_switch::{IoPoint, KillSwitch, When};
use super::{Host, MemoryJournal, Shared};
use crate::domain::action::{Action, Answer};
use crate::domain::activity::Activity;
use crate::domain::group::{Group, GroupKey, InstanceId, Numbers};
use crate::domain::span::Time;
use crate::engine::clock::Clock;
use crate::engine::ports::{ACTIVITIES, Ask, Cloud, CloudError, Groups, Listed, Observations, Place};
use crate::sim::group::SimGroup;

/// Simulated AWS behind the engine's port, for any clock: each request first lets the world catch up with it.
pub struct SimCloud<K> {
    world: Shared,
    clock: K,
    /// When these were launched: EC2 is not asked about them again, and may not know them the next time.
    known: RefCell<BTreeMap<InstanceId, Time>>,
    kill_switch: KillSwitch,
    host: Host,
}

impl<K: Clock> SimCloud<K> {
    pub fn new(world: Shared, clock: K) -> Self {
        Self { world, clock, known: RefCell::default(), kill_switch: KillSwitch::default(), host: Host::default() }
    }

    /// On the host of a journal, and killed together with its process.
    pub(super) fn of(journal: &MemoryJournal, clock: K) -> Self {
        let (kill_switch, host) = (journal.kill_switch.clone(), journal.host.clone());
        Self { kill_switch, host, ..Self::new(Rc::clone(&journal.world), clock) }
    }

    /// Lets the world catch up, and says whether the process dies of this.
    async fn touch(&self, touch: IoPoint) -> Option<When> {
        let dies = self.kill_switch.burn(touch);
        if dies == Some(When::Before) {
            // A killed process never comes back from this.
            pending::<()>().await;
        }
        self.host.give_way().await;
        self.kill_switch.pass(&self.world, self.host.truly(self.clock.now()));
        self.world.borrow_mut().caller = self.host.number;
        dies
    }

    /// Counts the calls of a sweep as the real adapter makes them.
    fn count(&self, asks: &[Ask], sweep: &Observations) {
        let mut world = self.world.borrow_mut();
        let mut places: BTreeMap<_, u64> = BTreeMap::new();
        for ask in asks {
            *places.entry((&ask.key.account, &ask.key.region)).or_default() += 1;
        }
        world.count("DescribeAutoScalingGroups", places.values().map(|groups| groups.div_ceil(100)).sum());
        let groups: Vec<_> = sweep.values().filter_map(|found| found.as_ref().ok()).collect();
        world.count("DescribeTargetHealth", groups.iter().map(|group| group.target_groups.len() as u64).sum());
        let unseen = groups.iter().flat_map(|g| &g.instances).filter(|i| !self.known.borrow().contains_key(&i.id));
        let unseen: Vec<_> = unseen.map(|i| (i.id.clone(), i.born)).collect();
        world.count("DescribeInstances", u64::from(!unseen.is_empty()));
        world.count("DescribeInstanceRefreshes", asks.iter().filter(|ask| ask.include_refresh).count() as u64);
        self.known.borrow_mut().extend(unseen.into_iter().filter_map(|(id, born)| Some((id, born?))));
    }
}

impl<K: Clock> Cloud for SimCloud<K> {
    fn places(&self) -> Vec<Place> {
        let places: BTreeSet<_> =
            self.world.borrow().keys().map(|key| (key.account.clone(), key.region.clone())).collect();
        places.into_iter().collect()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        self.touch(IoPoint::Look).await;
        let mut world = self.world.borrow_mut();
        world.count("DescribeAutoScalingGroups", 1);
        if world.is_blind() {
            return Err(CloudError::Throttled { action: "autoscaling:DescribeAutoScalingGroups".to_owned() });
        }
        let here = |key: &&GroupKey| (&key.account, &key.region) == (&place.0, &place.1);
        let groups = world.keys().filter(here).filter_map(|key| world.group(key));
        let listed = |group: &SimGroup| Listed { tags: group.tags.clone(), created: Some(group.created) };
        Ok(groups.map(|group| (group.key.clone(), listed(group))).collect())
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        self.touch(IoPoint::Look).await;
        let mut sweep = Observations::new();
        for Ask { key, include_refresh, scalers } in asks {
            let mut world = self.world.borrow_mut();
            let found = if world.is_blind() {
                let exists = world.group(key).is_some();
                let action = "autoscaling:DescribeAutoScalingGroups".to_owned();
                exists.then_some(Err(CloudError::Throttled { action }))
            } else {
                // Each costs calls of its own, so it is only known where it was asked for.
                let seen = world.look(key).map(|group| self.host.looked(group));
                seen.map(|mut group| {
                    for instance in &mut group.instances {
                        instance.born = instance.born.or_else(|| self.known.borrow().get(&instance.id).copied());
                    }
                    let scaled_by = if *scalers { group.scaled_by } else { Vec::new() };
                    Ok(Group { refresh: group.refresh.filter(|_| *include_refresh), scaled_by, ..group })
                })
            };
            sweep.extend(found.map(|found| (key.clone(), found)));
        }
        self.count(asks, &sweep);
        self.world.borrow_mut().travel();
        sweep
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        self.touch(IoPoint::Look).await;
        let mut world = self.world.borrow_mut();
        world.count("DescribeAutoScalingGroups", 1);
        if world.is_blind() {
            return Err(CloudError::Throttled { action: "autoscaling:DescribeAutoScalingGroups".to_owned() });
        }
        Ok(world.numbers(group))
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        self.touch(IoPoint::Look).await;
        let mut world = self.world.borrow_mut();
        world.count("DescribeScalingActivities", 1);
        if world.is_blind() {
            return Err(CloudError::Throttled { action: ACTIVITIES.to_owned() });
        }
        Ok(world.group(group).map(|group| group.activities(since)).unwrap_or_default())
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        let dies = self.touch(IoPoint::Call(action.api())).await;
        if let Some(When::Late(later)) = dies {
            let at = later.after(self.host.truly(self.clock.now()));
            self.kill_switch.late.replace(Some((at, group.clone(), action.clone())));
            pending::<()>().await;
        }
        let answer = self.world.borrow_mut().perform(group, action);
        if dies.is_some() {
            pending::<()>().await;
        }
        answer
    }
}
