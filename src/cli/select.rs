//! What `run`, `plan`, `check` and the daemon start from: the connection, the fleet, and the groups that are selected.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::adapters::aws::Aws;
use crate::adapters::config::Config;
use crate::domain::action::Hold;
use crate::domain::group::GroupKey;
use crate::domain::policy::Policy;
use crate::domain::span::Time;
use crate::engine::clock::Wall;
use crate::engine::discovery;
use crate::engine::firings::Scheduled;
use crate::engine::fleet::{Fleet, Settings, Watch};
use crate::engine::ports::{CloudError, Journal, Listing};

use super::{Failure, exit, say};

/// A selected group.
pub(super) struct Chosen {
    pub(super) key: GroupKey,
    pub(super) policy: Policy,
    /// When the group was created, if AWS says so.
    pub(super) created: Option<Time>,
    /// Whether a rule of the configuration matches the group; otherwise the defaults in `[policy]` apply.
    pub(super) ruled: bool,
    /// Present if that rule excludes the group.
    pub(super) excluded: Option<Hold>,
}

impl Chosen {
    /// The group as a daemon schedules it.
    pub(super) fn scheduled(&self) -> Scheduled {
        Scheduled { key: self.key.clone(), policy: self.policy.clone(), created: self.created }
    }
}

/// The number of similar names that are suggested for an unknown one.
const NEAR_MAX: usize = 3;

/// Lists all groups, and prints which accounts and regions could not be listed.
pub(super) async fn list(aws: &Aws) -> Result<Listing, Failure> {
    let listing = discovery::list(aws).await;
    // Missing credentials of an account cause the same error in each region, so it is printed once.
    let mut failed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((account, region), error) in &listing.failed {
        failed.entry(error.to_string()).or_default().push(format!("{account} in {region}"));
    }
    let lines: Vec<_> = failed.iter().map(|(error, places)| format!("{}: {error}", places.join(", "))).collect();
    if listing.reached.is_empty() && !lines.is_empty() {
        return Err(Failure { code: exit::UNREACHABLE, message: lines.join("\nregend: ") });
    }
    lines.iter().for_each(|line| say(&format!("regend: {line}")));
    Ok(listing)
}

/// The exit code of a command: `code`, unless some accounts or regions could not be listed.
pub(super) fn unless_incomplete(listing: &Listing, code: u8) -> u8 {
    match listing.failed.is_empty() {
        true => code,
        false if code == exit::FAILED => code,
        false => {
            let places: Vec<_> = listing.failed.keys().map(|(account, region)| format!("{account}/{region}")).collect();
            say(&format!(
                "regend: the result is incomplete, because the groups of {} could not be listed",
                places.join(", ")
            ));
            exit::UNREACHABLE
        }
    }
}

/// Connects to every configured account and region.
pub(super) async fn connect(config: &Config) -> Result<Aws, Failure> {
    Aws::connect(&config.aws.accounts).await.map_err(|error| unreachable(&error))
}

/// A fleet as the configuration says.
pub(super) fn fleet<J: Journal + 'static>(
    config: &Config,
    aws: Aws,
    journal: J,
    clock: Wall,
    is_daemon: bool,
    watch: Watch,
) -> Rc<Fleet<Aws, J, Wall>> {
    let settings = Settings {
        poll: config.aws.poll_interval,
        max_concurrent: config.daemon.max_concurrent_groups as usize,
        max_failed: config.daemon.max_failed_groups,
        config: Some(config.hash()),
        is_daemon,
    };
    Fleet::new(aws, journal, clock, settings, watch)
}

pub(super) fn unreachable(error: &CloudError) -> Failure {
    Failure { code: exit::UNREACHABLE, message: error.to_string() }
}

/// The groups that match `patterns`; without patterns, those that a rule of the configuration matches and does not
/// exclude.
pub(super) fn select(listing: &Listing, config: &Config, patterns: &[String]) -> Result<Vec<Chosen>, Failure> {
    let mut chosen = Vec::new();
    for (key, listed) in &listing.groups {
        let rule = config.rule_for(&key.account, &key.name, &listed.tags);
        let excluded = rule.filter(|rule| !rule.regenerate).map(|rule| Hold::Excluded { line: rule.line });
        let named = patterns.iter().any(|pattern| matches(pattern, &key.name));
        if named || (patterns.is_empty() && rule.is_some() && excluded.is_none()) {
            let policy = rule.map_or(&config.policy, |rule| &rule.policy).clone();
            let created = listed.created;
            chosen.push(Chosen { key: key.clone(), policy, created, ruled: rule.is_some(), excluded });
        }
    }
    let unknown: Vec<_> = patterns.iter().filter(|p| !chosen.iter().any(|c| matches(p, &c.key.name))).collect();
    if unknown.is_empty() {
        return Ok(chosen);
    }
    let mut lines: Vec<_> = unknown.iter().map(|name| unknown_group(name, listing)).collect();
    if !listing.failed.is_empty() {
        lines.push("some accounts or regions could not be listed (see above), so the group may exist there".to_owned());
        return Err(Failure { code: exit::UNREACHABLE, message: lines.join("\n") });
    }
    Err(Failure::usage(lines.join("\n")))
}

/// Whether the glob matches the name. A slash is an ordinary character in a group's name.
fn matches(pattern: &str, name: &str) -> bool {
    let plain = |text: &str| text.replace('/', "\u{1}");
    pattern == name || glob_match::glob_match(&plain(pattern), &plain(name))
}

fn unknown_group(name: &str, listing: &Listing) -> String {
    let places: Vec<_> = listing.reached.iter().map(|(account, region)| format!("{account}/{region}")).collect();
    let mut near: Vec<_> =
        listing.groups.keys().map(|key| (strsim::damerau_levenshtein(name, &key.name), &key.name)).collect();
    near.sort();
    near.dedup();
    let near: Vec<_> = near
        .into_iter()
        .filter(|(distance, known)| *distance <= name.len() / 3 + 1 || known.contains(name))
        .take(NEAR_MAX)
        .map(|(_, known)| format!("`{known}`"))
        .collect();
    let hint = match near.is_empty() {
        false => format!("did you mean {}?", near.join(" or ")),
        true if listing.groups.is_empty() => "no groups exist there; check the region and the account".to_owned(),
        true => {
            let others = match listing.groups.len() {
                1 => "1 other group exists".to_owned(),
                n => format!("{n} other groups exist"),
            };
            format!("{others} there (`regend status '*'` lists them); check the region and the account")
        }
    };
    format!("there is no Auto Scaling group `{name}` in {}: {hint}", places.join(", "))
}
