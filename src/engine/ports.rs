//! What the loop needs of the outside: AWS and a journal, or their simulations, and what can go wrong with each.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::action::{Action, Answer};
use crate::domain::activity::Activity;
use crate::domain::group::{Group, GroupKey, Numbers};
use crate::domain::span::Time;

pub use journal::{Field, Filter, History, Journal, JournalError, Stored};

mod journal;

/// AWS as the loop needs it. Reading may be repeated; performing makes exactly one call.
#[expect(async_fn_in_trait, reason = "both implementations live here, and neither is shared between threads")]
pub trait Cloud {
    /// Every configured account and region.
    fn places(&self) -> Vec<Place>;

    /// Every group of one account and region.
    ///
    /// # Errors
    /// AWS cannot be asked, or does not permit it.
    async fn list(&self, place: &Place) -> Result<Groups, CloudError>;

    /// One sweep over the groups asked for: batched, each target group once.
    async fn look(&self, asks: &[Ask]) -> Observations;

    /// The group's numbers alone, which is the quickest look there is; nothing, where it does not exist.
    ///
    /// # Errors
    /// AWS cannot be asked.
    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError>;

    /// What the group did since then, by its own account.
    ///
    /// # Errors
    /// AWS cannot be asked, or does not permit it.
    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError>;

    /// Makes one call. Never repeats it.
    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer;
}

/// The call behind [`Cloud::activities`], as IAM spells it.
pub const ACTIVITIES: &str = "autoscaling:DescribeScalingActivities";

/// One `[[aws.accounts]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What rules and records call it.
    pub name: String,
    /// Where its groups are.
    pub regions: Vec<String>,
    /// The role to assume in it.
    pub role_arn: Option<String>,
    /// What that role's trust policy asks for.
    pub external_id: Option<String>,
}

/// Account and region.
pub type Place = (String, String);

/// A group to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub key: GroupKey,
    /// Also ask for instance refreshes, and for its target groups' settings where they are not known: a few more calls, so
    /// only where something is unexplained, and once a minute while instances are retired.
    pub include_refresh: bool,
    /// Also ask what scales the group: two more calls, and the answer counts only when a regeneration opens.
    pub scalers: bool,
}

/// What each group looked like. A group that was asked for and is not in here does not exist.
pub type Observations = BTreeMap<GroupKey, Result<Group, CloudError>>;

/// What a listing shows of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub tags: BTreeMap<String, String>,
    /// When the group was created, if AWS says so.
    pub created: Option<Time>,
}

/// The groups of an account and region.
pub type Groups = BTreeMap<GroupKey, Listed>;

/// All groups that could be listed, and the places that could not be.
#[derive(Debug, Default)]
pub struct Listing {
    pub groups: Groups,
    pub failed: BTreeMap<Place, CloudError>,
    /// Places that answered: a group that is missing there does not exist.
    pub reached: BTreeSet<Place>,
}

/// Why AWS could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    #[error("no AWS credentials: {0}")]
    NoCredentials(String),
    #[error("no permission for {action}: {message}")]
    Forbidden {
        /// As IAM spells it: `autoscaling:DescribeAutoScalingGroups`.
        action: String,
        message: String,
    },
    #[error("{action} was throttled")]
    Throttled { action: String },
    #[error("could not reach AWS for {action}: {message}")]
    Unreachable { action: String, message: String },
    /// What was configured cannot work, and says why: no region, or a group that regend must not touch.
    #[error("{0}")]
    Unusable(String),
    #[error("{action} answered {code}: {message}")]
    Other { action: String, code: String, message: String },
}
