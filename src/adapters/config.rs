//! The configuration file: parses TOML into the domain's types, and reports all problems at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use self::reader::{Report, Section, count, duration, flag, moment, near, share, text, texts, zone};
use crate::domain::policy::Policy;
use crate::domain::schedule::Blackout;
use crate::domain::span::{Invalid, Span};
use crate::engine::ports::Account;

pub use self::reader::Problem;

mod reader;
pub mod script;

/// The longest accepted poll interval. A target can become unhealthy and recover within two minutes, and regend would
/// miss that with a longer interval.
const POLL_MAX: Span = Span::minutes(1);

/// The whole configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The section `[daemon]`.
    pub daemon: Daemon,
    /// The section `[aws]`.
    pub aws: Aws,
    /// The section `[policy]`: the defaults of all groups.
    pub policy: Policy,
    /// The sections `[[blackouts]]`.
    pub blackouts: Vec<Blackout>,
    /// The sections `[[groups]]`: the first rule that matches a group applies.
    pub groups: Vec<GroupRule>,
    /// Settings that are valid, but probably not intended.
    pub warnings: Vec<Problem>,
    bytes: Vec<u8>,
}

/// The section `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// The directory of the journal and the lock file.
    pub state_dir: PathBuf,
    /// The number of groups that regenerate at the same time.
    pub max_concurrent_groups: u32,
    /// The number of failed or aborted groups after which no further regeneration opens.
    pub max_failed_groups: u32,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { state_dir: "/var/lib/regend".into(), max_concurrent_groups: 5, max_failed_groups: 1 }
    }
}

/// The section `[aws]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// The time between two observations of an active group.
    pub poll_interval: Span,
    /// The accounts; empty for the default credentials and region.
    pub accounts: Vec<Account>,
}

impl Default for Aws {
    fn default() -> Self {
        Self { poll_interval: Span::seconds(15), accounts: Vec::new() }
    }
}

/// One `[[groups]]` rule: which groups it matches, and their policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// A glob over the group's name.
    pub name: String,
    /// The tags that the group must have.
    pub tags: BTreeMap<String, String>,
    /// The account of the group.
    pub account: Option<String>,
    /// Whether the groups are regenerated. With `false` the rule excludes them.
    pub regenerate: bool,
    /// `[policy]`, overridden by the keys of this rule.
    pub policy: Policy,
    /// The line of the file at which the rule begins.
    pub line: usize,
}

