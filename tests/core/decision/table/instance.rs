//! The lines of a table that stand for an instance.

use std::collections::BTreeSet;

use regend::domain::capacity::Units;
use regend::domain::group::{Instance, InstanceId, Lifecycle, TargetHealth, TargetState, Zone};
use regend::domain::span::{Span, Time};

use super::{ago, parse};

/// One instance: as the look shows it, and what the journal says of it.
pub(super) struct Line<'a> {
    pub(super) id: InstanceId,
    pub(super) zone: Zone,
    pub(super) lifecycle: Lifecycle,
    pub(super) weight: Units,
    pub(super) born: Option<Time>,
    pub(super) words: BTreeSet<&'a str>,
    pub(super) verdicts: Vec<(&'a str, TargetHealth)>,
    pub(super) healthy_for: Option<Time>,
    pub(super) sick_for: Option<Time>,
    pub(super) in_service: Option<Time>,
    pub(super) launched: Option<Time>,
    pub(super) retired: Option<Time>,
}

impl<'a> Line<'a> {
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether the look shows it.
    pub(super) fn shown(&self) -> bool {
        !self.has("absent") && !self.has("gone")
    }

    pub(super) fn read(id: &str, zone: char, words: &[&'a str]) -> Self {
        let mut line = Self {
            id: InstanceId::new(id),
            zone: Zone::new(zone),
            lifecycle: Lifecycle::InService,
            weight: Units::ONE,
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
                    ["weight", weight] => line.weight = parse(weight),
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
    pub(super) fn health(&self, target_group: &str, is_first: bool) -> TargetHealth {
        let usual = match self.lifecycle {
            Lifecycle::Pending | Lifecycle::Standby | Lifecycle::Detaching => TargetState::Unregistered,
            Lifecycle::Terminating | Lifecycle::Retained => TargetState::Draining,
            Lifecycle::InService | Lifecycle::ReplacingRootVolume | Lifecycle::Unknown => TargetState::Healthy,
        };
        let said = self.verdicts.iter().find(|(name, _)| *name == target_group).map(|(_, health)| health);
        let usual = TargetHealth { state: usual, code: String::new(), shifted: false };
        TargetHealth { shifted: is_first && self.has("shifted"), ..said.cloned().unwrap_or(usual) }
    }

    pub(super) fn instance(&self) -> Instance {
        Instance {
            id: self.id.clone(),
            zone: self.zone.clone(),
            lifecycle: self.lifecycle,
            weight: self.weight,
            healthy: !self.has("unhealthy"),
            protected: self.has("protected"),
            born: self.born,
            image: None,
            template: None,
        }
    }
}

pub(super) fn verdict(state: &str, code: &str) -> TargetHealth {
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

/// `i-1 a serving 25h`, or several at once: `i-1..i-4 ab serving 25h`, their zones in turn.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
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
