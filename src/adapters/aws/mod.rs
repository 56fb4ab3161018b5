//! The implementation of [`Cloud`] by the official AWS SDKs. Their types stay in this folder.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::client::{Calls, RegionClient};
use self::connect::Identity;
use crate::domain::action::{Action, Answer, Refusal, RefusalKind};
use crate::domain::activity::Activity;
use crate::domain::group::{GroupKey, Numbers};
use crate::domain::span::Time;
use crate::engine::ports::{Account, Ask, Cloud, CloudError, Groups, Observations, Place};

mod activities;
mod attributes;
mod cache;
mod call;
mod capacity;
mod classic;
mod client;
mod connect;
mod credentials;
mod failure;
pub mod groups;
mod health;
mod instance_metadata;
mod instance_refresh;
mod limiter;
mod observe;
mod perform;
mod response_completeness;
mod scaling;
mod traffic;

/// Every configured account and region.
pub struct Aws {
    places: Vec<RegionClient>,
    identities: Vec<Identity>,
    calls: Arc<Calls>,
}

impl Aws {
    /// Resolves credentials, regions and endpoints. Calls AWS only to assume roles. Without accounts it uses the
    /// default credentials and region, under the account name `default`.
    ///
    /// # Errors
    /// No region is configured anywhere.
    pub async fn connect(accounts: &[Account]) -> Result<Self, CloudError> {
        let calls = Arc::default();
        let (places, identities) = connect::connect(accounts, &calls).await?;
        Ok(Self { places, identities, calls })
    }

    /// The caller's identity in each account: the account's name and the ARN.
    pub async fn identities(&self) -> Vec<(String, Result<String, CloudError>)> {
        call::all(self.identities.len(), self.identities.iter().map(|identity| identity.ask(&self.calls))).await
    }

    /// Calls each reading API once in each region, and returns the region, the action and the result. Of the other
    /// calls only one can be tried without an effect.
    pub async fn probe(&self) -> Vec<(String, &'static str, Result<(), CloudError>)> {
        let probe = async |place| {
            let mut probes = observe::probe(place).await;
            probes.push(perform::probe(place).await);
            probes
        };
        let probes = call::all(self.places.len(), self.places.iter().map(probe)).await;
        let named = |(place, probes): (&RegionClient, Vec<_>)| {
            let name = place.to_string();
            probes.into_iter().map(move |(api, result)| (name.clone(), api, result))
        };
        self.places.iter().zip(probes).flat_map(named).collect()
    }

    /// The number of calls of each API, retries included, by its name in IAM.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.calls.all()
    }

    fn place(&self, account: &str, region: &str) -> Option<&RegionClient> {
        self.places.iter().find(|place| place.whose.account == account && place.whose.region == region)
    }
}

impl Cloud for Aws {
    fn places(&self) -> Vec<Place> {
        self.places.iter().map(|place| (place.whose.account.clone(), place.whose.region.clone())).collect()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        let (account, region) = place;
        match self.place(account, region) {
            Some(place) => groups::list(place).await,
            None => Err(CloudError::Unusable(format!("account {account} has no region {region} in the configuration"))),
        }
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        let mut sweep = Observations::new();
        let mut here: BTreeMap<(&str, &str), Vec<&Ask>> = BTreeMap::new();
        for ask in asks {
            here.entry((&ask.key.account, &ask.key.region)).or_default().push(ask);
        }
        let mut looks = Vec::new();
        for ((account, region), asks) in here {
            match self.place(account, region) {
                Some(place) => looks.push(observe::look(place, asks)),
                // A group without a result would count as deleted.
                None => sweep.extend(asks.iter().map(|ask| (ask.key.clone(), Err(not_configured(&ask.key))))),
            }
        }
        sweep.extend(call::all(looks.len(), looks).await.into_iter().flatten());
        sweep
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        let place = self.place(&group.account, &group.region).ok_or_else(|| not_configured(group))?;
        groups::numbers(place, &group.name).await
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        let place = self.place(&group.account, &group.region).ok_or_else(|| not_configured(group))?;
        activities::activities(place, &group.name, since).await
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        match self.place(&group.account, &group.region) {
            Some(place) => perform::perform(place, &group.name, action).await,
            None => Answer::Refused(Refusal {
                code: "NotConfigured".to_owned(),
                message: not_configured(group).to_string(),
                request: None,
                kind: RefusalKind::Invalid,
            }),
        }
    }
}

fn not_configured(group: &GroupKey) -> CloudError {
    let GroupKey { account, region, name } = group;
    CloudError::Unusable(format!(
        "group {name} is in account {account}, region {region}, which is not configured: \
         add it to [[aws.accounts]], or to the default region's environment"
    ))
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places.iter().map(ToString::to_string)).finish()
    }
}