/// Why the configuration could not be loaded. The message includes the cause.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist.
    #[error(
        "there is no configuration file {path}; create it (the regend.toml of the package explains every key), \
         or name another one with --config or $REGEND_CONFIG"
    )]
    Missing {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file exists and cannot be read.
    #[error("cannot read {path}: {cause}; {hint}")]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
        /// How to correct it.
        hint: &'static str,
    },
    /// The file has problems: one per line, in the order of the file.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// The error for a file that could not be read.
    #[must_use]
    pub fn unread(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        let hint = match cause.kind() {
            io::ErrorKind::NotFound => return Self::Missing { path },
            io::ErrorKind::PermissionDenied => "give the user that runs regend permission to read the file",
            io::ErrorKind::InvalidData => "save it as UTF-8",
            _ => "name a readable file",
        };
        Self::Unreadable { path, cause, hint }
    }
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// The file does not exist, cannot be read, or has problems: then all of them.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::unread(path, cause))?;
        Self::parse(path, &text)
    }

    /// Parses the text of a file. The path appears in the messages.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let report = Report::new(path, text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            report.syntax(error);
        }
        let mut config = Self { bytes: text.as_bytes().to_vec(), ..Self::default() };
        let mut root = Section::root(&report, document);
        config.daemon = daemon(root.table("daemon"));
        config.aws = aws(root.table("aws"));
        let mut section = root.table("policy");
        policy(&mut section, &mut config.policy);
        report_policy(&section, &config.policy, None);
        section.close();
        config.blackouts = root.tables("blackouts").into_iter().filter_map(blackout).collect();
        config.groups = groups(root.tables("groups"), &config);
        if config.groups.is_empty() {
            let what = "without a rule regend regenerates no group";
            root.warning(
                "groups",
                Invalid::new(what, r#"write [[groups]], and on the next line for example name = "*""#),
            );
        }
        root.close();
        config.warnings = report.finish().map_err(ConfigError::Invalid)?;
        Ok(config)
    }

    /// The first rule that matches; absent if no rule matches: such a group is not regenerated.
    #[must_use]
    pub fn rule_for(&self, account: &str, name: &str, tags: &BTreeMap<String, String>) -> Option<&GroupRule> {
        self.groups.iter().find(|rule| rule.matches(account, name, tags))
    }

    /// SHA-256 of the file's bytes in hexadecimal, which identifies the configuration in the journal.
    #[must_use]
    pub fn hash(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl GroupRule {
    fn matches(&self, account: &str, name: &str, tags: &BTreeMap<String, String>) -> bool {
        // The crate does not match a slash with "*", but in a group's name a slash is an ordinary character.
        let plain = |text: &str| text.replace('/', "\u{1}");
        self.account.as_ref().is_none_or(|wanted| wanted == account)
            && self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
            && glob_match::glob_match(&plain(&self.name), &plain(name))
    }
}

fn daemon(mut section: Section<'_, '_>) -> Daemon {
    let mut daemon = Daemon::default();
    let Daemon { state_dir, max_concurrent_groups, max_failed_groups } = &mut daemon;
    section.read("state_dir", state_dir, text::<PathBuf>);
    section.read("max_concurrent_groups", max_concurrent_groups, count);
    section.read("max_failed_groups", max_failed_groups, count);
    for (key, limit) in [("max_concurrent_groups", *max_concurrent_groups), ("max_failed_groups", *max_failed_groups)] {
        if limit == 0 {
            section.problem(key, Invalid::new("0 would prevent every regeneration", "write at least 1"));
        }
    }
    section.close();
    daemon
}

fn aws(mut section: Section<'_, '_>) -> Aws {
    let mut aws = Aws::default();
    section.read("poll_interval", &mut aws.poll_interval, duration);
    if aws.poll_interval == Span::ZERO {
        section.problem("poll_interval", Invalid::new("0s is not an interval", r#"write for example "15s""#));
    }
    if aws.poll_interval > POLL_MAX {
        let what = format!("{} is too long to notice short interruptions of health", aws.poll_interval);
        section.problem("poll_interval", Invalid::new(what, r#"write at most "1m""#));
    }
    let mut lines = BTreeMap::new();
    for mut section in section.tables("accounts") {
        let name: Option<String> = section.required("name", text, r#"write for example name = "prod""#);
        let regions = section.required("regions", texts, r#"write for example regions = ["eu-west-1"]"#);
        let (mut role_arn, mut external_id) = (None, None);
        section.read("role_arn", &mut role_arn, |value| text(value).map(Some));
        section.read("external_id", &mut external_id, |value| text(value).map(Some));
        if regions.as_ref().is_some_and(Vec::is_empty) {
            section.problem("regions", Invalid::new("the list is empty", r#"write for example ["eu-west-1"]"#));
        }
        if let Some(name) = &name
            && let Some(first) = lines.insert(name.clone(), section.line())
        {
            let what = format!("{name:?} is already the name of the account in line {first}");
            section.problem("name", Invalid::new(what, "give each account its own name"));
        }
        section.close();
        if let (Some(name), Some(regions)) = (name, regions) {
            aws.accounts.push(Account { name, regions, role_arn, external_id });
        }
    }
    section.close();
    aws
}

fn policy(section: &mut Section<'_, '_>, policy: &mut Policy) {
    // Destructured without "..", so that the compiler finds a key that cannot be configured yet.
    let Policy {
        schedule,
        timezone,
        window,
        max_surge,
        max_unavailable,
        warmup,
        launch_timeout,
        health_timeout,
        drain_timeout,
        max_failures,
        canary,
        canary_bake,
        bake,
        protected,
        standby,
        target_not_in_use,
        vpc_lattice,
        zone_without_capacity,
        min_age,
        max_age,
        raise_max_size,
        stage,
    } = policy;
    section.read("schedule", schedule, text);
    section.read("timezone", timezone, zone);
    section.read("window", window, duration);
    section.read("max_surge", max_surge, share);
    section.read("max_unavailable", max_unavailable, share);
    section.read("warmup", warmup, duration);
    section.read("launch_timeout", launch_timeout, duration);
    section.read("health_timeout", health_timeout, duration);
    section.read("drain_timeout", drain_timeout, duration);
    section.read("max_failures", max_failures, count);
    section.read("canary", canary, count);
    section.read("canary_bake", canary_bake, duration);
    section.read("bake", bake, duration);
    section.read("protected", protected, text);
    section.read("standby", standby, text);
    section.read("target_not_in_use", target_not_in_use, text);
    section.read("vpc_lattice", vpc_lattice, text);
    section.read("zone_without_capacity", zone_without_capacity, text);
    section.read("min_age", min_age, duration);
    section.read("max_age", max_age, duration);
    section.read("raise_max_size", raise_max_size, flag);
    section.read("stage", stage, count);
}

/// Reports the problems and warnings of a policy, except those that it shares with the policy that it inherits from.
fn report_policy(section: &Section<'_, '_>, policy: &Policy, inherited: Option<&Policy>) {
    // Each check walks through a year of the schedule, and a file with a thousand rules must not take a minute.
    if inherited == Some(policy) {
        return;
    }
    let known = inherited.map(Policy::problems).unwrap_or_default();
    for problem in policy.problems().into_iter().filter(|problem| !known.contains(problem)) {
        section.problem(problem.key, problem.invalid);
    }
    let warnings = policy.warnings();
    let known = inherited.filter(|_| !warnings.is_empty()).map(Policy::warnings).unwrap_or_default();
    for warning in warnings.into_iter().filter(|warning| !known.contains(warning)) {
        section.warning(warning.key, warning.invalid);
    }
}

fn blackout(mut section: Section<'_, '_>) -> Option<Blackout> {
    let from = section.required("from", moment, r#"write for example from = "2026-12-24""#);
    let to = section.required("to", moment, r#"write for example to = "2026-12-27""#);
    let reason: Option<String> = section.required("reason", text, r#"write for example reason = "year-end freeze""#);
    section.close();
    Blackout::new(&from?, &to?, &reason?).map_err(|invalid| section.problem("from", invalid)).ok()
}

fn groups(sections: Vec<Section<'_, '_>>, config: &Config) -> Vec<GroupRule> {
    let mut rules: Vec<GroupRule> = Vec::new();
    for mut section in sections {
        let (mut name, mut account) = (None, None);
        section.read("name", &mut name, |value| text::<String>(value).map(Some));
        section.read("account", &mut account, |value| text::<String>(value).map(Some));
        let tags = section.table("tags").map(text);
        let mut rule = GroupRule {
            name: name.clone().unwrap_or_else(|| "*".to_owned()),
            tags,
            account,
            regenerate: true,
            policy: config.policy.clone(),
            line: section.line(),
        };
        section.read("regenerate", &mut rule.regenerate, flag);
        policy(&mut section, &mut rule.policy);
        report_policy(&section, &rule.policy, Some(&config.policy));
        if name.is_none() && rule.account.is_none() && rule.tags.is_empty() {
            section.problem(
                "name",
                Invalid::new("is missing", r#"write which groups the rule matches; name = "*" matches all"#),
            );
        }
        if let Some(account) = &rule.account {
            known_account(&section, account, &config.aws.accounts);
        }
        let same =
            |other: &&GroupRule| (&other.name, &other.tags, &other.account) == (&rule.name, &rule.tags, &rule.account);
        if let Some(first) = rules.iter().find(same) {
            let what =
                format!("the rule in line {} matches the same groups as the one in line {}", rule.line, first.line);
            section.problem("name", Invalid::new(what, "only the first rule applies; remove one of them"));
        }
        section.close();
        rules.push(rule);
    }
    rules
}

fn known_account(section: &Section<'_, '_>, account: &str, accounts: &[Account]) {
    if accounts.iter().any(|known| known.name == account) {
        return;
    }
    let hint = match near(account, accounts.iter().map(|known| known.name.as_str())) {
        Some(names) => names,
        None => format!("add [[aws.accounts]] with name = {account:?}"),
    };
    section.problem("account", Invalid::new(format!("{account:?} is not a configured account"), hint));
}
