//! The language of the tables: a group, what is remembered of it, and what one turn makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::str::FromStr;

use chrono::{TimeZone, Utc};
use regend::domain::action::{Action, Outcome, Reason, RefusalKind, Retire};
use regend::domain::change_detection;
use regend::domain::decision::{self, Close, DaemonId, Decision, Next};
use regend::domain::group::{
    Group, GroupKey, Instance, InstanceId, Lifecycle, Suspension, TargetGroup, TargetHealth, TargetState, Zone,
};
use regend::domain::health_tracker::{HealthTracker, TrackedGroup};
use regend::domain::journal::{Aborted, Cause, Entry, Event, Inherited, Left, Member, Opened, Trigger};
use regend::domain::lease::Lease;
use regend::domain::policy::Policy;
use regend::domain::regeneration::{Intent, Newcomer, Regeneration, Retirement, Settling};
use regend::domain::span::{Span, Time};
use regend::domain::veto::veto;
use uuid::Uuid;

/// Who we are, to leases.
pub(crate) const DAEMON: &str = "here";
pub(crate) const ID: Uuid = Uuid::from_u128(0x0193_5000_0000_7000_8000_0000_0000_0001);
/// The part of a launch's token that tells one opening from another: an hour ago, unless a table says otherwise.
const OPENED: &str = "660db60e52c00-";
const OTHER_ID: Uuid = Uuid::from_u128(0x0193_5000_0000_7000_8000_0000_0000_0002);

/// Noon.
pub(crate) fn now() -> Time {
    Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
}

fn parse<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

pub(crate) fn ago(text: &str) -> Time {
    parse::<Span>(text).before(now())
}

/// From now, or with a minus sign before now.
fn ahead(text: &str) -> Time {
    text.strip_prefix('-').map_or_else(|| parse::<Span>(text).after(now()), ago)
}

/// The `key value` pairs above the instances.
struct Header<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Header<'a> {
    fn take(&mut self, key: &str) -> Option<Vec<&'a str>> {
        let n = self.0.iter().position(|(k, _)| *k == key)?;
        Some(self.0.remove(n).1)
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key).is_some()
    }

    fn word(&mut self, key: &str) -> Option<&'a str> {
        self.take(key).map(|words| *words.first().unwrap_or_else(|| panic!("{key} needs a value")))
    }

    fn number(&mut self, key: &str) -> Option<u32> {
        self.word(key).map(parse)
    }

    fn policy(&mut self) -> Policy {
        let Ok(serde_json::Value::Object(mut keys)) = serde_json::to_value(Policy::default()) else { unreachable!() };
        for (key, value) in &mut keys {
            if key == "window" && self.0.iter().any(|(k, words)| k == key && words.first() == Some(&"over")) {
                continue;
            }
            if let Some(words) = self.take(key) {
                let text = words.join(" ");
                // What is not a number or a flag is text, as in the configuration.
                *value = serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
            }
        }
        serde_json::from_value(keys.into()).unwrap_or_else(|error| panic!("policy: {error}"))
    }
}

/// One instance: as the look shows it, and what the journal says of it.
struct Line<'a> {
    id: InstanceId,
    zone: Zone,
    lifecycle: Lifecycle,
    born: Option<Time>,
    words: BTreeSet<&'a str>,
    verdicts: Vec<(&'a str, TargetHealth)>,
    healthy_for: Option<Time>,
    sick_for: Option<Time>,
    in_service: Option<Time>,
    launched: Option<Time>,
    retired: Option<Time>,
}

impl<'a> Line<'a> {
    fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether the look shows it.
    fn shown(&self) -> bool {
        !self.has("absent") && !self.has("gone")
    }

