//! Finds the groups of every account and region. No place waits for another one.

use std::rc::Rc;

use tokio::sync::mpsc;

use crate::domain::span::Span;
use crate::engine::clock::{Clock, Runtime, unless_stopped};
use crate::engine::concurrent::all;
use crate::engine::fleet::Fleet;
use crate::engine::ports::{Cloud, CloudError, Groups, Journal, Listing, Place};

/// How often the groups of a place are listed.
pub const LIST_EVERY: Span = Span::minutes(10);
/// When to list them again after a failure, for example while the host's network is still starting.
pub const LIST_RETRY: Span = Span::minutes(1);

/// Lists the groups of all places at once.
pub async fn list(cloud: &impl Cloud) -> Listing {
    let (places, mut listing) = (cloud.places(), Listing::default());
    let listed = all(places.len(), places.iter().map(|place| cloud.list(place))).await;
    for (place, groups) in places.into_iter().zip(listed) {
        listing.add(place, groups);
    }
    listing
}

impl Listing {
    /// Adds what the listing of one place gave.
    pub fn add(&mut self, place: Place, groups: Result<Groups, CloudError>) {
        match groups {
            Ok(groups) => {
                self.groups.extend(groups);
                self.reached.insert(place);
            }
            Err(error) => {
                self.failed.insert(place, error);
            }
        }
    }
}

/// Lists each place from time to time, until the program is asked to stop, and sends each result as it comes.
pub fn watch<C: Cloud + 'static, J: Journal + 'static, K: Runtime>(
    fleet: &Rc<Fleet<C, J, K>>,
) -> mpsc::UnboundedReceiver<(Place, Result<Groups, CloudError>)> {
    let (found, receiver) = mpsc::unbounded_channel();
    for place in fleet.cloud.places() {
        let (fleet, found) = (Rc::clone(fleet), found.clone());
        fleet.clone().clock.spawn(Box::pin(async move {
            while !fleet.clock.stopping() {
                let listed = unless_stopped(&*fleet.clock, Span::ZERO, fleet.cloud.list(&place)).await;
                let Some(listed) = listed else { return };
                let again = if listed.is_ok() { LIST_EVERY } else { LIST_RETRY };
                if found.send((place.clone(), listed)).is_err() {
                    return;
                }
                fleet.clock.sleep_until(again.after(fleet.clock.now())).await;
            }
        }));
    }
    receiver
}
