//! The loop's one step for one group: observe → decide → (veto) → intend → perform → conclude.

use std::rc::Rc;

use crate::domain::action::Hold;
use crate::domain::decision::{self, Decision, Next, Owner};
use crate::domain::group::Group;
use crate::domain::journal::{Entry, Event, Vetoed};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Span;
use crate::domain::veto::veto;
use crate::engine::clock::Clock;
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

pub use active::{Active, Step};
pub(super) use recorder::group_gone;

mod active;
mod causes;
mod changes;
mod effect;
mod orders;
mod recorder;
mod refresh_checks;

/// When to observe again, where others change a group's numbers at this moment.
const CHANGED_AGAIN: Span = Span::seconds(1);

/// When to observe again, where it is not known yet who changed desired capacity.
const OBSERVE_AGAIN: Span = Span::seconds(5);

/// Everything a step works with, and who watches.
pub struct Reconciler<'a, C, J, K> {
    pub cloud: &'a C,
    pub journal: &'a J,
    pub clock: &'a K,
    /// The number of regenerations that the process has open, for the life of the lease.
    pub open_groups: u32,
    pub tell: &'a dyn Fn(&Entry, &Regeneration),
}

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// One turn on one look.
    ///
    /// # Errors
    /// The journal cannot be written, or the program contradicts itself: nothing more may be done.
    pub async fn reconcile(&self, active: &mut Active, group: Group) -> Result<Step, Stop> {
        active.commanded = false;
        let group = active.health.take(group, &active.regeneration);
        active.note_look(&group);
        let effect = active.regeneration.last_effect;
        if let Some(hold) = self.record_changes(active, &group).await? {
            // Whose doing a difference is decides what is wanted, so nothing is decided before that is known.
            let again = OBSERVE_AGAIN.after(self.clock.now());
            active.shown = Some(Rc::new((group, vec![hold])));
            return Ok(Step::Wait(Some(again)));
        }
        if active.commanded || active.regeneration.last_effect > effect.max(Some(group.seen)) {
            // The look has shown what became of a call. What comes next rests on one that began after that was known.
            return Ok(Step::Acted);
        }
        let daemon = self.journal.writer().to_owned();
        let now = self.clock.now();
        let owner = Owner { daemon: &daemon, open_groups: self.open_groups };
        let decision = decision::decide(now, owner, &group, &active.regeneration);
        let Decision { next, mut holds, look_again_at } = decision;
        let mut reconcile = match next {
            Next::Act(action) => match veto(now, &group, &active.regeneration, &action) {
                Ok(()) if active.lacks_close_look(&group, &action) => {
                    active.include_refresh = true;
                    Step::Acted
                }
                Ok(()) if action.overwrites_capacity() && self.has_changed(active, &group).await? => {
                    Step::Wait(Some(CHANGED_AGAIN.after(now)))
                }
                // What was decided before a command is not done after it.
                Ok(()) if active.commanded => Step::Acted,
                Ok(()) => {
                    self.effect(active, &group, action).await?;
                    Step::Acted
                }
                Err(veto) => {
                    let hold = Hold::Vetoed { message: format!("{action}: {veto}") };
                    if !active.regeneration.held.contains(hold.code()) {
                        let message = veto.to_string();
                        self.record(active, Event::ActionVetoed(Vetoed { action, message })).await?;
                    }
                    holds.push(hold);
                    Step::Wait(look_again_at)
                }
            },
            Next::End(ending) => {
                self.record(active, Event::RegenerationAborted(ending)).await?;
                Step::Acted
            }
            Next::Close(close) => Step::Closed(self.close(active, &group, close).await?),
            Next::Wait => Step::Wait(look_again_at),
        };
        // After an effect the next look says what holds it now, if anything still does.
        if matches!(reconcile, Step::Wait(_)) {
            holds.extend(self.why_short(active, &group, &holds).await?);
            self.note_holds(active, &holds).await?;
        }
        // While AWS throttles, an observation before the next attempt would only be one more call.
        if let (Step::Acted, Some(hold)) = (&reconcile, active.regeneration.refusals.throttled()) {
            reconcile = Step::Wait(active.regeneration.refusals.retry_at());
            holds.push(hold);
        }
        active.ask_in_passing(group.seen);
        active.shown = Some(Rc::new((group, holds)));
        Ok(reconcile)
    }
}