    fn read(id: &str, zone: char, words: &[&'a str]) -> Self {
        let mut line = Self {
            id: InstanceId::new(id),
            zone: Zone::new(zone),
            lifecycle: Lifecycle::InService,
            born: None,
            words: BTreeSet::new(),
            verdicts: Vec::new(),
            healthy_for: None,
            sick_for: None,
            in_service: None,
            launched: None,
            retired: None,
        };
        let mut words = words.iter().copied().peekable();
        while let Some(word) = words.next() {
            let mut span = || words.next_if(|next| next.parse::<Span>().is_ok()).map(ago);
            match word {
                "healthy-for" => line.healthy_for = span(),
                "sick-for" => line.sick_for = span(),
                "in-service" => line.in_service = span(),
                "launched" => line.launched = span(),
                "retired" => line.retired = Some(ago("1m")),
                "pending" => line.lifecycle = Lifecycle::Pending,
                "draining" => line.lifecycle = Lifecycle::Terminating,
                "retained" => line.lifecycle = Lifecycle::Retained,
                "standby" => line.lifecycle = Lifecycle::Standby,
                "detaching" => line.lifecycle = Lifecycle::Detaching,
                "replacing-root-volume" => line.lifecycle = Lifecycle::ReplacingRootVolume,
                "unknown" => line.lifecycle = Lifecycle::Unknown,
                "serving" | "unhealthy" | "shifted" | "protected" | "ageless" | "absent" | "gone" | "lost" | "ours"
                | "theirs" | "original" | "stranger" | "failed" | "surplus" | "paired" | "noted" => {
                    line.words.insert(word);
                }
                _ => match word.split(':').collect::<Vec<_>>()[..] {
                    ["retired", span] => line.retired = Some(ago(span)),
                    [state, target_group] => line.verdicts.push((target_group, verdict(state, ""))),
                    [state, target_group, code] => line.verdicts.push((target_group, verdict(state, code))),
                    _ => line.born = Some(ago(word)),
                },
            }
        }
        assert!(line.born.is_some() || line.has("ageless"), "{id} needs an age, or to be ageless");
        line
    }

    /// Its health in the target group of this name, which is the group's first or not.
    fn health(&self, target_group: &str, is_first: bool) -> TargetHealth {
        let usual = match self.lifecycle {
            Lifecycle::Pending | Lifecycle::Standby | Lifecycle::Detaching => TargetState::Unregistered,
            Lifecycle::Terminating | Lifecycle::Retained => TargetState::Draining,
            Lifecycle::InService | Lifecycle::ReplacingRootVolume | Lifecycle::Unknown => TargetState::Healthy,
        };
        let said = self.verdicts.iter().find(|(name, _)| *name == target_group).map(|(_, health)| health);
        let usual = TargetHealth { state: usual, code: String::new(), shifted: false };
        TargetHealth { shifted: is_first && self.has("shifted"), ..said.cloned().unwrap_or(usual) }
    }

    fn instance(&self) -> Instance {
        Instance {
            id: self.id.clone(),
            zone: self.zone.clone(),
            lifecycle: self.lifecycle,
            healthy: !self.has("unhealthy"),
            protected: self.has("protected"),
            born: self.born,
            image: None,
            template: None,
        }
    }
}

fn verdict(state: &str, code: &str) -> TargetHealth {
    let state = match state {
        "initial" => TargetState::Initial,
        "healthy" => TargetState::Healthy,
        "unhealthy" => TargetState::Unhealthy,
        "unused" => TargetState::Unused,
        "draining" => TargetState::Draining,
        "unavailable" => TargetState::Unavailable,
        "unregistered" => TargetState::Unregistered,
        _ => panic!("{state} is no target state"),
    };
    TargetHealth { state, code: code.to_owned(), shifted: false }
}

/// `launch 1 a`, `grow 3 4 max 5`, `retire i-1 stale decrement`…
pub(crate) fn action(words: &[&str]) -> Action {
    match *words {
        ["take-lease", until] => {
            let until = ahead(until);
            Action::TakeLease { value: lease(ID, DAEMON, until, (3, 1, 10)).to_string(), until }
        }
        ["take-lease", until, "as", value] => Action::TakeLease { value: value.replace('_', " "), until: ahead(until) },
        ["release-lease"] => Action::ReleaseLease,
        ["raise-max", from, to] => Action::RaiseMaxSize { from: parse(from), to: parse(to) },
        ["restore-max", from, to] => Action::RestoreMaxSize { from: parse(from), to: parse(to) },
        ["launch", count] => Action::Launch { count: parse(count), zone: None, token: "token-1".to_owned() },
        ["launch", count, zone] => {
            Action::Launch { count: parse(count), zone: Some(Zone::new(zone)), token: "token-1".to_owned() }
        }
        ["launch", count, zone, token] => {
            Action::Launch { count: parse(count), zone: Some(Zone::new(zone)), token: token.to_owned() }
        }
        ["grow", from, to] => Action::Grow { from: parse(from), to: parse(to), min: None, max: None },
        ["grow", from, to, "min", min, "max", max] => {
            Action::Grow { from: parse(from), to: parse(to), min: Some(parse(min)), max: Some(parse(max)) }
        }
        ["grow", from, to, "max", max] => {
            Action::Grow { from: parse(from), to: parse(to), min: None, max: Some(parse(max)) }
        }
        ["restore-min", from, to] => Action::RestoreMinSize { from: parse(from), to: parse(to) },
        ["shrink", from, to] => Action::Shrink { from: parse(from), to: parse(to), min: None, max: None },
        ["shrink", from, to, "min", min] => {
            Action::Shrink { from: parse(from), to: parse(to), min: Some(parse(min)), max: None }
        }
        ["retire", instance, why, ref rest @ ..] => Action::Retire(Retire {
            instance: InstanceId::new(instance),
            why: match why {
                "stale" => Reason::Stale,
                "failed" => Reason::Failed,
                "surplus" => Reason::Surplus,
                _ => panic!("{why} is no reason"),
            },
            decrement: rest.contains(&"decrement"),
            successor: rest.iter().skip_while(|word| **word != "for").nth(1).map(|id| InstanceId::new(*id)),
            serving: 3,
            floor: 3,
        }),
        _ => panic!("{words:?} is no action"),
    }
}

fn lease(regeneration: Uuid, daemon: &str, until: Time, (wanted, surge, max): (u32, u32, u32)) -> Lease {
    Lease {
        regeneration,
        cutoff: ago("1h"),
        daemon: daemon.to_owned(),
        until,
        wanted,
        surge,
        min: None,
        max,
        max_allowed: max.max(wanted + surge),
    }
}

pub(crate) fn outcome(word: &str) -> Outcome {
    match word {
        "completed" => Outcome::Completed,
        "incomplete" => Outcome::Incomplete,
        "failed" => Outcome::Failed,
        "aborted" => Outcome::Aborted,
        _ => panic!("{word} is no outcome"),
    }
}

pub(crate) fn refusal(word: &str) -> RefusalKind {
    match word {
        "busy" => RefusalKind::Busy,
        "forbidden" => RefusalKind::Forbidden,
        "no-capacity" => RefusalKind::NoCapacity,
        "not-offered" => RefusalKind::NotOffered,
        "invalid" => RefusalKind::Invalid,
        _ => panic!("{word} is no kind of refusal"),
    }
}

/// What a table describes.
pub(crate) struct Scene {
    pub(crate) group: TrackedGroup,
    pub(crate) known: Regeneration,
    pub(crate) watch: HealthTracker,
}

/// `i-1 a serving 25h`, or several at once: `i-1..i-4 ab serving 25h`, their zones in turn.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("i-")) {
        let mut words: Vec<_> = line.split_whitespace().collect();
        let ids = words.remove(0);
        let is_zones = |word: &&&str| word.chars().all(|c| ('a'..='f').contains(&c));
        let zones: Vec<_> = words.first().filter(is_zones).map_or_else(|| vec!['a'], |zones| zones.chars().collect());
        if words.first().as_ref().is_some_and(is_zones) {
            words.remove(0);
        }
        let number = |id: &str| parse::<usize>(id.strip_prefix("i-").unwrap_or(id));
        let ids: Vec<_> = match ids.split_once("..") {
            Some((first, last)) => (number(first)..=number(last)).map(|n| format!("i-{n}")).collect(),
            None => vec![ids.to_owned()],
        };
        lines.extend(ids.iter().zip(zones.iter().cycle()).map(|(id, zone)| Line::read(id, *zone, &words)));
    }
    lines
}

