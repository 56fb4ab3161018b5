//! All the places to die of a scenario: each alone, two after the other, and with the journal gone.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use regend::domain::span::Span;
use regend::harness::{IoPoint, When};

use super::play::{Undisturbed, play, undisturbed};
use super::point::{Death, Journal, Point, whens};
use super::scenario::{SCENARIOS, Scenario};

/// Shorter than anything; longer than a drain; longer than a lease; longer than a window.
const OUTAGES: [Span; 4] = [Span::seconds(1), Span::minutes(5), Span::hours(3), Span::hours(13)];

/// Points that fail for a known reason, by how they begin. Empty unless one is being worked on.
const OPEN: &[&str] = &[];

/// How many pairs each scenario gets by default.
const PAIRS: usize = if cfg!(debug_assertions) { 6 } else { 100 };

/// Kills the processes of a scenario everywhere, and says how often and of what.
pub(super) fn everywhere(name: &str) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario of this name");
    let (base, story) = undisturbed(scenario);
    assert!(
        story.scene.broken.is_empty(),
        "undisturbed, {name} fails:\n{}\n{}",
        story.scene.trace.lines,
        story.scene.complaints()
    );
    if let Ok(point) = std::env::var("REGEND_CRASH") {
        replay(scenario, &base, &point);
        return;
    }
    let depth = std::env::var("REGEND_CRASHES").ok().and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
    let mut tally = Tally::default();
    let singles = singles(&base.external_changes, depth);
    let stride = if cfg!(debug_assertions) && depth == 1 { 10 } else { 1 };
    println!("{name}: {} touches, {} single deaths{}", base.external_changes.len(), singles.len(), every(stride));
    for death in singles.iter().step_by(stride) {
        tally.kill(scenario, &base, &[*death]);
    }
    let firsts = halves(&base.external_changes);
    // The second death is drawn from what really follows the first, so that each pair exists.
    let per_first = (PAIRS * depth).div_ceil(firsts.len());
    let step = firsts.len().div_ceil(PAIRS * depth);
    let mut pairs = 0;
    for (n, first) in firsts.iter().enumerate().step_by(step) {
        let seconds = halves(&play(scenario, &base, &[*first], true).external_changes);
        let stride = seconds.len().div_ceil(per_first).max(1);
        pairs += seconds.len();
        for second in seconds.iter().skip(n % stride).step_by(stride) {
            tally.kill(scenario, &base, &[*first, *second]);
        }
    }
    assert!(base.external_changes.len() > 30 && pairs > 100, "{name} has hardly a place to die");
    println!("{name}: {} first deaths{}, after which there are {pairs} second ones", firsts.len(), every(step));
    tally.report(name);
}

fn every(stride: usize) -> String {
    if stride > 1 { format!(", every {stride}th") } else { String::new() }
}

/// Every way to die, with the journal kept and gone, each with another outage; with more depth, with more of them.
fn singles(external_changes: &[IoPoint], depth: usize) -> Vec<Death> {
    let mut deaths = Vec::new();
    for (place, (touch, when)) in places(external_changes).enumerate() {
        // Before a look nothing is different from after what came before it.
        let is_look = external_changes.get(touch) == Some(&IoPoint::Look);
        for (n, journal) in [Journal::Kept, Journal::Gone].into_iter().enumerate() {
            if is_look && depth == 1 && place % 4 != 2 * n {
                continue;
            }
            let outages = OUTAGES.iter().cycle().skip(place / 2 + n).take(depth.min(OUTAGES.len()));
            deaths.extend(outages.map(|outage| Death {
                touch,
                when,
                outage: meanwhile(when, *outage, journal),
                journal,
            }));
        }
    }
    deaths
}

/// Every touch, and every way to die of it.
fn places(external_changes: &[IoPoint]) -> impl Iterator<Item = (usize, When)> {
    external_changes.iter().enumerate().flat_map(|(touch, what)| whens(*what).iter().map(move |when| (touch, *when)))
}

