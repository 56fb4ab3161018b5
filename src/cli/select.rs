//! Which groups a command is about: names and globs against what AWS lists and the configuration rules.

use std::collections::BTreeMap;

use crate::adapters::aws::Aws;
use crate::adapters::config::Config;
use crate::domain::group::GroupKey;
use crate::domain::policy::Policy;
use crate::engine::ports::{Cloud, CloudError, Listing};

use super::{Failure, exit, say};

/// A group that a command is about.
pub(super) struct Chosen {
    pub(super) key: GroupKey,
    pub(super) policy: Policy,
    /// A rule of the configuration names it; otherwise `[policy]` itself applies.
    pub(super) ruled: bool,
}

/// How many near names an unknown one is answered with.
const NEAR_MAX: usize = 3;

/// The groups that AWS lists, with their policies; connects, and says which places could not be reached.
pub(super) async fn list(aws: &mut Aws) -> Result<Listing, Failure> {
    let listing = aws.list().await;
    // One account's credentials fail alike in all its regions: that is told once.
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

/// What a command ends with that did all it could, in the places that could be reached.
pub(super) fn unless_blind(listing: &Listing, code: u8) -> u8 {
    match listing.failed.is_empty() {
        true => code,
        false if code == exit::FAILED => code,
        false => {
            let places: Vec<_> = listing.failed.keys().map(|(account, region)| format!("{account}/{region}")).collect();
            say(&format!("regend: the groups of {} are not in this: they could not be listed", places.join(", ")));
            exit::UNREACHABLE
        }
    }
}

/// Connects to every configured account and region.
pub(super) async fn connect(config: &Config) -> Result<Aws, Failure> {
    Aws::connect(&config.aws.accounts).await.map_err(|error| unreachable(&error))
}

pub(super) fn unreachable(error: &CloudError) -> Failure {
    Failure { code: exit::UNREACHABLE, message: error.to_string() }
}

/// The groups that `patterns` name; without any, those that the configuration rules.
pub(super) fn select(listing: &Listing, config: &Config, patterns: &[String]) -> Result<Vec<Chosen>, Failure> {
    let mut chosen = Vec::new();
    for (key, tags) in &listing.groups {
        let rule = config.policy_for(&key.account, &key.name, tags);
        let named = patterns.iter().any(|pattern| matches(pattern, &key.name));
        if named || (patterns.is_empty() && rule.is_some()) {
            let policy = rule.unwrap_or(&config.policy).clone();
            chosen.push(Chosen { key: key.clone(), policy, ruled: rule.is_some() });
        }
    }
    let unknown: Vec<_> = patterns.iter().filter(|p| !chosen.iter().any(|c| matches(p, &c.key.name))).collect();
    if unknown.is_empty() {
        return Ok(chosen);
    }
    let mut lines: Vec<_> = unknown.iter().map(|name| unknown_group(name, listing)).collect();
    if !listing.failed.is_empty() {
        lines.push("some accounts or regions could not be listed (see above): it may be there".to_owned());
        return Err(Failure { code: exit::UNREACHABLE, message: lines.join("\n") });
    }
    Err(Failure::usage(lines.join("\n")))
}

/// A slash separates nothing in a group's name.
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
        true if listing.groups.is_empty() => "no group at all is there; another region or account?".to_owned(),
        true => {
            let others = match listing.groups.len() {
                1 => "1 other is".to_owned(),
                n => format!("{n} others are"),
            };
            format!("{others} there (`regend status '*'` lists them); another region or account?")
        }
    };
    format!("there is no Auto Scaling group `{name}` in {}: {hint}", places.join(", "))
}
