//! What comes before any replacing: open intents, other people's doings, the lease, refusals, and too many failures.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, RefusalKind};
use crate::domain::lease::{self, Lease};
use crate::domain::notice::TOKEN_LIFE;
use crate::domain::regeneration::{Ending, SETTLE};
use crate::domain::span::Span;

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
    pub(super) fn taken_away(&mut self) -> Option<Next> {
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
                None => self.out_of_our_hands(hold),
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
        if !self.known.lacks_members(self.group) {
            return None;
        }
        self.wake(self.now + TimeDelta::seconds(5));
        self.hold(Hold::Settling { expected: desired, seen: desired })
    }

    /// What is being done to the group by others: never fight it.
    pub(super) fn interference(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if known.paused {
            return self.hold(Hold::Paused);
        }
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
        let hold = Hold::by_others(group).into_iter().chain(Hold::unverified(group, self.policy)).next()?;
        self.out_of_our_hands(hold)
    }

    /// Waits for somebody else, but not for ever: when the window is over, what is ours is tidied up.
    pub(super) fn out_of_our_hands(&mut self, hold: Hold) -> Option<Next> {
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
        let fits = (lease.wanted, lease.max) == (self.wanted, max) && lease.most >= most;
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
        let (surplus, left) = self.left_behind().unwrap_or_default();
        let (max, most) = self.max_sizes();
        let lease = Lease {
            regeneration: self.known.id,
            cutoff: self.known.opened.cutoff,
            daemon: self.me.daemon.to_owned(),
            until,
            wanted: self.wanted.saturating_sub(surplus),
            surge: self.surge.max(surplus),
            max: left.unwrap_or(max),
            most,
        };
        Next::Act(Action::TakeLease { value: lease.to_string(), until })
    }

    /// Max size as it was, and the most that we may make of it.
    fn max_sizes(&self) -> (u32, u32) {
        let known = self.known;
        let most = if self.policy.raise_max_size { self.wanted.saturating_add(self.surge) } else { 0 };
        (known.max_before.unwrap_or(known.max), most.max(known.max))
    }

    /// The surplus and the max size of a lease that died while this regeneration waited for it, or that was written over
    /// ours: from the moment that our own lease says so, they are ours to undo.
    fn left_behind(&self) -> Option<(u32, Option<u32>)> {
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
        let (mut surplus, max) = lease.left(group);
        // Beyond what its owner could do, somebody has spoken since, and that absorbed the surplus.
        let (least, most) = known.desired_range;
        if least < lease.wanted || lease.wanted.saturating_add(lease.surge) < most {
            surplus = 0;
        }
        // What is ours already is not theirs as well.
        surplus = surplus.saturating_sub(known.raised);
        let max = max.filter(|_| known.max_before.is_none());
        (surplus > 0 || max.is_some()).then_some((surplus, max))
    }

    pub(super) fn has_something_to_change(&self) -> bool {
        let replaces = self.known.ending.is_none() && (!self.due.is_empty() || self.failed().is_some());
        let restores = self.known.max_to_restore().is_some_and(|before| self.group.desired <= before);
        replaces || (self.known.raised > 0 && !self.known.released) || restores || self.left_behind().is_some()
    }

    /// Long enough for all that is due if every batch takes as long as it may; so that most never need renewing.
    pub(super) fn lease_life(&self) -> Span {
        let policy = self.policy;
        let abreast = self.surge.saturating_add(policy.max_unavailable.rounded_down(self.wanted)).max(1);
        let batches = count(&self.due).div_ceil(abreast).max(1);
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
            RefusalKind::NoCapacity => often && last > self.policy.launch_timeout.after(first),
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
            RefusalKind::NoCapacity if (1..self.group.zones.len()).contains(&self.dry_zones().len()) => return None,
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

    pub(super) fn too_many_failures(&mut self) -> Option<Next> {
        let (failures, max) = (self.known.failures, self.policy.max_failures);
        if self.known.ending.is_some() || failures <= max {
            return None;
        }
        let why = format!("{failures} replacements failed, and max_failures allows {max}");
        Some(Next::End(Ending { outcome: Outcome::Failed, code: "TooManyFailures".to_owned(), why }))
    }
}
