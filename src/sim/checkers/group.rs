//! Judges what really happened to a group, apart from what regend's journal says: how many served at every moment, and how
//! the group was left.

use super::{Broken, Checker, floor, is_of, surge};
use crate::domain::action::Action;
use crate::domain::journal::{Entry, Kind};
use crate::domain::lease::Lease;
use crate::domain::policy::Policy;
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::sim::ambiguity::Ambiguity;
use crate::sim::group::SimGroup;
use crate::sim::group_behavior::Direct;
use crate::sim::history::{Call, ExternalChange, Moment, Truth};
use crate::sim::phase::Phase;
use crate::sim::world::World;

/// How long after a call of regend's Auto Scaling may still be doing what the call asked for.
const CONSEQUENCE: Span = Span::minutes(2);

impl Checker {
    /// At every moment as many serve as must, and fewer only by so many as others and fate took away, or as others want
    /// more, since the time that enough served. And desired capacity is never above what others allow and a surge.
    /// Before `from` nothing was promised.
    pub fn judge_group(&mut self, world: &World, entries: &[Entry], policy: &Policy, from: Time) -> Vec<Broken> {
        let mut broken = Vec::new();
        let Some(moments) = world.history.moments.get(&self.key) else { return broken };
        for (n, moment) in moments.iter().enumerate().skip(self.judged.moments) {
            let mut taken = 0;
            // A harm that no moment shows yet waits for the next one.
            while let Some(harm) = world.history.harms.get(self.judged.harms) {
                match harm.group == self.key {
                    true if harm.moment > n => break,
                    true => taken += harm.count,
                    false => {}
                }
                self.judged.harms += 1;
            }
            let floor = floor(policy, moment.external_desired);
            // What the group is created with is no wish for more.
            let rise = if n > 0 { floor.saturating_sub(self.judged.floor) } else { 0 };
            let new = taken + rise;
            if new > 0 {
                self.judged.harmed.push((moment.at, new));
            }
            let missing = floor.saturating_sub(moment.serving);
            // A surplus may serve in the place of what others took away: it is made up for when enough serve without it.
            let surplus = moment.desired.saturating_sub(moment.external_desired);
            let uncovered = (floor + surplus).saturating_sub(moment.serving);
            let explained = self.judged.explained + new;
            if moment.at <= from {
                // Before the opening nothing was promised, and no group is owed more than it had.
                self.judged.explained = missing;
                self.judged.missing_at_opening = missing;
                self.judged.slant = moment.slant;
            } else {
                self.judged.risen += rise;
                // What is missing for a reason stays explained until it is made up for.
                self.judged.explained = explained.min(uncovered).max(missing);
                if missing > explained.max(self.judged.missing_at_opening)
                    && missing > self.beyond_its_control(world, entries, moment, explained)
                {
                    let says = format!(
                        "{} serving (minimum {floor} of {} wanted): {missing} missing, and external events explain {explained}",
                        moment.serving, moment.external_desired
                    );
                    let is_doubtful = self.is_doubtful(world, entries, moment, missing.saturating_sub(explained));
                    let excuse = is_doubtful.then_some(Ambiguity::TakenForLess);
                    broken.push(Broken { promise: 1, at: moment.at, says, excuse });
                }
            }
            self.judged.max = self.judged.max.max(moment.wished_max);
            let most = self.judged.max + surge(policy, self.judged.max, moment.heaviest);
            if moment.desired > most && moment.at > from {
                let says = format!(
                    "desired capacity is {}, and max size {} with a surge is {most}",
                    moment.desired, self.judged.max
                );
                // A mistake happens once. What grows on and on is a surge on top of another.
                let excuse = (moment.desired <= 2 * most).then_some(Ambiguity::TakenForMore);
                broken.push(Broken { promise: 4, at: moment.at, says, excuse });
            }
            self.judged.floor = floor;
        }
        self.judged.moments = moments.len();
        broken
    }

