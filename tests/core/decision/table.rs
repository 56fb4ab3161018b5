//! The language of the tables: a group, what is remembered of it, and what one turn makes of it.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::str::FromStr;

use chrono::{TimeZone, Utc};
use regend::domain::action::{Action, RefusalKind};
use regend::domain::capacity::Units;
use regend::domain::change_detection;
use regend::domain::decision::{self, Next, Owner};
use regend::domain::group::{Group, GroupKey, InstanceId, Suspension, TargetGroup, Zone};
use regend::domain::health_tracker::{HealthTracker, TrackedGroup};
use regend::domain::journal::{Aborted, Cause, Entry, Event, Inherited, Member, Opened, Trigger};
use regend::domain::lease::Lease;
use regend::domain::policy::Policy;
use regend::domain::regeneration::{Intent, Regeneration, Settling};
use regend::domain::span::{Span, Time};
use regend::domain::veto::veto;
use uuid::Uuid;

use self::instance::{Line, lines};
use self::known::{remember, watched};
use self::printed::{decision_lines, news_line};
pub(crate) use self::words::{action, outcome, refusal};
use self::words::{lease, unit};

mod instance;
mod known;
mod printed;
mod words;

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

    fn units(&mut self, key: &str) -> Option<Units> {
        self.number(key).map(Units::from)
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

/// What a table describes.
pub(crate) struct Scene {
    pub(crate) group: TrackedGroup,
    pub(crate) known: Regeneration,
    pub(crate) watch: HealthTracker,
    /// The number of regenerations that the process has open.
    open_groups: u32,
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

        let raised = header.units("raised").unwrap_or_default();
        let members = lines.iter().filter(|l| l.shown() && l.lifecycle.counts() && l.retired.is_none());
        let members: Units = members.map(|l| l.weight).sum();
        let wanted = header.units("wanted").unwrap_or_else(|| members.saturating_sub(raised));
        let desired = wanted + raised;
        let (min, max) = (header.units("min").unwrap_or_default(), header.units("max").unwrap_or_else(|| 10.into()));
        let of_members = lines.iter().map(|l| l.weight).fold(Units::ONE, Units::max);
        let heaviest = header.units("heaviest").unwrap_or(of_members);
        let opened_at = ago(header.word("opened").unwrap_or("1h"));
        let cutoff = header.word("cutoff").map_or(opened_at, ago);
        let over = header.take("window").map(|words| words.get(1).copied().unwrap_or("1s"));
        let window_ends = over.map_or_else(|| policy.window.after(opened_at), ago);

        let names = header.take("targets").unwrap_or_else(|| vec!["tg"]);
        let names = names.into_iter().filter(|name| *name != "none");
        let (slow_start, drains) = (header.word("slow-start").map(parse), header.word("drains").map(parse));
        let drops_flows = header.flag("drops-flows");
        let shown = || lines.iter().filter(|line| line.shown());
        let target_group = |(n, name): (usize, &str)| TargetGroup {
            slow_start: slow_start.unwrap_or_default(),
            deregistration_delay: drains.unwrap_or_default(),
            drops_flows,
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
                .map(|line| Member {
                    instance: line.id.clone(),
                    zone: line.zone.clone(),
                    weight: line.weight,
                    born: line.born,
                    image: None,
                })
                .collect(),
            serving: header.units("at-opening"),
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
        let ours = lines.iter().filter(|line| line.has("ours")).map(|line| line.weight).sum();
        known.unclaimed = header.units("unclaimed").unwrap_or_else(|| raised.saturating_sub(ours));
        known.max_before = header.units("max-before");
        known.retaken = header.number("retaken").unwrap_or(0);
        known.shrunk_at = header.word("shrunk").map(ago);
        known.min_before = header.units("min-before");
        known.decremented = header.units("decremented");
        known.taken = header.take("taken").map(|words| (parse(words[0]), ago(words[1])));
        known.failures = header.number("failures").unwrap_or(0);
        known.launches = header.number("launches").unwrap_or(0);
        known.scaled_in = header.units("scaled-in").unwrap_or_default();
        known.released = header.flag("released");
        known.claimed = header.word("claimed").map(str::to_owned);
        known.leased_at = header.word("leased").map(ago);
        if let Some(words) = header.take("desired-range") {
            known.desired_range = (parse(words[0]), parse(words[1]));
        }
        known.last_effect = header.word("effect").map(ago);
        known.last_change = known.last_effect;
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
            let shifts = (known.is_scaled() || heaviest > Units::ONE) && known.opened.policy.raise_max_size;
            let min = shifts.then_some(least);
            Lease { max_allowed: Units::MAX, min, ..lease(ID, DAEMON, ahead(held), (wanted, Units::ONE, max)) }
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
            ["of", "another-host", until] => {
                Some(lease(OTHER_ID, "there", ahead(until), (3.into(), Units::ONE, 10.into())).to_string())
            }
            ["of", "its-new-owner", until] => {
                Some(lease(ID, "there", ahead(until), (3.into(), Units::ONE, 10.into())).to_string())
            }
            ["of", "our-last", until] => {
                Some(lease(OTHER_ID, DAEMON, ahead(until), (3.into(), Units::ONE, 10.into())).to_string())
            }
            _ => panic!("tag {words:?}"),
        });
        let numbered = (0..header.number("tags").unwrap_or(0)).map(|n| (format!("tag-{n}"), String::new()));
        let named = header.take("tagged").map(|words| (words[0].to_owned(), words[1..].join(" ")));
        let tags = numbered.chain(named).collect();
        let mut sees = |what: &str, usual: Units| {
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
            unit: header.word("unit").map(unit).unwrap_or_default(),
            heaviest,
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
            tags,
        };
        let open_groups = header.number("open-groups").unwrap_or(1);
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
        Self { group, known, watch, open_groups }
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
        let owner = Owner { daemon: DAEMON, open_groups: self.open_groups };
        let decide = |known: &Regeneration| decision::decide(now(), owner, &self.group, known);
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
