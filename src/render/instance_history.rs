//! The life of one instance, from the first entry that names it to the last.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::sentence::{aside, at, because, clean, features, launcher, rough, says, seconds, verdicts};
use crate::domain::action::{Action, Retire};
use crate::domain::entry::{Capacity, Entry, Kind, Opened};
use crate::domain::group::{InstanceId, Template};
use crate::domain::plan::left_words;
use crate::domain::span::{Span, Time};

/// What is known of an instance, and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Label and text.
    pub facts: Vec<(&'static str, String)>,
    pub lines: Vec<Line>,
}

/// One thing that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where the entry is in the journal.
    pub seq: u64,
    pub t: Time,
    /// The first says what happened, the others what it rests on.
    pub texts: Vec<String>,
}

/// Tells the life of an instance from all entries of the regenerations that name it, oldest first.
pub fn story(instance: &InstanceId, entries: &[(u64, Entry)], now: Time) -> Timeline {
    let mut life = Life::of(instance);
    let mut lines = Vec::new();
    for (seq, entry) in entries {
        let texts: Vec<_> = life.take(entry).iter().map(|text| clean(text)).collect();
        if !texts.is_empty() {
            life.first_seen.get_or_insert(entry.t);
            life.remember(entry);
            lines.push(Line { seq: *seq, t: entry.t, texts });
        }
    }
    Timeline { facts: life.facts(now).into_iter().map(|(label, text)| (label, clean(&text))).collect(), lines }
}

struct Life<'a> {
    instance: &'a InstanceId,
    regenerations: BTreeMap<Uuid, &'a Entry>,
    /// Entries that intend to retire it: those that conclude them may not name it.
    intents: BTreeSet<Uuid>,
    place: Option<&'a Entry>,
    zone: Option<String>,
    image: Option<String>,
    template: Option<Template>,
    born: Option<Time>,
    first_seen: Option<Time>,
    in_service: Option<Time>,
    serving: Option<Time>,
    failed: Option<String>,
    retired: Option<String>,
    /// When it stopped serving, and why.
    out: Option<Time>,
    gone: Option<(Time, &'static str)>,
    max_age: Option<Span>,
}

impl<'a> Life<'a> {
    fn of(instance: &'a InstanceId) -> Self {
        Self {
            instance,
            regenerations: BTreeMap::new(),
            intents: BTreeSet::new(),
            place: None,
            zone: None,
            image: None,
            template: None,
            born: None,
            first_seen: None,
            in_service: None,
            serving: None,
            failed: None,
            retired: None,
            out: None,
            gone: None,
            max_age: None,
        }
    }