impl Scene {
    pub(crate) fn read(text: &str) -> Self {
        let header = text.lines().map(str::trim).filter(|line| !line.starts_with("i-"));
        let items = header.flat_map(|line| line.split(',')).filter_map(|item| {
            let mut words = item.split_whitespace();
            Some((words.next()?, words.collect()))
        });
        let mut header = Header(items.collect());
        let lines = lines(text);
        let policy = header.policy();

        let raised = header.number("raised").unwrap_or(0);
        let members = lines.iter().filter(|l| l.shown() && l.lifecycle.counts() && l.retired.is_none()).count() as u32;
        let wanted = header.number("wanted").unwrap_or_else(|| members.saturating_sub(raised));
        let desired = wanted + raised;
        let (min, max) = (header.number("min").unwrap_or(0), header.number("max").unwrap_or(10));
        let opened_at = ago(header.word("opened").unwrap_or("1h"));
        let cutoff = header.word("cutoff").map_or(opened_at, ago);
        let over = header.take("window").map(|words| words.get(1).copied().unwrap_or("1s"));
        let window_ends = over.map_or_else(|| policy.window.after(opened_at), ago);

        let names = header.take("targets").unwrap_or_else(|| vec!["tg"]);
        let names = names.into_iter().filter(|name| *name != "none");
        let (slow_start, drains) = (header.word("slow-start").map(parse), header.word("drains").map(parse));
        let shown = || lines.iter().filter(|line| line.shown());
        let target_group = |(n, name): (usize, &str)| TargetGroup {
            slow_start: slow_start.unwrap_or_default(),
            deregistration_delay: drains.unwrap_or_default(),
            health: shown().map(|line| (line.id.clone(), line.health(name, n == 0))).collect(),
            ..TargetGroup::named(format!("arn:{name}"), name)
        };
        let target_groups: Vec<_> = names.enumerate().map(target_group).collect();
        let zones: BTreeSet<_> = lines.iter().map(|line| line.zone.clone()).collect();
        let zones = header
            .word("zones")
            .map_or_else(|| zones.into_iter().collect(), |zones| zones.chars().map(Zone::new).collect::<Vec<_>>());

        let is_newcomer = |line: &Line<'_>| line.has("ours") || line.has("theirs");
        let is_original = |line: &Line<'_>| {
            let old = line.born.is_none_or(|born| born <= opened_at);
            !is_newcomer(line) && !line.has("stranger") && (old || line.has("original"))
        };
        let opened = Opened {
            firing: None,
            cutoff,
            window_ends,
            policy,
            min,
            max,
            desired,
            members: lines
                .iter()
                .filter(|line| is_original(line))
                .map(|line| Member { instance: line.id.clone(), zone: line.zone.clone(), born: line.born, image: None })
                .collect(),
            serving: header.number("at-opening"),
            waived: header.take("waived").unwrap_or_default().into_iter().map(str::to_owned).collect(),
            judged_by: vec![],
            scaled_by: header.take("scaled-by").map(|words| vec![words.join(" ")]).unwrap_or_default(),
            cautious: header.flag("cautious").then(|| "it did not fully serve".to_owned()),
            inherited: None,
        };
        let mut known = open(opened_at, opened);
        if let Some(words) = header.take("inherited") {
            let value = |key| words.iter().position(|word| *word == key).and_then(|n| words.get(n + 1));
            let raised = value("raised").map_or(raised, |n| parse(n));
            let (min, max) = (value("min").map(|n| parse(n)), value("max").map(|n| parse(n)));
            known.opened.inherited = Some(Inherited { daemon: "there".to_owned(), min, max, raised });
        }
        (known.min, known.max, known.desired, known.raised) = (min, max, desired, raised);
        let ours = lines.iter().filter(|line| line.has("ours")).count() as u32;
        known.unclaimed = header.number("unclaimed").unwrap_or_else(|| raised.saturating_sub(ours));
        known.max_before = header.number("max-before");
        known.retaken = header.number("retaken").unwrap_or(0);
        known.shrunk_at = header.word("shrunk").map(ago);
        known.min_before = header.number("min-before");
        known.taken = header.take("taken").map(|words| (parse(words[0]), ago(words[1])));
        known.failures = header.number("failures").unwrap_or(0);
        known.launches = header.number("launches").unwrap_or(0);
        known.scaled_in = header.number("scaled-in").unwrap_or(0);
        known.released = header.flag("released");
        known.leased_at = header.word("leased").map(ago);
        if let Some(words) = header.take("desired-range") {
            known.desired_range = (parse(words[0]), parse(words[1]));
        }
        known.last_effect = header.word("effect").map(ago);
        known.last_gone = header.word("last-gone").map(ago);
        while let Some(words) = header.take("settling") {
            let [was, since, ref came @ ..] = words[..] else { panic!("settling WAS SINCE [CAME…]") };
            let came = came.iter().map(|id| InstanceId::new(*id)).collect();
            known.settling.push(Settling { was: parse(was), since: ago(since), came });
        }
        known.ending = header
            .word("ending")
            .map(|word| Aborted { outcome: outcome(word), cause: Cause::new("Ended", "it was ended") });
        known.intent = header.take("intent").map(|words| Intent {
            id: Uuid::from_u128(7),
            action: action(&words[1..]),
            at: ago(words[0]),
            desired,
        });
        if let Some(words) = header.take("refused") {
            let after = |key| words.iter().position(|word| *word == key).and_then(|n| words.get(n + 1));
            let last = ago(after("last").map_or("1s", |word| word));
            let refusals = &mut known.refusals;
            refusals.kind = Some(refusal(words[0]));
            refusals.in_a_row = words.get(1).map_or(1, |n| n.parse().unwrap_or(1));
            let invalid = after("thereof").map_or(refusals.in_a_row, |n| parse(n));
            refusals.invalid = if refusals.kind == Some(RefusalKind::Invalid) { invalid } else { 0 };
            (refusals.last, refusals.first) = (Some(last), Some(after("first").map_or(last, |word| ago(word))));
            (refusals.code, refusals.message) = ("Code".to_owned(), "AWS said no".to_owned());
            refusals.api = "autoscaling:Some".to_owned();
            refusals.no_direct_launch = refusals.kind == Some(RefusalKind::NotOffered);
        }
        while let Some(words) = header.take("dry") {
            known.refusals.dry.insert(Zone::new(words[0]), ago(words.get(1).map_or("1s", |word| word)));
        }
        let held = header.word("lease").unwrap_or("365d");
        known.lease = (held != "none").then(|| {
            let (least, max) = known.limits_of_others();
            let shifts = known.is_scaled() && known.opened.policy.raise_max_size;
            let min = shifts.then_some(least);
            Lease { max_allowed: u32::MAX, min, ..lease(ID, DAEMON, ahead(held), (wanted, 1, max)) }
        });
        for line in &lines {
            remember(&mut known, line, is_newcomer(line));
        }
        known.served.extend(header.take("served").unwrap_or_default().into_iter().map(ago));
        known.served.sort();

