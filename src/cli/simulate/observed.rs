//! Observes a group in AWS once, as the start of a simulation. Changes nothing.

use std::collections::BTreeMap;

use crate::adapters::config::Config;
use crate::domain::action::Hold;
use crate::domain::forecast::{Pace, plan};
use crate::domain::group::Group;
use crate::domain::policy::Policy;
use crate::domain::span::Span;
use crate::engine::ports::{Ask, Cloud};
use crate::render::left_words;

use super::super::select::{connect, list, select, unreachable};
use super::super::{Failure, exit};
use super::summary::plural;

/// The observed group and its policy.
pub(super) struct Observed {
    pub(super) group: Group,
    pub(super) policy: Policy,
    /// Whether a rule of the configuration matches the group.
    pub(super) ruled: bool,
}

/// The number of groups that are listed if a name is ambiguous.
const NAMED_MAX: usize = 5;

pub(super) async fn observe(config: &Config, name: &str) -> Result<Observed, Failure> {
    let aws = connect(config).await?;
    let listing = list(&aws).await?;
    let chosen = select(&listing, config, &[name.to_owned()])?;
    let [one] = chosen.as_slice() else {
        let named = chosen.iter().map(|c| format!("{} ({}, {})", c.key, c.key.account, c.key.region));
        let names = named.take(NAMED_MAX).collect::<Vec<_>>().join(", ");
        let more = if chosen.len() > NAMED_MAX { " …" } else { "" };
        // If the same name exists in two places, no argument can distinguish them.
        let hint = match chosen.iter().all(|c| c.key.name == name) {
            true => "configure [[aws.accounts]] with only one of these places",
            false => "name one of them",
        };
        return Err(Failure::usage(format!("{name} matches {} groups: {names}{more}; {hint}", chosen.len())));
    };
    let mut sweep = aws.look(&[Ask { key: one.key.clone(), include_refresh: true, scalers: true }]).await;
    match sweep.remove(&one.key) {
        Some(Ok(group)) if let Some(hold) = Hold::unsupported(&group) => {
            Err(Failure { code: exit::HELD, message: format!("{}: {hold}", one.key) })
        }
        Some(Ok(group)) => Ok(Observed { group, policy: one.policy.clone(), ruled: one.ruled }),
        Some(Err(error)) => {
            let Failure { code, message } = unreachable(&error);
            Err(Failure { code, message: format!("{}: {message}", one.key) })
        }
        None => Err(Failure::usage(format!("the group {} was deleted meanwhile", one.key))),
    }
}

impl Observed {
    /// The notes of a plan for the group, without its duration, which the simulation determines.
    pub(super) fn notes(&self, policy: &Policy) -> Vec<String> {
        let at_once = Pace { launch: Span::ZERO, drain: Span::ZERO, measured: false };
        let plan = plan(self.group.seen, &self.group, policy, at_once);
        let raised = plan.raises_max_size_to;
        let mut notes: Vec<_> = raised
            .map(|to| {
                format!("max size is raised from {} to {to} for the regeneration, and restored at its end", plan.max)
            })
            .into_iter()
            .collect();
        let mut left: BTreeMap<&str, u32> = BTreeMap::new();
        plan.left.iter().for_each(|one| *left.entry(left_words(one.why)).or_default() += 1);
        notes.extend(
            left.into_iter().map(|(why, n)| format!("not replaced: {}, {why}", plural(n, "instance", "instances"))),
        );
        notes.extend(plan.notes);
        notes.extend(plan.holds.iter().map(|hold| format!("would not start now: {hold}")));
        notes
    }
}