    /// What an entry says of the instance; nothing, when it is about something else.
    fn take(&mut self, entry: &'a Entry) -> Vec<String> {
        let ours = entry.instance.as_ref() == Some(self.instance);
        match entry.kind {
            Kind::RegenerationOpened => self.opened(entry),
            Kind::LaunchAccepted if entry.instances.contains(self.instance) => {
                let mut texts = vec![format!("launched by regend{}", aside(entry))];
                texts.extend(self.wanted_by(entry));
                texts.extend(request(entry));
                texts
            }
            Kind::InstanceLaunched if ours => vec![format!("appears{}, {}", features(entry), launcher(entry))],
            Kind::InstanceInService if ours => {
                self.in_service.get_or_insert(entry.t);
                let after = self.since_birth(entry).map_or_else(String::new, |age| format!(", {age} after its birth"));
                vec![format!("InService{after}")]
            }
            Kind::InstanceServing if ours => {
                self.serving.get_or_insert(entry.t);
                vec![format!("serves: {}", verdicts(&entry.targets))]
            }
            Kind::InstanceFailed if ours => {
                self.failed = Some(says(entry));
                vec![format!("failed: {}", says(entry)), verdicts(&entry.targets)]
                    .into_iter()
                    .take(if entry.targets.is_empty() { 1 } else { 2 })
                    .collect()
            }
            Kind::RetireIntended => self.retiring(entry),
            Kind::RetireAccepted if self.concludes(entry) => {
                self.out.get_or_insert(entry.t);
                let mut texts = vec![format!("AWS retires it{}", aside(entry))];
                texts.extend(request(entry));
                texts
            }
            Kind::RetireRefused if self.concludes(entry) => {
                self.retired = None;
                vec![format!("not retired: {}", says(entry))]
            }
            Kind::RetireUnknown if self.concludes(entry) => {
                vec![format!("the answer to its retirement was lost: {}", says(entry))]
            }
            Kind::ActionVetoed => match &entry.action {
                Some(Action::Retire(retire)) if &retire.instance == self.instance => {
                    vec![format!("its retirement was vetoed: {}", says(entry))]
                }
                _ => Vec::new(),
            },
            Kind::InstanceDraining if ours => {
                self.out = Some(self.out.map_or(entry.t, |out| out.min(entry.t)));
                let targets = match entry.targets.as_slice() {
                    [] => String::new(),
                    targets => format!(": {}", verdicts(targets)),
                };
                vec![format!("drains{targets}")]
            }
            Kind::InstanceTerminated if ours => self.end(entry, "gone"),
            Kind::InstanceLost if ours => {
                self.out.get_or_insert(entry.t);
                let mut texts = self.end(entry, "lost");
                texts.push(says(entry));
                texts
            }
            Kind::RegenerationClosed => entry
                .left
                .iter()
                .filter(|left| &left.instance == self.instance)
                .map(|left| format!("left by the regeneration that closed: {}", left_words(left.why)))
                .collect(),
            Kind::LaunchAccepted
            | Kind::InstanceLaunched
            | Kind::InstanceInService
            | Kind::InstanceServing
            | Kind::InstanceFailed
            | Kind::RetireAccepted
            | Kind::RetireRefused
            | Kind::RetireUnknown
            | Kind::InstanceDraining
            | Kind::InstanceTerminated
            | Kind::InstanceLost
            | Kind::RegenerationHeld
            | Kind::RegenerationResumed
            | Kind::RegenerationPaused
            | Kind::RegenerationAborted
            | Kind::RegenerationSkipped
            | Kind::RegenerationMissed
            | Kind::LeaseIntended
            | Kind::LeaseTaken
            | Kind::LeaseReleased
            | Kind::LeaseRefused
            | Kind::LeaseUnknown
            | Kind::MaxSizeIntended
            | Kind::MaxSizeRaised
            | Kind::MaxSizeRestored
            | Kind::MaxSizeRefused
            | Kind::MaxSizeUnknown
            | Kind::MinSizeIntended
            | Kind::MinSizeRestored
            | Kind::MinSizeRefused
            | Kind::MinSizeUnknown
            | Kind::LaunchIntended
            | Kind::LaunchRefused
            | Kind::LaunchUnknown
            | Kind::SurplusIntended
            | Kind::SurplusReturned
            | Kind::SurplusRefused
            | Kind::SurplusUnknown
            | Kind::GroupChanged
            | Kind::GateClosed
            | Kind::GateOpened
            | Kind::DaemonStarted
            | Kind::DaemonReloaded
            | Kind::DaemonStopped => Vec::new(),
        }
    }

    /// Keeps what the entry says of the instance itself. The first word counts: it was closest to the fact.
    fn remember(&mut self, entry: &'a Entry) {
        self.place.get_or_insert(entry);
        if entry.instance.as_ref() == Some(self.instance) {
            self.zone = self.zone.take().or_else(|| entry.zone.as_ref().map(ToString::to_string));
            self.image = self.image.take().or_else(|| entry.image.clone());
            self.template = self.template.take().or_else(|| entry.template.clone());
            self.born = self.born.or(entry.born);
        }
        let opened = entry.regeneration.and_then(|id| self.opening(id));
        self.max_age = opened.map(|opened| opened.policy.max_age).or(self.max_age);
    }

