//! The loop's one turn for one group: observe → decide → (veto) → intend → perform → conclude.

use crate::domain::action::{Action, Answer, Hold, Outcome, Refusal};
use crate::domain::change_detection;
use crate::domain::decision::{self, Close, DaemonId, Decision, Next};
use crate::domain::entry::{Aws, Capacity, Conclusion, Entry, Kind, Role};
use crate::domain::group::{Group, Instance, Lifecycle};
use crate::domain::health_tracker::HealthTracker;
use crate::domain::regeneration::{Ending, Illegal, Regeneration, THEIRS};
use crate::domain::span::{Span, Time};
use crate::domain::veto::veto;
use crate::engine::clock::{Clock, unless_stopped};
use crate::engine::ports::Cloud;
use crate::engine::ports::{Journal, JournalError};

mod causes;
mod refresh_checks;

/// More news than this from one look means that an entry does not change what made it news.
const DETECTION_ROUNDS_MAX: usize = 16;

/// How long a call in flight may still take when the program is asked to stop. Most are answered by then; and whoever
/// stops it is to wait no longer than five seconds, with what there is to write down and to say.
const LAST_WORD: Span = Span::seconds(4);

/// How long after it began a look is good for changing a group's numbers without asking for them again.
const LOOK_LASTS: Span = Span::seconds(1);

/// When to look again, where somebody changes a group's numbers just then.
const CHANGED_AGAIN: Span = Span::seconds(1);

/// When to look again, where it is not known yet who changed desired capacity.
const LOOK_AGAIN: Span = Span::seconds(5);

/// A regeneration under way, with what only its own process remembers.
pub struct Active {
    pub regeneration: Regeneration,
    pub health: HealthTracker,
    /// Look closely the next time: see [`crate::engine::ports::Ask`].
    pub include_refresh: bool,
    pub look_at: Time,
    /// The latest look and why nothing more happens now, for whoever watches.
    pub shown: Option<(Group, Vec<Hold>)>,
    /// When the group was last asked why it does not launch what it lacks, and what it said.
    asked: Option<(Time, Option<Hold>)>,
    /// The latest look that asked for instance refreshes.
    asked_refresh: Option<Time>,
    /// Since when looks have shown a desired capacity that others set, while Auto Scaling does not tell who did.
    unattributed: Option<Time>,
}

impl Active {
    /// A regeneration at which this process has not looked yet.
    pub fn new(regeneration: Regeneration, look_at: Time) -> Self {
        Self {
            regeneration,
            health: HealthTracker::default(),
            include_refresh: true,
            look_at,
            shown: None,
            asked: None,
            asked_refresh: None,
            unattributed: None,
        }
    }
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Something was done: look again at once.
    Acted,
    /// Look again at this time, or earlier.
    Wait(Option<Time>),
    Closed(Outcome),
}

/// Why the loop cannot go on. AWS is not touched after this.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal contradicts itself: {0}. This is a bug or a damaged journal; nothing more is done")]
    Illegal(#[from] Illegal),
    #[error("the same look at {0} kept bringing news. This is a bug; nothing more is done")]
    DetectionDiverged(String),
}