        let own = known.lease.as_ref().map(ToString::to_string);
        let tag = header.take("tag").map_or(own, |words| match words[..] {
            ["none"] => None,
            ["garbage", ref rest @ ..] => Some(rest.join(" ")),
            ["of", "another-host", until] => Some(lease(OTHER_ID, "there", ahead(until), (3, 1, 10)).to_string()),
            ["of", "its-new-owner", until] => Some(lease(ID, "there", ahead(until), (3, 1, 10)).to_string()),
            ["of", "our-last", until] => Some(lease(OTHER_ID, DAEMON, ahead(until), (3, 1, 10)).to_string()),
            _ => panic!("tag {words:?}"),
        });
        let mut sees = |what: &str, usual: u32| {
            let n = header.0.iter().position(|(key, words)| *key == "sees" && words.first() == Some(&what));
            n.map_or(usual, |n| parse(header.0.remove(n).1[1]))
        };
        let (min, max, desired) = (sees("min", min), sees("max", max), sees("desired", desired));
        let group = Group {
            key: known.group.clone(),
            seen: header.word("seen").map_or_else(now, ago),
            min,
            max,
            desired,
            zones,
            instances: shown().map(Line::instance).collect(),
            target_groups,
            suspended: header
                .take("suspended")
                .into_iter()
                .map(|words| Suspension { process: words[0].to_owned(), reason: words[1..].join(" ") })
                .collect(),
            deleting: header.flag("deleting"),
            warm_pool: header.flag("warm-pool"),
            reuses: header.flag("reuses"),
            scaled_by: known.opened.scaled_by.clone(),
            unverified: header.take("unverified").unwrap_or_default().into_iter().map(str::to_owned).collect(),
            no_direct_launch: header.flag("no-direct-launch").then(|| "a launch configuration".to_owned()),
            lease: tag,
            refresh: header.word("refresh").map(str::to_owned),
            tags: (0..header.number("tags").unwrap_or(0)).map(|n| (format!("tag-{n}"), String::new())).collect(),
        };
        let only_now = header.flag("short-only-now");
        let short_for = header.word("short-for").map(ago);
        let unknown_for = ago(header.word("unknown-for").unwrap_or("1m"));
        assert!(header.0.is_empty(), "unknown words: {:?}", header.0);
        let (watch, mut group) = watched(group, &known, &lines);
        for unknown in group.health.values_mut().filter(|tracked| tracked.unknown_since.is_some()) {
            unknown.unknown_since = Some(unknown_for);
        }
        if only_now {
            group.short_since = Some(group.seen);
        } else if let Some(since) = &mut group.short_since {
            *since = short_for.unwrap_or_else(|| ago("5m")).max(*since);
        }
        Self { group, known, watch }
    }

    /// One turn without its call: the news, applied as they come, then the decision and what the veto says of it.
    pub(crate) fn turn(mut self) -> String {
        let mut out = String::new();
        for round in 0.. {
            assert!(round < 16, "endless news:\n{out}");
            let changes = change_detection::detect_changes(now(), &self.group, &self.known);
            if changes.is_empty() {
                break;
            }
            for entry in changes {
                writeln!(out, "news: {}", news_line(&entry)).unwrap();
                self.known.apply(&entry).unwrap();
            }
        }
        let decide = |known: &Regeneration| decision::decide(now(), DaemonId { daemon: DAEMON }, &self.group, known);
        let mut decision = decide(&self.known);
        // What another host would restore is written anew first; what comes after it is what tables are about.
        if let (Next::Act(Action::TakeLease { value, .. }), Some(held)) = (&decision.next, &self.known.lease) {
            let fresh: Lease = parse(value);
            if (fresh.wanted, fresh.min, fresh.max) != (held.wanted, held.min, held.max) {
                writeln!(out, "lease: wanted {} max {}", fresh.wanted, fresh.max).unwrap();
                self.known.lease = Some(fresh);
                decision = decide(&self.known);
            }
        }
        if let Next::Act(action) = &decision.next
            && let Err(no) = veto(now(), &self.group, &self.known, action)
        {
            panic!("the veto contradicts the decision\n{out}{action}\n{no}");
        }
        out + &decision_lines(&decision)
    }
}