    fn opening(&self, regeneration: Uuid) -> Option<&'a Opened> {
        self.regenerations.get(&regeneration)?.opened.as_deref()
    }

    fn opened(&mut self, entry: &'a Entry) -> Vec<String> {
        if let Some(id) = entry.regeneration {
            self.regenerations.insert(id, entry);
        }
        let Some(opened) = entry.opened.as_deref() else { return Vec::new() };
        let Some(member) = opened.members.iter().find(|member| &member.instance == self.instance) else {
            return Vec::new();
        };
        self.zone = self.zone.take().or_else(|| Some(member.zone.to_string()));
        self.image = self.image.take().or_else(|| member.image.clone());
        self.born = self.born.or(member.born);
        let image_health = match member.born {
            Some(born) if born < opened.cutoff => format!("born before {}, so to be replaced", at(opened.cutoff)),
            Some(_) => format!("born after {}, so not to be replaced", at(opened.cutoff)),
            None => "EC2 does not tell its age yet".to_owned(),
        };
        let by = format!("{}{}", entry.actor, because(entry));
        vec![format!("a member when a regeneration is opened by {by}: {image_health}")]
    }

    fn retiring(&mut self, entry: &'a Entry) -> Vec<String> {
        let Some(Action::Retire(retire)) = &entry.action else { return Vec::new() };
        if retire.successor.as_ref() == Some(self.instance) {
            let old = entry.image.as_ref().map_or_else(String::new, |image| format!(" ({image})"));
            return vec![format!("takes the place of {}{old}, which is to be retired", retire.instance)];
        }
        if &retire.instance != self.instance {
            return Vec::new();
        }
        self.intents.insert(entry.id);
        self.retired = Some(format!("{}, wanted by {}", retire.why.word(), entry.actor));
        let mut texts = vec![format!("to be retired: {}", self.why(entry, retire))];
        texts.extend(self.wanted_by(entry));
        texts.extend(
            retire.successor.as_ref().map(|id| format!("verified: {} serves in its place", successor(entry, id))),
        );
        texts.push(format!("verified: {}{}", retire.arithmetic(), arithmetic(entry.capacity)));
        texts
    }

    fn why(&self, entry: &Entry, retire: &Retire) -> String {
        use crate::domain::action::Reason;
        match retire.why {
            Reason::Stale => match entry.regeneration.and_then(|id| self.opening(id)) {
                Some(opened) => format!("stale, born before {}", at(opened.cutoff)),
                None => "stale".to_owned(),
            },
            Reason::Failed => "a fresh instance that failed".to_owned(),
            Reason::Surplus => "one more than wanted, and launched by regend".to_owned(),
        }
    }

    fn wanted_by(&self, entry: &Entry) -> Option<String> {
        let id = entry.regeneration?;
        let reason = self.regenerations.get(&id).map_or_else(String::new, |opening| because(opening));
        Some(format!("wanted by {}{reason}, in regeneration {id}", entry.actor))
    }

    fn concludes(&self, entry: &Entry) -> bool {
        entry.intent.is_some_and(|intent| self.intents.contains(&intent))
    }

    fn since_birth(&self, entry: &Entry) -> Option<String> {
        self.born.or(entry.born).map(|born| rough(Span::between(born, entry.t)))
    }

    fn end(&mut self, entry: &'a Entry, how: &'static str) -> Vec<String> {
        self.gone.get_or_insert((entry.t, how));
        // The entry of an end may not know what earlier ones did.
        let born = self.born.or(entry.born);
        let max = entry.regeneration.and_then(|id| self.opening(id)).map(|opened| opened.policy.max_age);
        let age = born.map_or_else(|| "its age is not known".to_owned(), |born| judged(born, entry.t, max));
        vec![format!("{how}: {age}")]
    }

    fn facts(&self, now: Time) -> Vec<(&'static str, String)> {
        let mut facts = vec![("state", self.state())];
        if let Some(place) = self.place {
            let name = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
            facts
                .push(("group", format!("{} ({}, {})", name(&place.group), name(&place.account), name(&place.region))));
        }
        let known = |text: Option<String>| text.unwrap_or_else(|| "not recorded".to_owned());
        facts.push(("zone", known(self.zone.clone())));
        facts.push(("image", known(self.image.clone())));
        facts.push(("template", known(self.template.as_ref().map(|t| format!("{} version {}", t.id, t.version)))));
        facts.push(("born", known(self.born.map(at))));
        facts.push(("first seen", known(self.first_seen.map(at))));
        facts.push(("in service", known(self.in_service.map(at))));
        let over = self.out.or_else(|| self.gone.map(|(t, _)| t));
        let served = match self.serving {
            Some(from) => served(from, over, now),
            None if self.in_service.is_none() && self.born < self.first_seen => {
                "not recorded: it was a member before the journal first saw it".to_owned()
            }
            None => "not known to have served".to_owned(),
        };
        facts.push(("served", served));
        if let Some(failed) = &self.failed {
            facts.push(("failed", failed.clone()));
        }
        if let Some(retired) = &self.retired {
            facts.push(("retired", retired.clone()));
        }
        let until = self.gone.map_or(now, |(t, _)| t);
        facts.push(("age", known(self.born.map(|born| judged(born, until, self.max_age)))));
        facts
    }

    fn state(&self) -> String {
        match (self.gone, self.out, self.serving, &self.failed, self.in_service) {
            (Some((t, how)), ..) => format!("{how} since {}", at(t)),
            (None, Some(t), ..) => format!("draining since {}", at(t)),
            (None, None, _, Some(_), _) => "failed".to_owned(),
            (None, None, Some(t), None, _) => format!("serving since {}", at(t)),
            (None, None, None, None, Some(t)) => format!("in service since {}, not known to serve", at(t)),
            (None, None, None, None, None) => "a member; nothing is recorded of its health".to_owned(),
        }
    }
}