/// Everything a turn works with, and who watches.
pub struct Reconciler<'a, C, J, K> {
    pub cloud: &'a mut C,
    pub journal: &'a mut J,
    pub clock: &'a K,
    pub tell: &'a mut dyn FnMut(&Entry, &Regeneration),
}

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// One turn on one look.
    ///
    /// # Errors
    /// The journal cannot be written, or the program contradicts itself: nothing more may be done.
    pub async fn reconcile(&mut self, active: &mut Active, mut group: Group) -> Result<Step, Stop> {
        let waived = active.regeneration.waived(&group);
        active.health.take(&mut group, &waived);
        active.note_look(&group);
        let effect = active.regeneration.last_effect;
        if let Some(hold) = self.record_changes(active, &group).await? {
            // Whose doing a difference is decides what is wanted, so nothing is decided before that is known.
            let again = LOOK_AGAIN.after(self.clock.now());
            active.shown = Some((group, vec![hold]));
            return Ok(Step::Wait(Some(again)));
        }
        if active.regeneration.last_effect > effect.max(Some(group.seen)) {
            // The look has shown what became of a call. What comes next rests on one that began after that was known.
            return Ok(Step::Acted);
        }
        let daemon = self.journal.writer().to_owned();
        let now = self.clock.now();
        let decision = decision::decide(now, DaemonId { daemon: &daemon }, &group, &active.regeneration);
        let Decision { next, mut holds, look_again_at } = decision;
        let reconcile = match next {
            Next::Act(action) => match veto(now, &group, &active.regeneration, &action) {
                Ok(()) if active.lacks_close_look(&group, &action) => {
                    active.include_refresh = true;
                    Step::Acted
                }
                Ok(()) if action.overwrites_capacity() && self.has_changed(active, &group).await => {
                    Step::Wait(Some(CHANGED_AGAIN.after(now)))
                }
                Ok(()) => {
                    self.effect(active, &group, action).await?;
                    Step::Acted
                }
                Err(veto) => {
                    let hold = Hold::Vetoed { says: format!("{action}: {veto}") };
                    if !active.regeneration.held.contains(hold.code()) {
                        let entry = self.about(Kind::ActionVetoed, active);
                        self.record(active, Entry { action: Some(action), error: Some(veto.to_string()), ..entry })?;
                    }
                    holds.push(hold);
                    Step::Wait(look_again_at)
                }
            },
            Next::End(Ending { outcome, code, why }) => {
                let entry = self.about(Kind::RegenerationAborted, active);
                self.record(active, Entry { outcome: Some(outcome), code: Some(code), error: Some(why), ..entry })?;
                Step::Acted
            }
            Next::Close(close) => {
                let outcome = close.outcome;
                self.close(active, &group, close)?;
                Step::Closed(outcome)
            }
            Next::Wait => Step::Wait(look_again_at),
        };
        // After an effect the next look says what holds it now, if anything still does.
        if matches!(reconcile, Step::Wait(_)) {
            holds.extend(self.why_short(active, &group, &holds).await);
            self.note_holds(active, &holds)?;
        }
        active.ask_in_passing(group.seen);
        active.shown = Some((group, holds));
        Ok(reconcile)
    }

    /// Whether the group's numbers are not any more what the look showed, which can have taken long; or nobody can tell.
    async fn has_changed(&mut self, active: &Active, group: &Group) -> bool {
        let is_fresh = self.clock.now() < LOOK_LASTS.after(group.seen);
        // Where AWS says that it is asked too much, one question less is what lets the call through.
        if is_fresh || active.regeneration.refusals.in_a_row > 0 {
            return false;
        }
        let numbers = self.cloud.numbers(&active.regeneration.group);
        let numbers = unless_stopped(self.clock, Span::ZERO, numbers).await;
        numbers.and_then(Result::ok).flatten() != Some(group.numbers())
    }

    /// Records what the look shows and the journal does not say yet; or says what must be known before that.
    async fn record_changes(&mut self, active: &mut Active, group: &Group) -> Result<Option<Hold>, Stop> {
        for _ in 0..DETECTION_ROUNDS_MAX {
            let mut changes =
                change_detection::detect_changes(self.clock.now(), group, &active.regeneration, &mut active.health);
            if changes.is_empty() {
                return Ok(None);
            }
            let activities = self.explanations(active, &changes).await;
            if let Some(hold) = causes::attribute(active, group, &mut changes, &activities) {
                return Ok(Some(hold));
            }
            for entry in causes::explained(changes, &activities) {
                // An instance refresh shows itself by what it terminates or launches.
                let strange = entry.code.as_deref() == Some(THEIRS);
                active.include_refresh |= strange || matches!(entry.kind, Kind::InstanceLost | Kind::GroupChanged);
                self.record(active, entry)?;
            }
        }
        Err(Stop::DetectionDiverged(group.key.name.clone()))
    }

    /// The intent is durable, then exactly one call is made, then its outcome is recorded.
    async fn effect(&mut self, active: &mut Active, group: &Group, action: Action) -> Result<(), Stop> {
        let repeats = active.regeneration.intent.is_some();
        let intent = match &active.regeneration.intent {
            // The repeat of a call whose answer was lost: the intent is on disk already.
            Some(intent) => intent.id,
            None => {
                let intended = self.intended(active, group, &action);
                self.record(active, intended)?.id
            }
        };
        let started = self.clock.now();
        let call = self.cloud.perform(&active.regeneration.group, &action);
        let answer = unless_stopped(self.clock, LAST_WORD, call).await.unwrap_or_else(|| Answer::Unknown {
            error: format!("regend was told to stop, and waited {LAST_WORD} more for it"),
        });
        let took_ms = u64::try_from((self.clock.now() - started).num_milliseconds()).ok();
        let about = |conclusion| Entry {
            intent: Some(intent),
            took_ms,
            aws: Some(Aws { api: action.api().to_owned(), ..Aws::default() }),
            instance: retired(&action),
            role: matches!(action, Action::Retire(_)).then(|| role(active, group, &action)).flatten(),
            ..self.about(Kind::concluded(&action, conclusion), active)
        };
        let entry = match answer {
            Answer::Done(receipt) => {
                let (code, error) = receipt.shortfall.unzip();
                let aws =
                    Aws { api: action.api().to_owned(), request_id: receipt.request, activity_id: receipt.activity };
                Entry { aws: Some(aws), instances: receipt.instances, code, error, ..about(Conclusion::Done) }
            }
            // That the repeat was turned away says nothing of what the first call did.
            Answer::Refused(Refusal { code, message, request, kind }) if repeats && !kind.speaks_of_the_launch() => {
                let aws = Aws { api: action.api().to_owned(), request_id: request, activity_id: None };
                Entry { aws: Some(aws), code: Some(code), error: Some(message), ..about(Conclusion::Unknown) }
            }
            Answer::Refused(refusal) => about(Conclusion::Refused).refused(intent, &action, refusal),
            Answer::Unknown { error } => Entry { error: Some(error), ..about(Conclusion::Unknown) },
        };
        self.record(active, entry)?;
        Ok(())
    }

    fn intended(&self, active: &Active, group: &Group, action: &Action) -> Entry {
        let regeneration = &active.regeneration;
        let zone = match action {
            Action::Launch { zone, .. } => zone.clone(),
            _ => None,
        };
        let entry = Entry {
            action: Some(action.clone()),
            zone,
            capacity: Some(capacity(self.clock.now(), group, regeneration)),
            ..self.about(Kind::intended(action.resource()), active)
        };
        let Action::Retire(retire) = action else { return entry };
        let find = |id| group.instance(id);
        let (victim, successor) = (find(&retire.instance), retire.successor.as_ref().and_then(find));
        let age = |i: Option<&Instance>| i.and_then(|i| i.born).map(|born| Span::between(born, entry.t).as_secs());
        Entry {
            instance: Some(retire.instance.clone()),
            role: role(active, group, action),
            zone: victim.map(|i| i.zone.clone()),
            successor: retire.successor.clone(),
            image: victim.and_then(|i| i.image.clone()),
            successor_image: successor.and_then(|i| i.image.clone()),
            template: victim.and_then(|i| i.template.clone()),
            successor_template: successor.and_then(|i| i.template.clone()),
            successor_age_s: age(successor),
            code: Some(retire.why.word().to_owned()),
            ..entry
        }
        .born_at(victim.and_then(|i| i.born))
    }

    fn close(&mut self, active: &mut Active, group: &Group, close: Close) -> Result<(), Stop> {
        let opened = active.regeneration.opened_at;
        let entry = Entry {
            outcome: Some(close.outcome),
            left: close.left,
            kept: close.kept,
            code: close.code,
            error: close.why,
            capacity: Some(capacity(self.clock.now(), group, &active.regeneration)),
            ..self.about(Kind::RegenerationClosed, active)
        };
        let took_ms = u64::try_from((entry.t - opened).num_milliseconds()).ok();
        self.record(active, Entry { took_ms, ..entry })?;
        Ok(())
    }

    /// Records the holds that somebody must know of, when they change.
    fn note_holds(&mut self, active: &mut Active, holds: &[Hold]) -> Result<(), Stop> {
        let notable: Vec<_> = holds.iter().filter(|hold| !hold.is_ordinary()).collect();
        let codes: std::collections::BTreeSet<_> = notable.iter().map(|hold| hold.code().to_owned()).collect();
        if codes == active.regeneration.held {
            return Ok(());
        }
        let entry = if codes.is_empty() {
            Entry { code: Some("holds_ended".to_owned()), ..self.about(Kind::RegenerationResumed, active) }
        } else {
            let says: Vec<_> = notable.iter().map(ToString::to_string).collect();
            let code = codes.into_iter().collect::<Vec<_>>().join(",");
            Entry { code: Some(code), error: Some(says.join("; ")), ..self.about(Kind::RegenerationHeld, active) }
        };
        self.record(active, entry)?;
        Ok(())
    }

    fn about(&self, kind: Kind, active: &Active) -> Entry {
        Entry::about(kind, &active.regeneration, self.clock.now())
    }

    fn record(&mut self, active: &mut Active, entry: Entry) -> Result<Entry, Stop> {
        let entry = self.journal.append(entry)?;
        active.regeneration.apply(&entry)?;
        (self.tell)(&entry, &active.regeneration);
        Ok(entry)
    }
}

fn retired(action: &Action) -> Option<crate::domain::group::InstanceId> {
    match action {
        Action::Retire(retire) => Some(retire.instance.clone()),
        _ => None,
    }
}

fn role(active: &Active, group: &Group, action: &Action) -> Option<Role> {
    let instance = group.instance(&retired(action)?)?;
    let fresh = active.regeneration.is_fresh(instance)?;
    Some(if fresh { Role::Fresh } else { Role::Stale })
}

fn capacity(now: Time, group: &Group, regeneration: &Regeneration) -> Capacity {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Capacity {
        min: group.min,
        desired: group.desired,
        max: group.max,
        wanted: regeneration.wanted(),
        members: count(group.members().filter(|i| !regeneration.is_retired(&i.id)).count()),
        serving: decision::serving(now, group, regeneration),
        draining: count(
            group
                .instances
                .iter()
                .filter(|i| i.lifecycle == Lifecycle::Terminating || regeneration.is_retired(&i.id))
                .count(),
        ),
    }
}