fn open(at: Time, opened: Opened) -> Regeneration {
    let group = GroupKey { account: "default".into(), region: "eu-west-1".into(), name: "web".into() };
    let entry = Entry {
        trigger: Some(Trigger::Schedule),
        regeneration: Some(ID),
        ..Entry::new(Event::RegenerationOpened(Box::new(opened)), at, "schedule").about(&group)
    };
    let known = Regeneration::open(&entry).unwrap();
    assert_eq!(known.group, group);
    known
}

/// What the journal says of an instance.
fn remember(known: &mut Regeneration, line: &Line<'_>, is_newcomer: bool) {
    let id = || line.id.clone();
    let policy = &known.opened.policy;
    if is_newcomer {
        let since = line.launched.or(line.born).unwrap_or_else(now);
        let came = line.lifecycle == Lifecycle::InService && !line.has("noted");
        let healthy = line.healthy_for.or_else(|| line.has("serving").then_some(since));
        let in_service = line.in_service.or(healthy).or_else(|| came.then_some(since)).filter(|_| came);
        let served = healthy.map(|at| policy.warmup.after(at)).filter(|at| *at <= now() && came);
        assert!(served.is_some() || !line.has("serving"), "{} cannot serve yet", line.id);
        // An instance that became unhealthy has served before, unless the table says when it came.
        let served = served.or_else(|| line.sick_for.filter(|_| line.in_service.is_none()));
        known.served.extend(served);
        let newcomer = Newcomer {
            since,
            ours: line.has("ours"),
            in_service,
            serving: served,
            failed: line.has("failed") && line.retired.is_none(),
            gone: false,
        };
        known.newcomers.insert(id(), newcomer);
    }
    if let Some(since) = line.retired {
        let why = match () {
            () if line.has("failed") => Reason::Failed,
            () if line.has("surplus") => Reason::Surplus,
            () => Reason::Stale,
        };
        let draining = line.lifecycle == Lifecycle::Terminating;
        known.retired.insert(id(), Retirement { since, why, draining, gone: false });
    }
    if line.has("lost") {
        known.lost.insert(id());
    }
    if line.has("paired") {
        known.successors.insert(id());
    }
}

