//! The life of one instance, from the first entry that names it to the last.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::sentence::{aside, because, explained, features, launcher, left_words, verdicts, why};
use super::text::{at, clean, rough, seconds};
use crate::domain::action::{Action, Reason};
use crate::domain::group::{InstanceId, Template};
use crate::domain::journal::{Capacity, Conclusion, Entry, Event, InstanceFacts, Opened, RetireIntended};
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
pub fn timeline(instance: &InstanceId, entries: &[(u64, Entry)], now: Time) -> Timeline {
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
        if let Some(texts) = self.conclude_retirement(entry) {
            return texts;
        }
        let is_it = |facts: &InstanceFacts| &facts.id == self.instance;
        match &entry.event {
            Event::RegenerationOpened(opened) => self.opened(entry, opened),
            Event::LaunchAccepted(accepted) if accepted.instances.contains(self.instance) => {
                let mut texts = vec![format!("launched by regend{}", aside(&entry.event))];
                texts.extend(self.wanted_by(entry));
                texts.extend(request(entry));
                texts
            }
            Event::InstanceLaunched(launched) if is_it(&launched.instance) => {
                vec![format!("joined{}, {}", features(&launched.instance), launcher(launched.launched_by))]
            }
            Event::InstanceInService(seen) if is_it(&seen.instance) => {
                self.in_service.get_or_insert(entry.t);
                let born = self.born.or(seen.instance.born);
                let after = born.map(|born| rough(Span::between(born, entry.t)));
                vec![format!("InService{}", after.map_or_else(String::new, |age| format!(", {age} after its birth")))]
            }
            Event::InstanceServing(judged) if is_it(&judged.instance) => {
                self.serving.get_or_insert(entry.t);
                vec![format!("is serving: {}", verdicts(&judged.targets))]
            }
            Event::InstanceFailed(failed) if is_it(&failed.instance) => {
                let why = format!("{}{}", why(&failed.cause), explained(failed.explanation.as_ref()));
                let mut texts = vec![format!("failed: {why}")];
                self.failed = Some(why);
                texts.extend((!failed.targets.is_empty()).then(|| verdicts(&failed.targets)));
                texts
            }
            Event::RetireIntended(intended) => self.retiring(entry, intended),
            Event::ActionVetoed(vetoed) => match &vetoed.action {
                Action::Retire(retire) if &retire.instance == self.instance => {
                    vec![format!("its retirement was vetoed: {}", vetoed.message)]
                }
                _ => Vec::new(),
            },
            Event::InstanceDraining(judged) if is_it(&judged.instance) => {
                self.out = Some(self.out.map_or(entry.t, |out| out.min(entry.t)));
                let targets = match judged.targets.as_slice() {
                    [] => String::new(),
                    targets => format!(": {}", verdicts(targets)),
                };
                vec![format!("draining{targets}")]
            }
            Event::InstanceTerminated(seen) if is_it(&seen.instance) => self.end(entry, &seen.instance, "terminated"),
            Event::InstanceLost(lost) if is_it(&lost.instance) => {
                self.out.get_or_insert(entry.t);
                let mut texts = self.end(entry, &lost.instance, "lost");
                texts.push(format!("terminated outside regend{}", explained(lost.explanation.as_ref())));
                texts
            }
            Event::RegenerationClosed(closed) => closed
                .left
                .iter()
                .filter(|left| &left.instance == self.instance)
                .map(|left| format!("not replaced by the regeneration that closed: {}", left_words(left.why)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What became of the intent to retire it.
    fn conclude_retirement(&mut self, entry: &'a Entry) -> Option<Vec<String>> {
        let (_, conclusion) = entry.event.conclusion().filter(|(intent, _)| self.intents.contains(intent))?;
        Some(match conclusion {
            Conclusion::Done => {
                self.out.get_or_insert(entry.t);
                let mut texts = vec![format!("AWS retires it{}", aside(&entry.event))];
                texts.extend(request(entry));
                texts
            }
            Conclusion::Refused => {
                self.retired = None;
                let why = entry.event.refusal().map_or_else(String::new, |(_, cause)| why(cause));
                vec![format!("not retired: {why}")]
            }
            Conclusion::Unknown => {
                let message = entry.event.lost_answer().unwrap_or_default();
                vec![format!("the answer to its retirement was lost: {message}")]
            }
        })
    }

    /// Keeps what the entry says of the instance itself. The first word counts: it was closest to the fact.
    fn remember(&mut self, entry: &'a Entry) {
        self.place.get_or_insert(entry);
        if let Some(facts) = entry.event.facts().filter(|facts| &facts.id == self.instance) {
            self.zone = self.zone.take().or_else(|| facts.zone.as_ref().map(ToString::to_string));
            self.image = self.image.take().or_else(|| facts.image.clone());
            self.template = self.template.take().or_else(|| facts.template.clone());
            self.born = self.born.or(facts.born);
        }
        let opened = entry.regeneration.and_then(|id| self.opening(id));
        self.max_age = opened.map(|opened| opened.policy.max_age).or(self.max_age);
    }

    fn opening(&self, regeneration: Uuid) -> Option<&'a Opened> {
        self.regenerations.get(&regeneration)?.event.opened()
    }

    fn opened(&mut self, entry: &'a Entry, opened: &Opened) -> Vec<String> {
        if let Some(id) = entry.regeneration {
            self.regenerations.insert(id, entry);
        }
        let Some(member) = opened.members.iter().find(|member| &member.instance == self.instance) else {
            return Vec::new();
        };
        self.zone = self.zone.take().or_else(|| Some(member.zone.to_string()));
        self.image = self.image.take().or_else(|| member.image.clone());
        self.born = self.born.or(member.born);
        let age = match member.born {
            Some(born) if born < opened.cutoff => format!("born before {}, so to be replaced", at(opened.cutoff)),
            Some(_) => format!("born after {}, so not to be replaced", at(opened.cutoff)),
            None => "EC2 does not tell its age yet".to_owned(),
        };
        let by = format!("{}{}", entry.actor, because(entry));
        vec![format!("a member when a regeneration is opened by {by}: {age}")]
    }

    fn retiring(&mut self, entry: &'a Entry, intended: &RetireIntended) -> Vec<String> {
        let RetireIntended { retire, instance, successor, capacity } = intended;
        if retire.successor.as_ref() == Some(self.instance) {
            let image = instance.image.as_ref().map_or_else(String::new, |image| format!(" ({image})"));
            return vec![format!("takes the place of {}{image}, which is to be retired", retire.instance)];
        }
        if &retire.instance != self.instance {
            return Vec::new();
        }
        self.intents.insert(entry.id);
        self.retired = Some(format!("{}, wanted by {}", retire.why.word(), entry.actor));
        let mut texts = vec![format!("to be retired: {}", self.reason(entry, retire.why))];
        texts.extend(self.wanted_by(entry));
        texts.extend(successor.iter().map(|facts| format!("verified: {} serves in its place", named(facts))));
        texts.push(format!("verified: {}{}", retire.arithmetic(capacity.units.is_some()), arithmetic(*capacity)));
        texts
    }

    fn reason(&self, entry: &Entry, reason: Reason) -> String {
        match reason {
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

    fn end(&mut self, entry: &'a Entry, facts: &InstanceFacts, how: &'static str) -> Vec<String> {
        self.gone.get_or_insert((entry.t, how));
        // The entry of an end may not know what earlier ones did.
        let born = self.born.or(facts.born);
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

fn named(facts: &InstanceFacts) -> String {
    let template = facts.template.as_ref().map(|t| format!("{} version {}", t.id, t.version));
    let age = facts.age_s.map(|age| format!("{} old", rough(seconds(age))));
    let known: Vec<_> = [facts.image.clone(), template, age].into_iter().flatten().collect();
    if known.is_empty() { facts.id.to_string() } else { format!("{} ({})", facts.id, known.join(", ")) }
}

fn arithmetic(capacity: Capacity) -> String {
    let Capacity { members, units, serving, draining, wanted, desired, .. } = capacity;
    let units = units.map_or_else(String::new, |units| format!(" that count for {units} units"));
    format!(" ({members} members{units}, {serving} serving, {draining} draining, {wanted} wanted, {desired} desired)")
}

fn request(entry: &Entry) -> Option<String> {
    let call = entry.event.call()?;
    let ids = [("request", &call.request_id), ("activity", &call.activity_id)];
    let ids: Vec<_> = ids.into_iter().filter_map(|(name, id)| id.as_ref().map(|id| format!("{name} {id}"))).collect();
    (!ids.is_empty()).then(|| format!("{}, {}", call.api, ids.join(", ")))
}