/// Where one of two dies: everywhere but at looks, each after another outage, the journal kept more often than not.
fn halves(external_changes: &[IoPoint]) -> Vec<Death> {
    let places = places(external_changes)
        .filter(|(touch, _)| *touch == 0 || external_changes.get(*touch) != Some(&IoPoint::Look));
    let outages = OUTAGES.into_iter().cycle();
    let deaths = places.zip(outages).enumerate();
    let journal = |n| if n % 3 == 2 { Journal::Gone } else { Journal::Kept };
    let death = |(n, ((touch, when), outage))| Death {
        touch,
        when,
        outage: meanwhile(when, outage, journal(n)),
        journal: journal(n),
    };
    deaths.map(death).collect()
}

/// A request is late only for a process that is there before it arrives; and another host is not there at once.
fn meanwhile(when: When, outage: Span, journal: Journal) -> Span {
    match (when, journal) {
        (_, Journal::Gone) => outage.max(Span::minutes(1)),
        (When::Late(_), Journal::Kept) => Span::seconds(1),
        (When::Before | When::After, Journal::Kept) => outage,
    }
}

/// What was tried, by kind, and what failed.
#[derive(Default)]
struct Tally {
    tried: BTreeMap<(&'static str, &'static str, &'static str), usize>,
    failures: Vec<(Point, String)>,
    open: BTreeSet<&'static str>,
}

impl Tally {
    fn kill(&mut self, scenario: &Scenario, base: &Undisturbed, deaths: &[Death]) {
        let point = Point { scenario: scenario.name.to_owned(), deaths: deaths.to_vec() };
        let word = point.to_string();
        if let Some(open) = OPEN.iter().find(|open| word.starts_with(**open)) {
            self.open.insert(open);
            return;
        }
        let Some(first) = deaths.first() else { return };
        let what = match base.external_changes.get(first.touch) {
            Some(IoPoint::Look) => "look",
            Some(IoPoint::Call(_)) => "call",
            Some(IoPoint::Write(_)) => "write",
            None => "nothing",
        };
        let when = match first.when {
            When::Before => "before",
            When::After => "after",
            When::Late(_) => "late",
        };
        let gone = deaths.iter().any(|death| death.journal == Journal::Gone);
        let how = match (deaths.len(), gone) {
            (1, false) => "",
            (1, true) => ", journal gone",
            (_, false) => ", and again",
            (_, true) => ", and again, a journal gone",
        };
        *self.tried.entry((what, when, how)).or_default() += 1;
        let played = catch_unwind(AssertUnwindSafe(|| play(scenario, base, deaths, true)));
        match played {
            Ok(story) if story.scene.broken.is_empty() => {}
            Ok(story) => self.failures.push((point, story.scene.complaints())),
            Err(_) => self.failures.push((point, "it panics".to_owned())),
        }
    }

    #[track_caller]
    fn report(&self, name: &str) {
        for ((what, when, how), count) in &self.tried {
            println!("{name}: {count:5} killed {when} a {what}{how}");
        }
        for open in &self.open {
            println!("{name}: left out, for now: {open}");
        }
        let Some((point, _)) = self.failures.first() else { return };
        let says: Vec<_> = self.failures.iter().map(|(point, says)| format!("{point}: {says}")).collect();
        let most = std::env::var("REGEND_CRASH_LIST").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
        let tried: usize = self.tried.values().sum();
        panic!(
            "{} of {tried} points of {name} fail\n{}\nreplay with: REGEND_CRASH={point} \
             cargo test --no-default-features --test core crashes::{name} -- --nocapture",
            says.len(),
            says.iter().take(most).cloned().collect::<Vec<_>>().join("\n")
        );
    }
}

/// Tells the story of one point.
fn replay(scenario: &Scenario, base: &Undisturbed, text: &str) {
    let point: Point = text.parse().expect("REGEND_CRASH names a point");
    if point.scenario != scenario.name {
        return;
    }
    if let Some(touch) = point.deaths.first().and_then(|death| base.external_changes.get(death.touch)) {
        println!("{text}: the first dies of {touch:?}");
    }
    let story = play(scenario, base, &point.deaths, false);
    println!("{}", story.scene.trace.lines);
    assert!(story.scene.broken.is_empty(), "{}", story.scene.complaints());
    println!("no promise is broken");
}