fn judged(born: Time, until: Time, max_age: Option<Span>) -> String {
    let age = Span::between(born, until);
    let text = rough(age);
    match max_age {
        None => text,
        Some(max) if age <= max => format!("{text}, within max_age {max}"),
        Some(max) => format!("{text}, {} over max_age {max}", rough(seconds(age.as_secs() - max.as_secs()))),
    }
}

fn served(from: Time, over: Option<Time>, now: Time) -> String {
    let span = rough(Span::between(from, over.unwrap_or(now)));
    match over {
        Some(over) => format!("{span}, from {} to {}", at(from), at(over)),
        None => format!("{span} so far, from {}", at(from)),
    }
}

fn successor(entry: &Entry, id: &InstanceId) -> String {
    let template = entry.successor_template.as_ref().map(|t| format!("{} version {}", t.id, t.version));
    let age = entry.successor_age_s.map(|age| format!("{} old", rough(seconds(age))));
    let known: Vec<_> = [entry.successor_image.clone(), template, age].into_iter().flatten().collect();
    if known.is_empty() { id.to_string() } else { format!("{id} ({})", known.join(", ")) }
}

fn arithmetic(capacity: Option<Capacity>) -> String {
    capacity.map_or_else(String::new, |c| {
        let Capacity { members, serving, draining, wanted, desired, .. } = c;
        format!(" ({members} members, {serving} serving, {draining} draining, {wanted} wanted, {desired} desired)")
    })
}

fn request(entry: &Entry) -> Option<String> {
    let aws = entry.aws.as_ref()?;
    let ids = [("request", &aws.request_id), ("activity", &aws.activity_id)];
    let ids: Vec<_> = ids.into_iter().filter_map(|(name, id)| id.as_ref().map(|id| format!("{name} {id}"))).collect();
    (!ids.is_empty()).then(|| format!("{}, {}", aws.api, ids.join(", ")))
}
