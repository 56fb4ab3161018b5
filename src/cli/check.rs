//! `regend check`: configuration, credentials, permissions and each group's readiness; changes nothing.

use clap::Args;

use crate::adapters::config::ConfigError;
use crate::adapters::journal::lock::StateLock;
use crate::adapters::journal::sqlite::Sqlite;
use crate::engine::ports::CloudError;
use crate::engine::ports::JournalError;
use crate::render::left_words;

use super::plan::Known;
use super::select::{connect, list, select};
use super::{Failure, Global, exit, plan, print};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Names or globs; none = every group that the configuration rules
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
}

/// What regend may have to call and what no harmless call can prove. Without one of these it stops before it has launched
/// anything, or finds another way; only the tag of its lease may stay.
pub(super) const CHANGES: &str = "autoscaling:LaunchInstances (with ec2:CreateFleet, ec2:RunInstances and \
    ec2:DescribeLaunchTemplateVersions), autoscaling:SetDesiredCapacity, autoscaling:UpdateAutoScalingGroup, \
    autoscaling:CreateOrUpdateTags, autoscaling:DeleteTags";

/// What regend calls to look, as IAM spells it; and what follows where it does without the permission.
pub(super) const LOOKS: [(&str, Option<&str>); 11] = [
    ("autoscaling:DescribeAutoScalingGroups", None),
    ("autoscaling:DescribeInstanceRefreshes", None),
    ("autoscaling:DescribeScalingActivities", None),
    ("autoscaling:DescribePolicies", Some("without it every group is taken to be scaled by policies")),
    ("autoscaling:DescribeScheduledActions", Some("without it every group is taken to have scheduled actions")),
    ("ec2:DescribeInstances", None),
    ("elasticloadbalancing:DescribeTargetHealth", None),
    (
        "elasticloadbalancing:DescribeTargetGroups",
        Some("without it an instance that is registered on several ports is judged by the worst of them"),
    ),
    (
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        Some("without it no slow start is waited for: set warmup to the longest one"),
    ),
    ("elasticloadbalancing:DescribeInstanceHealth", None),
    ("sts:GetCallerIdentity", None),
];

/// What regend does without a permission that it can do without.
fn without(action: &str) -> Option<&'static str> {
    LOOKS.iter().find(|(api, _)| *api == action).and_then(|(_, without)| *without)
}

pub(super) async fn check(global: &Global, args: &CheckArgs) -> Result<u8, Failure> {
    let config = global.config()?;
    let mut worst = exit::DONE;
    let from = global.config.as_deref().unwrap_or_else(|| std::path::Path::new(super::CONFIG));
    match crate::adapters::config::Config::load(from) {
        Ok(_) => good(&format!("configuration {}", from.display())),
        Err(ConfigError::Missing { .. }) => good("no configuration file: the defaults apply"),
        Err(error) => bad(&error.to_string()),
    }
    for warning in &config.warnings {
        note(&warning.to_string());
    }
    let state_dir = global.state_dir(&config);
    match StateLock::take(&state_dir).and_then(|lock| Sqlite::open(&state_dir).map(|_| lock)) {
        Ok(_) => good(&format!("state directory {}", state_dir.display())),
        Err(error @ JournalError::Locked { .. }) => note(&error.to_string()),
        Err(error) => {
            bad(&error.to_string());
            worst = Failure::from(error).code;
        }
    }
    let mut aws = connect(&config).await?;
    let mut strangers = Vec::new();
    for (place, identity) in aws.identities().await {
        match identity {
            Ok(arn) => good(&format!("credentials for {place}: {arn}")),
            Err(error) => {
                bad(&format!("credentials for {place}: {error}"));
                strangers.push(error);
                worst = exit::UNREACHABLE;
            }
        }
    }
    for (place, action, result) in aws.probe().await {
        match result {
            Ok(()) => good(&format!("{place}: {action}")),
            Err(error @ CloudError::Forbidden { .. }) if without(action).is_some() => {
                note(&format!("{place}: {error}; {}", without(action).unwrap_or_default()));
            }
            Err(error) => {
                // Without credentials every probe says what was said of them already.
                if !strangers.contains(&error) {
                    bad(&format!("{place}: {error}"));
                }
                worst = exit::UNREACHABLE;
            }
        }
    }
    note(&format!("no harmless call proves these, so they are not checked: {CHANGES}"));
    if worst != exit::DONE {
        return Ok(worst);
    }
    let chosen = select(&list(&mut aws).await?, &config, &args.groups)?;
    if chosen.is_empty() {
        note("no group matches a [[groups]] rule: nothing would be regenerated");
    }
    let known = Known::read(&state_dir, &chosen)?;
    for (group, plan, ruled) in plan::look(&mut aws, &chosen, &known).await? {
        let name = format!("{} ({}, {})", group.key.name, group.key.account, group.key.region);
        match plan.holds.first() {
            None => good(&format!("group {name}: {} to replace", plan.replace.len())),
            Some(obstacle) => {
                bad(&format!("group {name}: {obstacle}"));
                worst = worst.max(exit::HELD);
            }
        }
        plan.notes.iter().for_each(|text| note(&format!("group {name}: {text}")));
        plan.left
            .iter()
            .for_each(|left| note(&format!("group {name}: {} is left alone, {}", left.instance, left_words(left.why))));
        if !ruled {
            note(&format!("group {name}: no [[groups]] rule matches it, so the daemon leaves it alone"));
        }
    }
    Ok(worst)
}

fn good(text: &str) {
    tell("ok", text);
}

fn bad(text: &str) {
    tell("FAIL", text);
}

fn note(text: &str) {
    tell("note", text);
}

fn tell(verdict: &str, text: &str) {
    // That nobody reads on does not change what is so.
    let _ = print(format!("{verdict:<4}  {text}\n"));
}
