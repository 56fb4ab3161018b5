//! The configuration file: TOML turned into the domain's types, or everything that is wrong with it at once.

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

/// Health is continuous only as far as it is looked at; a target can fall ill and recover within two minutes.
const POLL_MAX: Span = Span::minutes(1);

/// All that an operator can say.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The process itself.
    pub daemon: Daemon,
    /// Which accounts to work in, and how often to look.
    pub aws: Aws,
    /// What holds for every group unless its rule says otherwise.
    pub policy: Policy,
    /// When no batch starts.
    pub blackouts: Vec<Blackout>,
    /// Which groups are regenerated: the first rule that matches decides.
    pub groups: Vec<GroupRule>,
    /// What works, but hardly as it was meant.
    pub warnings: Vec<Problem>,
    bytes: Vec<u8>,
}

/// The section `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Where the journal and the lock live.
    pub state_dir: PathBuf,
    /// How many groups regenerate at the same time.
    pub max_concurrent_groups: u32,
    /// After this many aborted groups nothing further opens.
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
    /// Between two looks at an active group.
    pub poll_interval: Span,
    /// None: the default credentials and region.
    pub accounts: Vec<Account>,
}

impl Default for Aws {
    fn default() -> Self {
        Self { poll_interval: Span::seconds(15), accounts: Vec::new() }
    }
}

/// One `[[groups]]`: which groups, and the policy that they get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// A glob over the group's name.
    pub name: String,
    /// Tags that the group must have.
    pub tags: BTreeMap<String, String>,
    /// The account that it must be in.
    pub account: Option<String>,
    /// `[policy]` with this rule's own keys on top.
    pub policy: Policy,
    /// Where the rule begins in the file.
    pub line: usize,
}

/// Why there is no configuration. Printed, it says everything: there is no further cause to ask for.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nothing there.
    #[error(
        "there is no configuration at {path}; write one (the regend.toml of the package explains every key), \
         or name another with --config or $REGEND_CONFIG"
    )]
    Missing {
        /// Where it should have been.
        path: PathBuf,
    },
    /// There, but not to be had.
    #[error("cannot read {path}: {cause}; {hint}")]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// Read, and wrong; in the order of the file, one a line.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// What it means that the file could not be read.
    #[must_use]
    pub fn unread(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        let hint = match cause.kind() {
            io::ErrorKind::NotFound => return Self::Missing { path },
            io::ErrorKind::PermissionDenied => "let the user that runs regend read the file and enter its directory",
            io::ErrorKind::InvalidData => "write it in UTF-8",
            _ => "name a file that can be read",
        };
        Self::Unreadable { path, cause, hint }
    }
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or anything in it is wrong: then with everything that is.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::unread(path, cause))?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; its path is for the messages.
    ///
    /// # Errors
    /// With everything that is wrong in it.
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
        judge(&section, &config.policy, None);
        section.close();
        config.blackouts = root.tables("blackouts").into_iter().filter_map(blackout).collect();
        config.groups = groups(root.tables("groups"), &config);
        if config.groups.is_empty() {
            let what = "without a rule every group is left alone";
            root.warning("groups", Invalid::new(what, r#"write [[groups]] and below it for example name = "*""#));
        }
        root.close();
        config.warnings = report.finish().map_err(ConfigError::Invalid)?;
        Ok(config)
    }

    /// The policy of the first rule that matches. A group that matches none is left alone.
    #[must_use]
    pub fn policy_for(&self, account: &str, name: &str, tags: &BTreeMap<String, String>) -> Option<&Policy> {
        let rule = self.groups.iter().find(|rule| rule.matches(account, name, tags))?;
        Some(&rule.policy)
    }

    /// SHA-256 of the file's bytes in hexadecimal: which configuration it was.
    #[must_use]
    pub fn hash(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl GroupRule {
    fn matches(&self, account: &str, name: &str, tags: &BTreeMap<String, String>) -> bool {
        // For the crate a slash separates; in a group's name it is a character like any other.
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
            section.problem(key, Invalid::new("with 0 no group would ever open", "write at least 1"));
        }
    }
    section.close();
    daemon
}

fn aws(mut section: Section<'_, '_>) -> Aws {
    let mut aws = Aws::default();
    section.read("poll_interval", &mut aws.poll_interval, duration);
    if aws.poll_interval == Span::ZERO {
        section.problem("poll_interval", Invalid::new("0s would never pause", r#"write for example "15s""#));
    }
    if aws.poll_interval > POLL_MAX {
        let what = format!("{} would miss what happens between two looks", aws.poll_interval);
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
            let what = format!("{name:?} is already the account of line {first}");
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
    // Taken apart without "..", so that a new key does not compile until it can be configured.
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

/// What a policy's own judgement adds; what it has inherited was said where it came from.
fn judge(section: &Section<'_, '_>, policy: &Policy, inherited: Option<&Policy>) {
    // Each judgement walks through a year of the schedule: a file of a thousand rules must not take a minute.
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
    let reason: Option<String> = section.required("reason", text, "it is what an operator reads when nothing starts");
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
            policy: config.policy.clone(),
            line: section.line(),
        };
        policy(&mut section, &mut rule.policy);
        judge(&section, &rule.policy, Some(&config.policy));
        if name.is_none() && rule.account.is_none() && rule.tags.is_empty() {
            section.problem("name", Invalid::new("is missing", r#"say which groups; name = "*" means all"#));
        }
        if let Some(account) = &rule.account {
            known_account(&section, account, &config.aws.accounts);
        }
        let same =
            |other: &&GroupRule| (&other.name, &other.tags, &other.account) == (&rule.name, &rule.tags, &rule.account);
        if let Some(first) = rules.iter().find(same) {
            let what = format!("line {} selects the same groups as line {}", rule.line, first.line);
            section.problem("name", Invalid::new(what, "the first one decides: remove the other"));
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
        None => format!("write [[aws.accounts]] with name = {account:?}"),
    };
    section.problem("account", Invalid::new(format!("{account:?} is no account"), hint));
}
