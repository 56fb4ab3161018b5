//! Commands that arrive while a group's task is at work: recorded and answered at once, whatever it waits for.

use std::pin::pin;

use super::{Active, Reconciler};
use crate::engine::clock::Clock;
use crate::engine::command::{Command, Message, Obeyed};
use crate::engine::ports::{Cloud, Journal};
use crate::engine::stop::Stop;

impl<C: Cloud, J: Journal, K: Clock> Reconciler<'_, C, J, K> {
    /// The output of a call to AWS, during which commands are carried out.
    pub(super) async fn attend<F: Future>(&self, active: &mut Active, call: F) -> Result<F::Output, Stop> {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                output = &mut call => return Ok(output),
                message = active.orders.next() => self.answer(active, message).await?,
            }
        }
    }

    /// Carries out a command, and answers it.
    pub(in crate::engine) async fn answer(&self, active: &mut Active, message: Message) -> Result<(), Stop> {
        let obeyed = self.obey(active, &message.command).await?;
        // Who asked may not wait for the answer.
        _ = message.reply.send(obeyed);
        Ok(())
    }

    /// Records a command, and takes it into the state.
    pub(in crate::engine) async fn obey(&self, active: &mut Active, command: &Command) -> Result<Obeyed, Stop> {
        let Some(entry) = command.entry(&active.regeneration, self.clock.now()) else { return Ok(Obeyed::AlreadySo) };
        active.commanded = true;
        Ok(Obeyed::Done(Box::new(self.append(active, entry).await?)))
    }
}
