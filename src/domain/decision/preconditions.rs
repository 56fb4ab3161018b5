//! The rules that come before any replacement: open intents, interference, the lease, refusals, and too many failures.

use chrono::TimeDelta;

use crate::domain::action::{Action, Hold, Outcome, RefusalKind};
use crate::domain::capacity::Units;
use crate::domain::change_detection::TOKEN_LIFE;
use crate::domain::group::Zone;
use crate::domain::journal::{Aborted, Cause};
use crate::domain::lease::{self, Lease, LeftBehind};
use crate::domain::regeneration::{SETTLE, back_off};
use crate::domain::span::{Span, Time};

use super::{Next, View};

/// Consecutive refusals after which a call is no longer repeated. With the back-off this takes about five minutes.
const REFUSALS_MAX: u32 = 6;
/// The time between writing the lease and the first change. Two daemons with the same schedule observe the group within
/// a second or two of each other.
const CONFIRM: Span = Span::seconds(5);
impl<'a> View<'a> {
    /// A call whose outcome is unknown comes before any other.
    pub(super) fn intent(&mut self) -> Option<Next> {
        let intent = self.known.intent.as_ref()?;
        match &intent.action {
            // The lease has ended or another daemon has it, so the launch is not repeated: once the token has expired,
            // an observation shows whether it took effect.
            launch @ Action::Launch { .. } if self.has_lease_ended() || self.other_lease().is_some() => {
                self.hold(Hold::IntentOpen { api: launch.api().to_owned() })
            }
            // The token makes it safe to repeat the call, and the response names the launched instances.
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

    /// The live lease of another daemon, unless an operator wants it to be overwritten.
    fn other_lease(&self) -> Option<Lease> {
        Lease::of_another(self.now, self.group, self.me.daemon).filter(|lease| !self.known.may_overwrite(lease))
    }

    /// Closes or waits if the group is being deleted, or another daemon has the lease.
    pub(super) fn check_ownership(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if group.deleting {
            let cause = Cause::new("GroupDeleted", "the group is being deleted");
            return Some(self.close(Outcome::Aborted, Some(cause)));
        }
        if let Some(lease) = self.other_lease() {
            if known.claimed.as_ref() == Some(&lease.daemon)
                && let Some(until) = known.leased_at.map(|at| SETTLE.after(at)).filter(|until| group.seen <= *until)
            {
                // The observation may still show the lease that this daemon has just overwritten.
                self.wake(until);
                return self.hold(Hold::Leasing { until });
            }
            // This holds even if the lease carries the id of this regeneration: a daemon that takes over an expired
            // lease continues its regeneration.
            self.wake(lease.expires());
            let hold = Hold::from(lease);
            return match &known.ending {
                None => self.wait_or_end(hold),
                // The obligation to restore the group has passed to the other daemon with the lease.
                Some(ending) => {
                    if let Some(wait) = self.lacks_members() {
                        return Some(wait);
                    }
                    self.holds.push(hold);
                    Some(self.close(ending.outcome, Some(ending.cause.clone())))
                }
            };
        }
        None
    }

    /// An operator paused the group: nothing is done to it but what keeps the lease, at most until the window ends.
    pub(super) fn paused(&mut self) -> Option<Next> {
        let pause = self.known.paused.as_ref().filter(|_| self.known.ending.is_none())?;
        self.wait_or_end(Hold::paused(&self.known.group.name, pause))
    }

    /// Ends the regeneration of a group that has become one that regend must not touch. What regend has changed is then
    /// restored.
    pub(super) fn end_if_unsupported(&self) -> Option<Next> {
        let hold = Hold::unsupported(self.group).filter(|_| self.known.ending.is_none())?;
        Some(Next::End(Aborted { outcome: Outcome::Incomplete, cause: Cause::from(&hold) }))
    }

    /// An observation may lack a member once. Only a second observation without it is believed, and recorded.
    fn lacks_members(&mut self) -> Option<Next> {
        let desired = self.known.desired;
        // An instance that never came into service is awaited only while launches are still allowed.
        let is_over = self.known.ending.is_some() || self.now > self.known.opened.window_ends;
        if !self.known.lacks_members(self.group, is_over) {
            return None;
        }
        self.wake(self.now + TimeDelta::seconds(5));
        self.hold(Hold::Settling { expected: desired, seen: desired })
    }

    /// Waits while an operator or AWS is changing the group.
    pub(super) fn interference(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if let Some(wait) = self.lacks_members() {
            return Some(wait);
        }
        if known.is_settling(group) {
            return self.hold(Hold::Settling { expected: known.desired, seen: group.desired });
        }
        if group.max != known.max {
            // Either the observation is behind, or the value was just changed externally: the next observation tells.
            return self.hold(Hold::MaxSettling { expected: known.max, seen: group.max });
        }
        if group.min != known.min {
            return self.hold(Hold::MinSettling { expected: known.min, seen: group.min });
        }
        let hold = Hold::by_others(group).into_iter().chain(Hold::unverified(group, self.policy)).next()?;
        self.wait_or_end(hold)
    }

    /// Waits until the hold ends, but at most until the window ends: then the regeneration ends and restores the group.
    pub(super) fn wait_or_end(&mut self, hold: Hold) -> Option<Next> {
        if self.known.ending.is_some() {
            // Only the restoration is left, and AWS refuses it if it is not possible.
            self.holds.push(hold);
            return None;
        }
        if self.now > self.known.opened.window_ends {
            return Some(Next::End(Aborted { outcome: Outcome::Incomplete, cause: Cause::from(&hold) }));
        }
        self.wake(self.known.opened.window_ends + TimeDelta::seconds(1));
        self.hold(hold)
    }

    /// Renews the lease when only its reserve is left, and rewrites it when the values that another daemon would restore
    /// have changed.
    pub(super) fn renew(&mut self) -> Option<Next> {
        let lease = self.known.lease.as_ref()?;
        let is_current = self.now < lease::reserve(self.me.open_groups).before(lease.until);
        let (max, max_allowed) = self.max_sizes();
        let (min, _) = self.known.limits_of_others();
        let is_accurate = (lease.wanted, lease.max) == (self.wanted, max) && lease.max_allowed >= max_allowed;
        let is_accurate = is_accurate && (!self.shifts || lease.min == Some(min));
        // A tool that manages the group's tags as code may have removed the lease tag.
        let is_gone = self.is_settled() && self.group.lease.is_none();
        let is_refused = self.known.refusals.retry_at().is_some_and(|at| self.now < at);
        ((!is_current || !is_accurate || is_gone || self.left_behind().is_some()) && !is_refused)
            .then(|| self.write_lease())
    }

    /// Whether this daemon's lease has ended, by its own clock: nothing may be changed before it is renewed.
    fn has_lease_ended(&self) -> bool {
        self.known.lease.as_ref().is_some_and(|lease| lease.until <= self.now)
    }

    /// Whether the observation began late enough to show regend's latest effect.
    fn is_settled(&self) -> bool {
        self.known.last_effect.is_none_or(|at| SETTLE.after(at) < self.group.seen)
    }

    /// Writes the lease before the first change.
    pub(super) fn lease(&mut self) -> Option<Next> {
        (self.known.lease.is_none() && self.has_something_to_change()).then(|| self.write_lease())
    }

    /// Waits until the lease is confirmed. AWS offers no compare-and-set, so another daemon with the same schedule may
    /// have written its lease at the same moment. The last write counts, and after this wait both daemons see it.
    pub(super) fn confirm_lease(&mut self) -> Option<Next> {
        let until = CONFIRM.after(self.known.leased_at?);
        if self.group.seen >= until {
            return None;
        }
        self.wake(until);
        self.hold(Hold::Leasing { until })
    }

    fn write_lease(&self) -> Next {
        let until = lease::life(self.me.open_groups).after(self.now);
        let left = self.left_behind().unwrap_or_default();
        let (max, max_allowed) = self.max_sizes();
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
            max_allowed,
        };
        Next::Act(Action::TakeLease { value: lease.to_string(), until })
    }

    /// Max size without regend's shift, and the highest value that regend may set.
    fn max_sizes(&self) -> (Units, Units) {
        let known = self.known;
        let (_, max) = known.limits_of_others();
        let highest = match self.policy.raise_max_size {
            true if self.shifts => max.saturating_add(self.surge.max(known.raised)),
            true => self.wanted.saturating_add(self.surge),
            false => Units::ZERO,
        };
        (max, highest.max(known.max))
    }

    /// The surplus and the limits of another daemon's lease that expired while this regeneration waited for it, that
    /// overwrote this daemon's lease, or that is to be taken over. Once this daemon's lease states them, this
    /// regeneration must undo them.
    fn left_behind(&self) -> Option<LeftBehind> {
        let (group, known) = (self.group, self.known);
        // Just after this daemon has written its lease, an observation may still show the other one.
        let is_pending = known.lease.is_some() && !self.is_settled();
        if is_pending || known.released {
            return None;
        }
        let lease = Lease::on(group)?;
        let is_over = lease.is_dead(self.now) || known.may_overwrite(&lease);
        // The opening has taken over what this daemon left, or this regeneration itself under an earlier name.
        let inherited = known.opened.inherited.as_ref().map(|inherited| &inherited.daemon);
        let earlier = known.lease.as_ref().map(|own| &own.daemon);
        let is_known = inherited == Some(&lease.daemon) || earlier == Some(&lease.daemon);
        if !is_over || is_known || lease.is_of(self.me.daemon) {
            return None;
        }
        let LeftBehind { mut surplus, min, max } = lease.left(group);
        // A desired capacity that the owner of that lease cannot have set was changed externally since, and that change
        // absorbed the surplus.
        let (least, most) = known.desired_range;
        if least < lease.wanted || lease.wanted.saturating_add(lease.surge) < most {
            surplus = Units::ZERO;
        }
        // What this regeneration has to undo already does not count twice.
        surplus = surplus.saturating_sub(known.raised);
        let min = min.filter(|_| known.min_before.is_none());
        let max = max.filter(|_| known.max_before.is_none());
        let left = LeftBehind { surplus, min, max };
        (left != LeftBehind::default()).then_some(left)
    }

    /// Reduces the shift of the limits to the present surplus, after an external change or a scale-in reduced the
    /// surplus.
    pub(super) fn fit_limits(&mut self) -> Option<Next> {
        let (group, known) = (self.group, self.known);
        if known.lease.is_none() || known.released {
            return None;
        }
        if let Some(before) = known.min_to_restore().filter(|before| group.min - *before > known.raised) {
            return Some(Next::Act(Action::RestoreMinSize { from: group.min, to: before + known.raised }));
        }
        let before = known
            .max_to_restore()
            .filter(|before| self.shifts && known.raised == Units::ZERO && group.desired <= *before);
        before.map(|before| Next::Act(Action::RestoreMaxSize { from: group.max, to: before }))
    }

    pub(super) fn has_something_to_change(&self) -> bool {
        let replaces = self.known.ending.is_none() && (!self.due.is_empty() || self.failed().is_some());
        let restores = self.known.max_to_restore().is_some_and(|before| self.group.desired <= before);
        let restores = restores || self.known.is_shifted();
        replaces
            || (self.known.raised > Units::ZERO && !self.known.released)
            || restores
            || self.left_behind().is_some()
    }

    /// After a refusal: waits, ends the regeneration, or lets another rule find another way.
    pub(super) fn refusals(&mut self) -> Option<Next> {
        let refusals = &self.known.refusals;
        let (first, last, until) = (refusals.first?, refusals.last?, refusals.retry_at()?);
        let kind = refusals.kind.unwrap_or(RefusalKind::Invalid);
        // The number of attempts counts, not only the time: regend may not have been running.
        let often = refusals.in_a_row >= REFUSALS_MAX;
        let is_final = match kind {
            RefusalKind::Forbidden => true,
            RefusalKind::Invalid => refusals.invalid >= REFUSALS_MAX,
            // A zone without capacity delays only the replacements in that zone.
            RefusalKind::NoCapacity => {
                often && last > self.policy.launch_timeout.after(first) && self.all_refused(first)
            }
            // While the window is open, backing off is enough.
            RefusalKind::Throttled | RefusalKind::Busy => {
                let late = self.now > self.known.opened.window_ends;
                often && late && last > self.policy.drain_timeout.after(first)
            }
            RefusalKind::NotOffered => false,
        };
        if is_final {
            let message = format!("AWS refused {}: {} ({})", refusals.api, refusals.message, refusals.code);
            let cause = Cause::new(&refusals.code, message);
            return Some(match self.known.ending {
                None => Next::End(Aborted { outcome: Outcome::Failed, cause }),
                // Not even the restoration is possible: close, and record what was not restored.
                Some(_) if kind != RefusalKind::NoCapacity => self.close(Outcome::Failed, Some(cause)),
                Some(_) => return None,
            });
        }
        match kind {
            // Nothing else can be done before the lease is renewed, and that waits too.
            _ if self.has_lease_ended() => {}
            RefusalKind::NotOffered => return None,
            // Another zone may have capacity.
            RefusalKind::NoCapacity if !self.dry_zones().is_empty() => return None,
            RefusalKind::NoCapacity if self.known.ending.is_some() => return None,
            _ => {}
        }
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

    /// Whether each zone has refused a launch since then for lack of capacity. Before the first successful launch only
    /// the emptiest zones count, because regend launches in those first.
    fn all_refused(&self, since: Time) -> bool {
        let refused = |zone: &Zone| self.known.refusals.dry.get(zone).is_some_and(|at| *at >= since);
        let zones = || self.group.zones.iter();
        let least = zones().map(|zone| self.population(zone)).min();
        let has_launched = self.known.newcomers.values().any(|newcomer| newcomer.ours);
        let is_tried = |zone: &&Zone| has_launched || Some(self.population(zone)) == least;
        zones().count() < 2 || zones().filter(is_tried).all(refused)
    }

    /// Ends the regeneration if Auto Scaling has not launched the surplus within `launch_timeout`.
    pub(super) fn surplus_overdue(&mut self) -> Option<Next> {
        let since =
            self.group.short_since.filter(|_| self.known.ending.is_none() && self.known.raised > Units::ZERO)?;
        let until = self.policy.launch_timeout.after(since) + TimeDelta::seconds(1);
        if self.group.seen < until {
            self.wake(until);
            return None;
        }
        let (live, desired, limit) = (self.live(), self.group.desired, self.policy.launch_timeout);
        let why = format!(
            "Auto Scaling has not launched the missing instances within {limit}: {live} members, desired capacity {desired}"
        );
        Some(Next::End(Aborted { outcome: Outcome::Failed, cause: Cause::new("LaunchTimeout", why) }))
    }

    /// Ends the regeneration when more than `max_failures` replacements have failed.
    pub(super) fn too_many_failures(&mut self) -> Option<Next> {
        let (failures, max) = (self.known.failures, self.policy.max_failures);
        if self.known.ending.is_some() || failures <= max {
            return None;
        }
        let why = format!("{failures} replacements failed (limit {max})");
        Some(Next::End(Aborted { outcome: Outcome::Failed, cause: Cause::new("TooManyFailures", why) }))
    }
}
