//! What comes before any replacing: open intents, other people's doings, the lease, refusals, and too many failures.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, RefusalKind};
use crate::domain::change_detection::TOKEN_LIFE;
use crate::domain::group::Zone;
use crate::domain::lease::{self, Lease, LeftBehind};
use crate::domain::regeneration::{Ending, SETTLE};
use crate::domain::span::{Span, Time};

use super::{Next, View, count};

/// Refusals in a row after which a call is not worth repeating. With the back-off below that is about five minutes.
const REFUSALS_MAX: u32 = 6;
/// From the first lease to the first change. Two daemons that fire at once look within a second or two of each other.
const CONFIRM: Span = Span::seconds(5);
/// First and longest wait after a refusal.
const BACK_OFF: (Span, Span) = (Span::seconds(5), Span::minutes(2));

/// How long to wait after so many failures in a row.
fn back_off(times: u32) -> Span {
    (BACK_OFF.0 * (1 << times.saturating_sub(1).min(8))).min(BACK_OFF.1)
}

impl<'a> View<'a> {
    /// An effect of which nothing is known comes before any other.
    pub(super) fn intent(&mut self) -> Option<Next> {
        let intent = self.known.intent.as_ref()?;
        match &intent.action {
            // Whoever has the group now is not to be disturbed: when the token is too old, the world tells.
            launch @ Action::Launch { .. } if self.holder().is_some() => {
                self.hold(Hold::IntentOpen { api: launch.api().to_owned() })
            }
            // The token makes the same call again safe, and its answer tells which instances came.
            launch @ Action::Launch { .. } if self.now <= TOKEN_LIFE.after(intent.at) => {
                match self.known.unanswered.map(|(times, last)| back_off(times).after(last)) {
                    Some(until) if self.now < until => {
                        self.wake(until);
                        self.hold(Hold::IntentOpen { api: launch.api().to_owned() })
                    }
                    _ => Some(Next::Act(launch.clone())),
                }
            }
            action => self.hold(Hold::IntentOpen { api: action.api().to_owned() }),
        }
    }

    /// Another daemon's lease that is not dead.
    fn holder(&self) -> Option<Lease> {
        Lease::of_another(self.now, self.group, self.me.daemon)
    }

    /// The group is not there to be regenerated, or another daemon has it.
    pub(super) fn check_ownership(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if group.deleting {
            let why = "the group is being deleted".to_owned();
            return Some(self.close(Outcome::Aborted, Some(("GroupDeleted".to_owned(), why))));
        }
        if let Some(lease) = self.holder() {
            // Even under our own regeneration's id: whoever takes a dead lease over goes on with what it was about.
            self.wake(lease.dies());
            let hold = Hold::from(lease);
            return match &known.ending {
                None => self.wait_or_end(hold),
                // What was ours to tidy up has gone over to them with the lease.
                Some(ending) => {
                    if let Some(wait) = self.lacks_members() {
                        return Some(wait);
                    }
                    let why = Some((ending.code.clone(), ending.why.clone()));
                    self.holds.push(hold);
                    Some(self.close(ending.outcome, why))
                }
            };
        }
        None
    }

    /// A look may miss somebody once. The second look without them is believed, and recorded.
    fn lacks_members(&mut self) -> Option<Next> {
        let desired = self.known.desired;
        // One that never came into service is waited for only while something may still be launched.
        let is_over = self.known.ending.is_some() || self.now > self.known.opened.window_ends;
        if !self.known.lacks_members(self.group, is_over) {
            return None;
        }
        self.wake(self.now + TimeDelta::seconds(5));
        self.hold(Hold::Settling { expected: desired, seen: desired })
    }

    /// What is being done to the group by others: never fight it.
    pub(super) fn interference(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if let Some(wait) = self.lacks_members() {
            return Some(wait);
        }
        if known.is_settling(group) {
            return self.hold(Hold::Settling { expected: known.desired, seen: group.desired });
        }
        if group.max != known.max {
            // Either the look is behind, or somebody has just set it: a moment later it is known.
            return self.hold(Hold::MaxSettling { expected: known.max, seen: group.max });
        }
        if group.min != known.min {
            return self.hold(Hold::MinSettling { expected: known.min, seen: group.min });
        }
        let hold = Hold::by_others(group).into_iter().chain(Hold::unverified(group, self.policy)).next()?;
        self.wait_or_end(hold)
    }

    /// Waits for somebody else, but not for ever: when the window is over, what is ours is tidied up.
    pub(super) fn wait_or_end(&mut self, hold: Hold) -> Option<Next> {
        if self.known.ending.is_some() {
            // Tidying up is all that is left, and AWS will say if it cannot be done.
            self.holds.push(hold);
            return None;
        }
        if self.now > self.known.opened.window_ends {
            return Some(Next::End(Ending {
                outcome: Outcome::Incomplete,
                code: hold.code().to_owned(),
                why: hold.to_string(),
            }));
        }
        self.wake(self.known.opened.window_ends + TimeDelta::seconds(1));
        self.hold(hold)
    }

