//! Commands that arrive while a group's task is at work: recorded and answered at once, whatever it waits for.

use std::pin::pin;

use super::{Active, Reconciler, Stop};
use crate::engine::clock::Clock;
use crate::engine::command::{Message, Obeyed};
use crate::engine::ports::{Cloud, Journal};

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// The output of a call to AWS, during which commands are carried out.
    pub(super) async fn attend<F: Future>(&self, active: &mut Active, call: F) -> Result<F::Output, Stop> {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                output = &mut call => return Ok(output),
                message = active.orders.next() => self.obey(active, message).await?,
            }
        }
    }

    /// Records a command, and takes it into the state.
    pub(in crate::engine) async fn obey(&self, active: &mut Active, message: Message) -> Result<(), Stop> {
        let Message { command, reply } = message;
        let obeyed = match command.entry(&active.regeneration, self.clock.now()) {
            Some(entry) => {
                active.commanded = true;
                Obeyed::Done(Box::new(self.append(active, entry).await?))
            }
            None => Obeyed::AlreadySo,
        };
        // Who asked may not wait for the answer.
        _ = reply.send(obeyed);
        Ok(())
    }
}