/// Looks at the group often enough for its instances to have been healthy or sick for as long as the table says.
fn watched(group: Group, known: &Regeneration, lines: &[Line<'_>]) -> (HealthTracker, TrackedGroup) {
    let mut watch = HealthTracker::default();
    let waived = known.waived(&group);
    let hour = ago("1h");
    let mut onsets = BTreeMap::new();
    for line in lines.iter().filter(|line| line.shown()) {
        let instance = group.instance(&line.id).unwrap();
        let healthy = group.is_healthy(instance, &waived);
        assert!(healthy || !line.has("serving"), "{} does not look serving", line.id);
        let since = if healthy { line.healthy_for } else { line.sick_for };
        onsets.insert(line.id.clone(), (healthy, since.unwrap_or_else(|| hour.max(line.born.unwrap_or(hour)))));
    }
    let mut looks: BTreeSet<Time> = onsets.values().map(|(_, since)| *since).collect();
    let mut look = looks.first().copied().unwrap_or(hour);
    while look < group.seen {
        looks.insert(look);
        look = Span::minutes(1).after(look);
    }
    for look in looks.into_iter().filter(|look| *look < group.seen) {
        let mut then = group.clone();
        then.seen = look;
        for instance in &mut then.instances {
            match onsets[&instance.id] {
                (_, since) if since <= look => {}
                (true, _) => instance.healthy = false,
                (false, _) => {
                    instance.healthy = true;
                    for target_group in &mut then.target_groups {
                        target_group.health.insert(instance.id.clone(), verdict("healthy", ""));
                    }
                }
            }
        }
        // Only the present look lacks these.
        then.instances.extend(lines.iter().filter(|line| line.has("absent")).map(Line::instance));
        let _ = watch.take(then, known);
    }
    let group = watch.take(group, known);
    (watch, group)
}

fn news_line(entry: &Entry) -> String {
    let mut out = entry.kind().to_string();
    for instance in entry.event.instances() {
        write!(out, " {instance}").unwrap();
    }
    if let Event::InstanceLaunched(launched) = &entry.event {
        write!(out, " ({:?})", launched.launched_by).unwrap();
    }
    for cause in entry.event.causes() {
        write!(out, " ({})", cause.code).unwrap();
    }
    if let Event::GroupChanged(changed) = &entry.event {
        let change = &changed.change;
        for (what, pair) in [("min", change.min), ("desired", change.desired), ("max", change.max)] {
            if let Some([before, after]) = pair {
                write!(out, " {what} {before} -> {after}").unwrap();
            }
        }
    }
    for cause in entry.event.causes() {
        write!(out, ": {}", cause.message).unwrap();
    }
    if let Some(message) = entry.event.message() {
        write!(out, ": {message}").unwrap();
    }
    if entry.event.is_answer_lost() {
        out += ": the answer was lost; the effect was seen";
    }
    out
}

fn action_line(action: &Action) -> String {
    let mut out = action.to_string();
    match action {
        Action::Launch { token, .. } => {
            write!(out, "; token {}", token.replace(&ID.simple().to_string(), "ID").replace(OPENED, "")).unwrap();
        }
        Action::Retire(retire) => {
            if retire.decrement {
                out += "; decrement";
            }
            if let Some(successor) = &retire.successor {
                write!(out, "; successor {successor}").unwrap();
            }
        }
        Action::TakeLease { value, until } => {
            let lease: Lease = parse(value);
            assert_eq!((lease.regeneration, lease.daemon.as_str(), lease.until), (ID, DAEMON, *until));
            write!(out, "; wanted {} surge {} max {}", lease.wanted, lease.surge, lease.max).unwrap();
        }
        Action::ReleaseLease
        | Action::RaiseMaxSize { .. }
        | Action::RestoreMaxSize { .. }
        | Action::RestoreMinSize { .. }
        | Action::Grow { .. }
        | Action::Shrink { .. } => {}
    }
    out
}

fn decision_lines(decision: &Decision) -> String {
    let mut out = match &decision.next {
        Next::Act(action) => format!("{}\n", action_line(action)),
        Next::End(Aborted { outcome, cause }) => format!("end {}: {}: {cause}\n", outcome.word(), cause.code),
        Next::Close(Close { outcome, left, cause, .. }) => {
            let mut out = format!("close {}", outcome.word());
            if let Some(cause) = cause {
                write!(out, ": {}: {cause}", cause.code).unwrap();
            }
            out.push('\n');
            for Left { instance, why } in left {
                writeln!(out, "left {instance}: {}", serde_json::to_string(why).unwrap().replace('"', "")).unwrap();
            }
            out
        }
        Next::Wait => "wait\n".to_owned(),
    };
    for hold in &decision.holds {
        writeln!(out, "hold: {hold}").unwrap();
    }
    if let Some(at) = decision.look_again_at {
        writeln!(out, "again in {}", Span::between(now(), at)).unwrap();
    }
    out
}
