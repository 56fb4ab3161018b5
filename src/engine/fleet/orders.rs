//! Commands of operators: to the task of a group that has one, and into the record for those that have none.

use std::rc::Rc;

use tokio::sync::oneshot;

use super::Fleet;
use crate::domain::group::GroupKey;
use crate::engine::clock::{Clock, Runtime};
use crate::engine::command::{Command, Message, Obeyed};
use crate::engine::observer::{self, Observer};
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

impl<C: Cloud + 'static, J: Journal + 'static, K: Runtime> Fleet<C, J, K> {
    /// Carries out a command, and returns when it is recorded.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn command(self: &Rc<Self>, key: &GroupKey, command: Command) -> Result<Obeyed, Stop> {
        let orders = self.state.borrow().groups.get(key).map(|slot| slot.orders.clone());
        if let Some(orders) = orders {
            let (reply, obeyed) = oneshot::channel();
            if orders.send(Message { command: command.clone(), reply }).is_ok()
                && let Ok(obeyed) = obeyed.await
            {
                return Ok(obeyed);
            }
        }
        if let Some(stop) = &self.state.borrow().halted {
            return Err(stop.clone());
        }
        // The group has no task, or it ended without a regeneration.
        command.record(&self.journal, key, self.clock.now()).await
    }

    /// The observer of the place where a group is. It starts with the first question.
    pub(super) fn observer_of(&self, key: &GroupKey) -> Rc<Observer> {
        let place = (key.account.clone(), key.region.clone());
        let state = &mut *self.state.borrow_mut();
        let observer = state.observers.entry(place).or_insert_with(|| {
            let observer = Rc::new(Observer::default());
            let (cloud, clock) = (Rc::clone(&self.cloud), Rc::clone(&self.clock));
            self.clock.spawn(Box::pin(observer::observe(Rc::clone(&observer), cloud, clock, self.settings.poll)));
            observer
        });
        Rc::clone(observer)
    }
}