    /// The lease is renewed when little of it is left, whatever else has to wait; and written anew when others changed
    /// what another host would restore.
    pub(super) fn renew(&mut self) -> Option<Next> {
        let lease = self.known.lease.as_ref()?;
        let lasts = self.now < Span::seconds(self.lease_life().as_secs() as u32 / 4).before(lease.until);
        let (max, most) = self.max_sizes();
        let (min, _) = self.known.limits_of_others();
        let fits = (lease.wanted, lease.max) == (self.wanted, max) && lease.most >= most;
        let fits = fits && (!self.shifts || lease.min == Some(min));
        // Whoever manages the group's tags as code takes it away.
        let is_gone = self.is_settled() && self.group.lease.is_none();
        let refusals = &self.known.refusals;
        let retry_at = refusals.last.filter(|_| refusals.in_a_row > 0);
        let is_refused = retry_at.is_some_and(|last| self.now < back_off(refusals.in_a_row).after(last));
        ((!lasts || !fits || is_gone || self.left_behind().is_some()) && !is_refused).then(|| self.write_lease())
    }

    /// Whether the look must show our latest effect.
    fn is_settled(&self) -> bool {
        self.known.last_effect.is_none_or(|at| SETTLE.after(at) < self.group.seen)
    }

    /// The lease is written before the first change.
    pub(super) fn lease(&mut self) -> Option<Next> {
        (self.known.lease.is_none() && self.has_something_to_change()).then(|| self.write_lease())
    }

    /// AWS offers no compare-and-set: another daemon that fired at the same moment may have written its own after ours.
    /// Whoever wrote last has the group, and a moment later both see who it is.
    pub(super) fn confirm_lease(&mut self) -> Option<Next> {
        let until = CONFIRM.after(self.known.leased_at?);
        if self.group.seen >= until {
            return None;
        }
        self.wake(until);
        self.hold(Hold::Leasing { until })
    }

    fn write_lease(&self) -> Next {
        let until = self.lease_life().after(self.now);
        let left = self.left_behind().unwrap_or_default();
        let (max, most) = self.max_sizes();
        let (min, _) = self.known.limits_of_others();
        let lease = Lease {
            regeneration: self.known.id,
            cutoff: self.known.opened.cutoff,
            daemon: self.me.daemon.to_owned(),
            until,
            wanted: self.wanted.saturating_sub(left.surplus),
            surge: self.surge.max(left.surplus),
            min: left.min.or_else(|| self.shifts.then_some(min)),
            max: left.max.unwrap_or(max),
            most,
        };
        Next::Act(Action::TakeLease { value: lease.to_string(), until })
    }

    /// Max size as it was, and the most that we may make of it.
    fn max_sizes(&self) -> (u32, u32) {
        let known = self.known;
        let (_, max) = known.limits_of_others();
        let most = match self.policy.raise_max_size {
            true if self.shifts => max.saturating_add(self.surge.max(known.raised)),
            true => self.wanted.saturating_add(self.surge),
            false => 0,
        };
        (max, most.max(known.max))
    }

    /// The surplus and the max size of a lease that died while this regeneration waited for it, or that was written over
    /// ours: from the moment that our own lease says so, they are ours to undo.
    fn left_behind(&self) -> Option<LeftBehind> {
        let (group, known) = (self.group, self.known);
        // Just after we have written ours, a look may still show the other.
        let is_ours = known.lease.is_some() && !self.is_settled();
        if is_ours || known.released || known.opened.inherited.is_some() {
            return None;
        }
        let lease = Lease::on(group)?;
        if !lease.is_dead(self.now) || lease.is_of(self.me.daemon) || lease.regeneration == known.id {
            return None;
        }
        let LeftBehind { mut surplus, min, max } = lease.left(group);
        // Beyond what its owner could do, somebody has spoken since, and that absorbed the surplus.
        let (least, most) = known.desired_range;
        if least < lease.wanted || lease.wanted.saturating_add(lease.surge) < most {
            surplus = 0;
        }
        // What is ours already is not theirs as well.
        surplus = surplus.saturating_sub(known.raised);
        let min = min.filter(|_| known.min_before.is_none());
        let max = max.filter(|_| known.max_before.is_none());
        let left = LeftBehind { surplus, min, max };
        (left != LeftBehind::default()).then_some(left)
    }

    /// The limits are shifted further than the surplus that is out: others have set desired capacity, or taken it.
    pub(super) fn fit_limits(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if known.lease.is_none() || known.released {
            return None;
        }
        if let Some(before) = known.min_to_restore().filter(|before| group.min - before > known.raised) {
            return Some(Next::Act(Action::RestoreMinSize { from: group.min, to: before + known.raised }));
        }
        let before =
            known.max_to_restore().filter(|before| self.shifts && known.raised == 0 && group.desired <= *before);
        before.map(|before| Next::Act(Action::RestoreMaxSize { from: group.max, to: before }))
    }

