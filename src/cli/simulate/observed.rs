//! A real group, looked at once, for a play that begins with it. Nothing is written anywhere.

use std::collections::BTreeMap;

use crate::adapters::config::Config;
use crate::domain::group::Group;
use crate::domain::plan::{Pace, plan};
use crate::domain::policy::Policy;
use crate::domain::span::Span;
use crate::engine::ports::{Ask, Cloud};
use crate::render::left_words;

use super::super::Failure;
use super::super::select::{connect, list, select, unreachable};
use super::summary::plural;

/// The group as it is now, and what is configured for it.
pub(super) struct Observed {
    pub(super) group: Group,
    pub(super) policy: Policy,
    /// A rule of the configuration names it.
    pub(super) ruled: bool,
}

/// So many groups are named to somebody who means one of them.
const NAMED_MAX: usize = 5;

pub(super) async fn observe(config: &Config, name: &str) -> Result<Observed, Failure> {
    let mut aws = connect(config).await?;
    let listing = list(&mut aws).await?;
    let chosen = select(&listing, config, &[name.to_owned()])?;
    let [one] = chosen.as_slice() else {
        let named = chosen.iter().map(|c| format!("{} ({}, {})", c.key, c.key.account, c.key.region));
        let names = named.take(NAMED_MAX).collect::<Vec<_>>().join(", ");
        let more = if chosen.len() > NAMED_MAX { " …" } else { "" };
        // One name in two places: nothing that could be typed tells them apart.
        let hint = match chosen.iter().all(|c| c.key.name == name) {
            true => "configure [[aws.accounts]] with one of these places",
            false => "name one",
        };
        return Err(Failure::usage(format!("{name} names {} groups: {names}{more}; {hint}", chosen.len())));
    };
    let mut sweep = aws.look(&[Ask { key: one.key.clone(), include_refresh: true, scalers: true }]).await;
    match sweep.remove(&one.key) {
        Some(Ok(group)) => Ok(Observed { group, policy: one.policy.clone(), ruled: one.ruled }),
        Some(Err(error)) => {
            let Failure { code, message } = unreachable(&error);
            Err(Failure { code, message: format!("{}: {message}", one.key) })
        }
        None => Err(Failure::usage(format!("the group {} went away while it was looked at", one.key))),
    }
}

impl Observed {
    /// What a plan for the group says, but for how long it takes: that is what the plays are for.
    pub(super) fn notes(&self, policy: &Policy) -> Vec<String> {
        let at_once = Pace { launch: Span::ZERO, drain: Span::ZERO, measured: false };
        let plan = plan(self.group.seen, &self.group, policy, at_once);
        let raised = plan.raises_max_size_to;
        let mut notes: Vec<_> = raised
            .map(|to| format!("max size is raised from {} to {to} meanwhile, and restored", plan.max))
            .into_iter()
            .collect();
        let mut left: BTreeMap<&str, u32> = BTreeMap::new();
        plan.left.iter().for_each(|one| *left.entry(left_words(one.why)).or_default() += 1);
        notes.extend(
            left.into_iter().map(|(why, n)| format!("left alone: {}, {why}", plural(n, "instance", "instances"))),
        );
        notes.extend(plan.notes);
        notes.extend(plan.holds.iter().map(|hold| format!("in its way now: {hold}")));
        notes
    }
}
