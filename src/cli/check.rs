//! `regend check`: configuration, credentials, permissions and each group's readiness; changes nothing.

use std::path::Path;

use clap::Args;

use crate::adapters::aws::Aws;
use crate::adapters::config::{Config, ConfigError};
use crate::adapters::journal;
use crate::engine::ports::CloudError;
use crate::engine::ports::JournalError;
use crate::render::left_words;

use super::plan::{Known, Preview};
use super::select::{connect, list, select};
use super::{Failure, Global, exit, plan, print};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Names or globs of groups [default: every group that a [[groups]] rule matches]
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
}

/// The permissions that no read-only call can verify. Without one of these regend stops before it launches anything, or
/// uses another call; only the lease tag may be left on the group.
pub(super) const CHANGES: &str = "autoscaling:LaunchInstances (with ec2:CreateFleet, ec2:RunInstances, ec2:CreateTags, \
    ec2:DescribeLaunchTemplateVersions and iam:PassRole), autoscaling:SetDesiredCapacity, \
    autoscaling:UpdateAutoScalingGroup, autoscaling:CreateOrUpdateTags, autoscaling:DeleteTags";

/// The reading calls, as IAM spells them, and the consequence of a missing permission where regend can work without it.
pub(super) const LOOKS: [(&str, Option<&str>); 11] = [
    ("autoscaling:DescribeAutoScalingGroups", None),
    ("autoscaling:DescribeInstanceRefreshes", None),
    ("autoscaling:DescribeScalingActivities", None),
    ("autoscaling:DescribePolicies", Some("without it, regend assumes that every group has scaling policies")),
    ("autoscaling:DescribeScheduledActions", Some("without it, regend assumes that every group has scheduled actions")),
    ("ec2:DescribeInstances", None),
    ("elasticloadbalancing:DescribeTargetHealth", None),
    (
        "elasticloadbalancing:DescribeTargetGroups",
        Some("without it, an instance that is registered with several ports is as healthy as the worst of them"),
    ),
    (
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        Some(
            "without it, regend does not wait for slow starts: set warmup to the longest slow start; nor does it know \
             whether a Gateway Load Balancer drops flows",
        ),
    ),
    ("elasticloadbalancing:DescribeInstanceHealth", None),
    ("sts:GetCallerIdentity", None),
];

/// The consequence of a missing permission that regend can work without.
fn without(action: &str) -> Option<&'static str> {
    LOOKS.iter().find(|(api, _)| *api == action).and_then(|(_, without)| *without)
}

pub(super) async fn check(global: &Global, args: &CheckArgs) -> Result<u8, Failure> {
    let config = global.config()?;
    check_configuration(global, &config);
    let state_dir = global.state_dir(&config);
    let mut worst = check_state_dir(&state_dir);
    let aws = connect(&config).await?;
    let failed = check_credentials(&aws).await;
    if !failed.is_empty() {
        worst = exit::UNREACHABLE;
    }
    worst = worst.max(check_permissions(&aws, &failed).await);
    note(&format!("not checked, because no read-only call can verify these permissions: {CHANGES}"));
    if worst != exit::DONE {
        return Ok(worst);
    }
    let chosen = select(&list(&aws).await?, &config, &args.groups)?;
    if chosen.is_empty() {
        note("no group matches a [[groups]] rule; nothing would be regenerated");
    }
    let known = Known::read(&state_dir, &chosen).await?;
    for preview in plan::look(&aws, &chosen, &known).await {
        worst = worst.max(preview.code());
        check_group(&preview);
    }
    Ok(worst)
}

fn check_configuration(global: &Global, config: &Config) {
    let from = global.config.as_deref().unwrap_or_else(|| Path::new(super::CONFIG));
    match Config::load(from) {
        Ok(_) => good(&format!("configuration {}", from.display())),
        Err(ConfigError::Missing { .. }) => good("no configuration file; the defaults apply"),
        Err(error) => bad(&error.to_string()),
    }
    for warning in &config.warnings {
        note(&warning.to_string());
    }
}

/// Opens the journal. Returns the exit code for what was found.
fn check_state_dir(state_dir: &Path) -> u8 {
    match journal::open(state_dir) {
        Ok(_) => good(&format!("state directory {}", state_dir.display())),
        Err(error @ JournalError::Locked { .. }) => note(&error.to_string()),
        Err(error) => {
            bad(&error.to_string());
            return Failure::from(error).code;
        }
    }
    exit::DONE
}

/// Asks each account for the identity of the caller. Returns the errors, all of which are printed.
async fn check_credentials(aws: &Aws) -> Vec<CloudError> {
    let mut failed = Vec::new();
    for (place, identity) in aws.identities().await {
        match identity {
            Ok(arn) => good(&format!("credentials for {place}: {arn}")),
            Err(error) => {
                bad(&format!("credentials for {place}: {error}"));
                failed.push(error);
            }
        }
    }
    failed
}

/// Tries each reading call in each region. Returns the exit code for what was found.
async fn check_permissions(aws: &Aws, failed_credentials: &[CloudError]) -> u8 {
    let mut worst = exit::DONE;
    for (place, action, result) in aws.probe().await {
        match result {
            Ok(()) => good(&format!("{place}: {action}")),
            Err(error @ CloudError::Forbidden { .. }) if without(action).is_some() => {
                note(&format!("{place}: {error}; {}", without(action).unwrap_or_default()));
            }
            Err(error) => {
                // Without credentials every probe returns the error that was already printed for the credentials.
                if !failed_credentials.contains(&error) {
                    bad(&format!("{place}: {error}"));
                }
                worst = exit::UNREACHABLE;
            }
        }
    }
    worst
}

/// Prints whether a run of the group could start now.
fn check_group(preview: &Preview) {
    let name = preview.place();
    let plan = match &preview.plan {
        Ok(plan) => plan,
        Err(failure) => return bad(&format!("group {name}: {failure}")),
    };
    match plan.holds.first() {
        None => good(&format!("group {name}: {} to replace", plan.replace.len())),
        Some(hold) => bad(&format!("group {name}: {hold}")),
    }
    plan.notes.iter().for_each(|text| note(&format!("group {name}: {text}")));
    plan.left
        .iter()
        .for_each(|left| note(&format!("group {name}: {} is not replaced: {}", left.instance, left_words(left.why))));
    if !preview.ruled {
        note(&format!("group {name}: no [[groups]] rule matches it, so the daemon does not regenerate it"));
    }
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
    // A closed pipe does not change the result of the check.
    let _ = print(format!("{verdict:<4}  {text}\n"));
}