    /// How many may be missing for what regend could not know or keep from happening. It takes long to find out.
    fn beyond_its_control(&self, world: &World, entries: &[Entry], moment: &Moment, explained: u32) -> u32 {
        let owed = explained.max(self.judged.missing_at_opening).max(self.unseen(world, entries, moment));
        owed + self.forced(world, moment) + self.exposed(world, moment) + self.recovered(world, moment)
    }

    /// How many instances that did not serve began to serve between the look on which their retirement rests and its
    /// arrival.
    fn recovered(&self, world: &World, moment: &Moment) -> u32 {
        let recent = |call: &&Call| call.arrived <= moment.at && moment.at <= CONSEQUENCE.after(call.arrived);
        let recovered = |call: &&Call| match &call.action {
            Action::Retire(retire) => {
                let serves = |truth: &Truth| truth.serving.contains_key(&retire.instance);
                serves(&call.before) && !serves(&call.seen)
            }
            _ => false,
        };
        self.effects(world).filter(recent).filter(recovered).count() as u32
    }

    /// What was taken away since the look on which regend's latest calls rest: they could not know of it. Nor could a call
    /// that a dead process intended, and that can only be made again as it was.
    fn unseen(&self, world: &World, entries: &[Entry], moment: &Moment) -> u32 {
        let recent = |call: &&Call| call.arrived <= moment.at && moment.at <= CONSEQUENCE.after(call.arrived);
        let intended = |call: &Call| {
            let intent = entries.iter().find(|entry| entry.event.names_action(&call.action));
            intent.map_or(call.seen.at, |intent| intent.rt.min(call.seen.at))
        };
        let rests_on = |call: &Call| match call.action {
            Action::Launch { .. } => intended(call),
            _ => call.seen.at,
        };
        let Some(seen) = self.effects(world).filter(recent).map(rests_on).min() else { return 0 };
        self.judged.harmed.iter().filter(|(at, _)| *at >= seen).map(|(_, count)| count).sum()
    }

    /// How many members a call of regend's takes from others who wanted more between the look that it rests on and its
    /// arrival: AWS offers no compare-and-set.
    fn forced(&self, world: &World, moment: &Moment) -> u32 {
        let restores = |call: &&Call| matches!(call.action, Action::RestoreMaxSize { .. });
        let recent = |call: &&Call| call.arrived <= moment.at && moment.at <= CONSEQUENCE.after(call.arrived);
        let Some(call) = self.effects(world).filter(restores).filter(recent).last() else { return 0 };
        let between = |touch: &&ExternalChange| (call.seen.at..=call.arrived).contains(&touch.at);
        self.external_changes(world)
            .filter(between)
            .map(|touch| touch.after.desired.saturating_sub(touch.before.desired).get())
            .sum()
    }

    /// How many members a scale-in took while min size did not keep it from that: between the call that put min size back
    /// and the one that retires an instance by name, or since others set min size while a surplus was out. Where the
    /// surplus does not serve, Auto Scaling may choose one that does: AWS has no call for both at once.
    fn exposed(&self, world: &World, moment: &Moment) -> u32 {
        let puts_back = |call: &&Call| matches!(call.action, Action::RestoreMinSize { .. });
        let put_back = self.effects(world).filter(puts_back).map(|call| call.arrived);
        let set =
            self.external_changes(world).filter(|touch| touch.before.min != touch.after.min).map(|touch| touch.at);
        let grows = |call: &&Call| matches!(call.action, Action::Grow { .. }) && call.arrived <= moment.at;
        let grown = self.effects(world).filter(grows).map(|call| call.arrived).max();
        let since = put_back.chain(set).filter(|at| *at <= moment.at && Some(*at) >= grown).min();
        let Some(since) = since else { return 0 };
        let moments = world.history.moments.get(&self.key).map_or(&[][..], Vec::as_slice);
        let had_surplus = |touch: &&ExternalChange| {
            let before = moments.iter().take_while(|moment| moment.at < touch.at).last();
            before.is_some_and(|moment| moment.desired > moment.external_desired)
        };
        let exposed =
            self.external_changes(world).filter(|touch| (since..=moment.at).contains(&touch.at)).filter(had_surplus);
        exposed.map(|touch: &ExternalChange| touch.before.desired.saturating_sub(touch.after.desired).get()).sum()
    }

