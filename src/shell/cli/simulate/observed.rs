//! A real group, looked at once, for a play that begins with it. Nothing is written anywhere.

use crate::domain::group::Group;
use crate::domain::policy::Policy;
use crate::shell::cloud::{Ask, Cloud};
use crate::shell::config::Config;

use super::super::Failure;
use super::super::select::{connect, list, select, unreachable};

/// The group as it is now, its policy, and where that comes from.
pub(super) async fn observe(config: &Config, name: &str) -> Result<(Group, Policy, String), Failure> {
    let mut aws = connect(config).await?;
    let listing = list(&mut aws).await?;
    let chosen = select(&listing, config, &[name.to_owned()])?;
    let [one] = chosen.as_slice() else {
        let names: Vec<_> = chosen.iter().map(|c| format!("{} ({}, {})", c.key, c.key.account, c.key.region)).collect();
        return Err(Failure::usage(format!("{name} names {} groups: {}; name one", names.len(), names.join(", "))));
    };
    let mut sweep = aws.look(&[Ask { key: one.key.clone(), closely: true }]).await;
    let policy_from = if one.ruled {
        format!("the configuration's rule for {}", one.key)
    } else {
        "the configuration's [policy]: no rule names this group".to_owned()
    };
    match sweep.remove(&one.key) {
        Some(Ok(group)) => Ok((group, one.policy.clone(), policy_from)),
        Some(Err(error)) => {
            let Failure { code, message } = unreachable(&error);
            Err(Failure { code, message: format!("{}: {message}", one.key) })
        }
        None => Err(Failure::usage(format!("the group {} went away while it was looked at", one.key))),
    }
}
