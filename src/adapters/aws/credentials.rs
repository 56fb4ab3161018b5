//! Whose credentials a call uses, and what to do where they are missing or do not work.

use crate::engine::ports::Account;

/// Where credentials are used and where they come from, for messages.
pub(super) struct CredentialSource {
    pub(super) account: String,
    pub(super) region: String,
    /// The role that regend assumes.
    pub(super) role: Option<String>,
}

impl CredentialSource {
    pub(super) fn of(account: &Account, region: String) -> Self {
        Self { account: account.name.clone(), region, role: account.role_arn.clone() }
    }

    /// What to do about credentials that are missing or do not work, followed by the cause.
    pub(super) fn hint(&self, says: &str) -> String {
        let then = if says.to_lowercase().contains("sso") {
            "run `aws sso login`".to_owned()
        } else if says.contains("Expired") {
            "the credentials have expired; renew them".to_owned()
        } else if let Some(role) = self.role.as_ref().filter(|_| !says.contains(NO_CREDENTIALS)) {
            let account = &self.account;
            format!(
                "cannot assume role {role} of account {account}; check role_arn and external_id in \
                 [[aws.accounts]], and the role's trust policy"
            )
        } else {
            "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the host an instance profile".to_owned()
        };
        format!("{then} ({says})")
    }
}

/// The message of the SDK if no provider in its chain has credentials.
const NO_CREDENTIALS: &str = "no credentials found in chain";
