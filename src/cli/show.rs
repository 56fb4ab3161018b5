//! The progress of a regeneration on stderr: a live view on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;

use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::action::{Hold, LEASED_BY_OTHER, RefusalKind};
use crate::domain::decision;
use crate::domain::group::GroupKey;
use crate::domain::health_tracker::TrackedGroup;
use crate::domain::journal::{Cause, Entry, Kind};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::{Span, Time};
use crate::engine::fleet::{Ended, Event};
use crate::render;

/// Without a terminal, the progress is printed at least this often.
const PROGRESS_EVERY: Span = Span::minutes(1);

pub(super) struct Show {
    live: Option<MultiProgress>,
    bars: BTreeMap<GroupKey, ProgressBar>,
    /// When a line about each group was last printed.
    printed_at: BTreeMap<GroupKey, Time>,
    /// AWS's message about a missing permission, by group.
    forbidden: BTreeMap<GroupKey, String>,
}

impl Show {
    pub(super) fn new(terminal: bool) -> Self {
        let live = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));
        Self { live, bars: BTreeMap::new(), printed_at: BTreeMap::new(), forbidden: BTreeMap::new() }
    }

    /// Prints a line.
    pub(super) fn line(&self, text: &str) {
        match &self.live {
            Some(live) => {
                // A terminal that cannot be written to must not stop a regeneration.
                let _ = live.println(text);
            }
            None => super::say(text),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Recorded(entry, regeneration) => self.recorded(entry, regeneration),
            Event::Observed(regeneration, group, holds) => self.looked(regeneration, group, holds),
            Event::Resumed(regeneration) => {
                let opened = regeneration.opened_at.format("%Y-%m-%d %H:%M:%SZ");
                self.say(
                    Utc::now(),
                    &regeneration.group,
                    &format!("resuming regeneration {}, opened {opened} by {}", regeneration.id, regeneration.actor),
                );
            }
            Event::Queued(key, entry) | Event::Missed(key, entry) => self.say(entry.t, key, &render::sentence(entry)),
            Event::ObservationFailed(key, error, again) => {
                let again = again.format("%H:%M:%SZ");
                self.say(Utc::now(), key, &format!("observation failed, retrying at {again}: {error}"));
            }
            Event::BreakerTripped(entry) => self.line(&render::sentence(entry)),
            Event::Ended(key, ended) => {
                if let Some(bar) = self.bars.remove(*key) {
                    bar.finish_and_clear();
                }
                match ended {
                    Ended::Skipped(skipped) => {
                        let hint = take_over_hint(key, &skipped.code);
                        self.say(Utc::now(), key, &format!("skipped: {skipped}{hint}"));
                    }
                    Ended::Unreachable(error) => self.say(Utc::now(), key, &format!("not opened: {error}")),
                    Ended::NoSuchGroup => self.say(Utc::now(), key, "not opened: the group no longer exists"),
                    Ended::GaveUp(error, lasts) => {
                        let text = format!(
                            "gave up after {lasts} without an observation: {error}; the regeneration stays open: run the \
                             same command to resume"
                        );
                        self.say(Utc::now(), key, &text);
                    }
                    Ended::Closed(_) => {}
                }
            }
        }
    }

    fn say(&mut self, at: Time, key: &GroupKey, text: &str) {
        self.printed_at.insert(key.clone(), at);
        self.line(&format!("{} {key}  {text}", at.format("%H:%M:%SZ")));
    }

    fn recorded(&mut self, entry: &Entry, regeneration: &Regeneration) {
        let key = &regeneration.group;
        // A missing permission is printed when it is detected. Later entries repeat it, because each must be complete.
        let sentence = render::sentence(entry);
        let brief = self.brief(key, &sentence);
        let repeats = brief != sentence;
        if is_worth_a_line(entry.kind()) && !(repeats && entry.kind() != Kind::RegenerationClosed) {
            let held = entry.event.causes().iter().filter(|_| entry.kind() == Kind::RegenerationHeld);
            let hints = held.map(|hold| take_over_hint(key, &hold.code)).collect::<String>();
            self.say(entry.t, key, &(brief + &hints));
        }
        if let Some((RefusalKind::Forbidden, Cause { message, .. })) = entry.event.refusal()
            && !message.is_empty()
        {
            self.forbidden.insert(key.clone(), message.clone());
        }
    }

    /// The text without a message that was already printed.
    pub(super) fn brief(&self, key: &GroupKey, text: &str) -> String {
        self.forbidden.get(key).map_or_else(|| text.to_owned(), |told| text.replace(told, "see above"))
    }

    fn looked(&mut self, regeneration: &Regeneration, group: &TrackedGroup, holds: &[Hold]) {
        let key = &regeneration.group;
        let now = group.seen;
        let serving = decision::serving(now, group, regeneration);
        let total = regeneration.replaced()
            + decision::remaining(now, group, regeneration).due.len()
            + regeneration.draining().filter(|(id, _)| regeneration.originals.contains(*id)).count();
        let replaced = regeneration.replaced();
        let waits: Vec<_> = holds.iter().map(ToString::to_string).collect();
        let units = if group.is_weighted() { " units" } else { "" };
        let message = format!("{serving} of {}{units} serving; {}", regeneration.wanted(), shortened(&waits));
        if let Some(live) = &self.live {
            let bar = self.bars.entry(key.clone()).or_insert_with(|| {
                let style =
                    ProgressStyle::with_template("{prefix:.bold} {bar:20} {pos}/{len} replaced  {elapsed}  {wide_msg}");
                let bar = ProgressBar::new(0).with_prefix(key.name.clone());
                let bar = live.add(style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)));
                bar.enable_steady_tick(std::time::Duration::from_millis(500));
                bar
            });
            bar.set_length(total as u64);
            bar.set_position(replaced as u64);
            bar.set_message(message);
        } else if self.printed_at.get(key).is_none_or(|at| Span::between(*at, now) >= PROGRESS_EVERY) {
            self.say(now, key, &format!("{replaced} of {total} replaced; {message}"));
        }
    }

    /// Removes the live view.
    pub(super) fn finish(&mut self) {
        for bar in std::mem::take(&mut self.bars).into_values() {
            bar.finish_and_clear();
        }
    }
}

/// How to continue at once, where a hold with this code is the live lease of another daemon.
pub(super) fn take_over_hint(key: &GroupKey, code: &str) -> String {
    match code {
        LEASED_BY_OTHER => {
            format!("; if that daemon is lost, `{} run {key} --take-over` continues at once", super::program())
        }
        _ => String::new(),
    }
}

fn shortened(waits: &[String]) -> String {
    match waits {
        [] => "observing".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one}; {two}"),
        [one, two, rest @ ..] => format!("{one}; {two}; and {} more", rest.len()),
    }
}

/// Whether an entry of this kind is printed as progress. All entries are in the journal.
pub(super) fn is_worth_a_line(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::LeaseIntended
            | Kind::LeaseTaken
            | Kind::LeaseReleased
            | Kind::MaxSizeIntended
            | Kind::MinSizeIntended
            | Kind::LaunchIntended
            | Kind::SurplusIntended
            | Kind::RetireAccepted
            | Kind::InstanceDraining
    )
}