    pub(super) fn has_something_to_change(&self) -> bool {
        let replaces = self.known.ending.is_none() && (!self.due.is_empty() || self.failed().is_some());
        let restores = self.known.max_to_restore().is_some_and(|before| self.group.desired <= before);
        let restores = restores || self.known.is_shifted();
        replaces || (self.known.raised > 0 && !self.known.released) || restores || self.left_behind().is_some()
    }

    /// Long enough for all that is due if every batch takes as long as it may; so that most never need renewing.
    pub(super) fn lease_life(&self) -> Span {
        let policy = self.policy;
        let concurrency = self.surge.saturating_add(policy.max_unavailable.rounded_down(self.wanted)).max(1);
        let batches = count(&self.due).div_ceil(concurrency).max(1);
        let batch = policy.launch_timeout + policy.health_timeout + self.warmup;
        let bakes = policy.canary_bake + policy.bake + policy.drain_timeout;
        (batch * batches + bakes).clamp(lease::SHORTEST, lease::LONGEST)
    }

    /// After a refusal: wait, give up, or go another way.
    pub(super) fn refusals(&mut self) -> Option<Next> {
        let refusals = &self.known.refusals;
        let (first, last) = (refusals.first?, refusals.last?);
        if refusals.in_a_row == 0 {
            return None;
        }
        let kind = refusals.kind.unwrap_or(RefusalKind::Invalid);
        // Judged by what was tried, not by the clock alone: it may be that nobody was there to try.
        let often = refusals.in_a_row >= REFUSALS_MAX;
        let hopeless = match kind {
            RefusalKind::Forbidden => true,
            RefusalKind::Invalid => refusals.invalid >= REFUSALS_MAX,
            // A zone without capacity keeps only its own instances waiting.
            RefusalKind::NoCapacity => {
                often && last > self.policy.launch_timeout.after(first) && self.all_refused(first)
            }
            // Slowing down is right as long as there is time.
            RefusalKind::Busy => {
                let late = self.now > self.known.opened.window_ends;
                often && late && last > self.policy.drain_timeout.after(first)
            }
            RefusalKind::NotOffered => false,
        };
        if hopeless {
            let why = format!("{} was refused: {} ({})", refusals.api, refusals.message, refusals.code);
            let code = refusals.code.clone();
            return Some(match self.known.ending {
                None => Next::End(Ending { outcome: Outcome::Failed, code, why }),
                // It cannot even be tidied up: say so, and what is left as it is.
                Some(_) if kind != RefusalKind::NoCapacity => self.close(Outcome::Failed, Some((code, why))),
                Some(_) => return None,
            });
        }
        match kind {
            RefusalKind::NotOffered => return None,
            // Another zone may have some.
            RefusalKind::NoCapacity if !self.dry_zones().is_empty() => return None,
            RefusalKind::NoCapacity if self.known.ending.is_some() => return None,
            _ => {}
        }
        let until = back_off(refusals.in_a_row).after(last);
        if self.now >= until {
            return None;
        }
        self.wake(until);
        let code = refusals.code.clone();
        self.hold(match kind {
            RefusalKind::NoCapacity => Hold::NoCapacity { code, until },
            _ => Hold::BackingOff { code, until },
        })
    }

    /// Whether each zone has refused since then for lack of capacity; where none has launched anything yet, each of the
    /// emptiest, since the others are not asked while these have their share.
    fn all_refused(&self, since: Time) -> bool {
        let refused = |zone: &Zone| self.known.refusals.dry.get(zone).is_some_and(|at| *at >= since);
        let zones = || self.group.zones.iter();
        let least = zones().map(|zone| self.population(zone)).min();
        let has_launched = self.known.newcomers.values().any(|newcomer| newcomer.ours);
        let asked = |zone: &&Zone| has_launched || Some(self.population(zone)) == least;
        zones().count() < 2 || zones().filter(asked).all(refused)
    }

    /// Auto Scaling has not been able to launch regend's surplus for as long as a launch may take.
    pub(super) fn cannot_come(&mut self) -> Option<Next> {
        let since = self.group.short_since.filter(|_| self.known.ending.is_none() && self.known.raised > 0)?;
        let until = self.policy.launch_timeout.after(since) + TimeDelta::seconds(1);
        if self.group.seen < until {
            self.wake(until);
            return None;
        }
        let (live, desired, limit) = (count(&self.live), self.group.desired, self.policy.launch_timeout);
        let why =
            format!("Auto Scaling has not launched what the group lacks for {limit}: {live} members of {desired}");
        Some(Next::End(Ending { outcome: Outcome::Failed, code: "LaunchTimeout".to_owned(), why }))
    }

    pub(super) fn too_many_failures(&mut self) -> Option<Next> {
        let (failures, max) = (self.known.failures, self.policy.max_failures);
        if self.known.ending.is_some() || failures <= max {
            return None;
        }
        let why = format!("{failures} replacements failed, and max_failures allows {max}");
        Some(Next::End(Ending { outcome: Outcome::Failed, code: "TooManyFailures".to_owned(), why }))
    }
}