    /// Others' changes of the group's numbers.
    fn external_changes<'w>(&self, world: &'w World) -> impl Iterator<Item = &'w ExternalChange> {
        let key = self.key.clone();
        world.history.external_changes.iter().filter(move |touch| touch.group == key)
    }

    /// Whether regend may be mistaken about how many others want: they began to want as many more as are missing, a launch
    /// leaves desired capacity as it is, the daemon that knew it is lost, or the record says fewer.
    fn is_doubtful(&self, world: &World, entries: &[Entry], moment: &Moment, missing: u32) -> bool {
        let direct = world.group(&self.key).map(|group| group.behavior.direct);
        missing <= self.judged.risen
            || direct == Some(Direct::KeepsDesired)
            || self.is_handed_over(world)
            || self.believed(entries, moment.at).is_some_and(|wanted| wanted < moment.external_desired)
    }

    /// How many others wanted then, as the record has it.
    fn believed(&self, entries: &[Entry], at: Time) -> Option<u32> {
        let opened = entries.iter().rfind(|e| e.kind() == Kind::RegenerationOpened && is_of(e, &self.key))?;
        let until = entries.iter().filter(|e| e.regeneration == opened.regeneration && e.rt <= at);
        Some(Regeneration::recover(until).ok()??.wanted().get())
    }

    /// Whether a second daemon took over from a first.
    fn is_handed_over(&self, world: &World) -> bool {
        let daemon = |call: &Call| match &call.action {
            Action::TakeLease { value, .. } => value.parse::<Lease>().ok().map(|lease| lease.daemon),
            _ => None,
        };
        let daemons: Vec<_> = self.effects(world).filter_map(daemon).collect();
        daemons.windows(2).any(|pair| pair[0] != pair[1])
    }

    /// The calls of whichever regend that had an effect.
    fn effects<'w>(&self, world: &'w World) -> impl Iterator<Item = &'w Call> {
        let key = self.key.clone();
        world.history.calls.iter().filter(move |call| call.group == key && call.effect.is_some())
    }

    /// When nothing is open any more: the limits are as others left them, and regend has unbalanced no zones.
    pub fn judge_group_at_end(&self, world: &World) -> Vec<Broken> {
        let mut broken = Vec::new();
        let Some(group) = world.group(&self.key) else { return broken };
        let mut no = |at, excuse, says| broken.push(Broken { promise: 3, at, says, excuse });
        if group.min != group.wished_min {
            let says = format!("min size is {}, and was {}", group.min, group.wished_min);
            no(world.now(), Some(Ambiguity::TakenForMore), says);
        }
        let slant = group.slant();
        if slant > self.judged.slant.max(1) && group.is_unbalanced_by_regend() && is_free_to_balance(group) {
            let says = format!("the zones differ by {slant} instances, and by {} before", self.judged.slant);
            no(world.now(), None, says);
        }
        for (at, _, zone) in world.history.emptied.iter().filter(|(_, key, _)| *key == self.key) {
            // Where more are wanted than regend can know, more belong into each zone.
            let excuse = Some(Ambiguity::TakenForLess);
            no(*at, excuse, format!("zone {zone} has no capacity, and its last serving instance was terminated"));
        }
        broken
    }
}

/// Nothing keeps a group from launching in each of its zones and from terminating in each.
fn is_free_to_balance(group: &SimGroup) -> bool {
    let standby = group.members.iter().any(|i| i.phase == Phase::Standby || i.phase.is_standby());
    let runs = |process: &&str| !group.suspended.contains_key(*process);
    (group.desired..group.desired + group.heaviest()).contains(&group.units())
        && group.capacity.is_empty()
        && !group.deleting
        && !standby
        && ["Launch", "Terminate"].iter().all(runs)
}
