//! One effect on AWS: the intent is durable before the call, its outcome after it.

use super::{Active, Reconciler};
use crate::domain::action::{Action, Answer, Refusal};
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{Call, Event};
use crate::domain::span::Span;
use crate::engine::clock::{Clock, unless_stopped};
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

/// How long a call in flight may still take when the program is asked to stop. Most are answered by then; and the one who
/// stops it is to wait no longer than five seconds, with what there is to write down and to say.
const LAST_WORD: Span = Span::seconds(4);

/// How long after it began an observation is good for changing a group's numbers without asking for them again.
const OBSERVATION_LASTS: Span = Span::seconds(1);

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// The intent is durable, then exactly one call is made, then its outcome is recorded.
    pub(super) async fn effect(&self, active: &mut Active, group: &TrackedGroup, action: Action) -> Result<(), Stop> {
        let repeats = active.regeneration.intent.is_some();
        let intent = match &active.regeneration.intent {
            // The repeat of a call whose answer was lost: the intent is on disk already.
            Some(intent) => intent.id,
            None => {
                let intended = self.intended(active, group, &action);
                self.record(active, intended).await?.id
            }
        };
        let started = self.clock.now();
        let key = active.regeneration.group.clone();
        let call = unless_stopped(self.clock, LAST_WORD, self.cloud.perform(&key, &action));
        let answer = self.attend(active, call).await?.unwrap_or_else(|| Answer::Unknown {
            error: format!("regend was told to stop, and waited {LAST_WORD} more for it"),
        });
        let took_ms = u64::try_from((self.clock.now() - started).num_milliseconds()).unwrap_or_default();
        let unanswered =
            |request_id| Call { api: action.api().to_owned(), request_id, activity_id: None, took_ms: Some(took_ms) };
        let event = match answer {
            Answer::Done(receipt) => Event::done(&action, intent, took_ms, receipt),
            // That the repeat was refused says nothing of what the first call did.
            Answer::Refused(Refusal { code, message, request, kind })
                if repeats && !kind.disproves_earlier_launch() =>
            {
                Event::unknown(&action, intent, unanswered(request), message, Some(code))
            }
            Answer::Refused(refusal) => Event::refused(&action, intent, Some(took_ms), refusal),
            Answer::Unknown { error } => Event::unknown(&action, intent, unanswered(None), error, None),
        };
        self.record(active, event).await?;
        Ok(())
    }

    /// Whether the group's numbers differ from the observation, which can have taken long, or cannot be read.
    pub(super) async fn has_changed(&self, active: &mut Active, group: &TrackedGroup) -> Result<bool, Stop> {
        let is_fresh = self.clock.now() < OBSERVATION_LASTS.after(group.seen);
        // Where AWS says that it is asked too much, one question less is what lets the call through.
        if is_fresh || active.regeneration.refusals.in_a_row > 0 {
            return Ok(false);
        }
        let numbers = unless_stopped(self.clock, Span::ZERO, self.cloud.numbers(&group.key));
        let numbers = self.attend(active, numbers).await?;
        Ok(numbers.and_then(Result::ok).flatten() != Some(group.numbers()))
    }
}
