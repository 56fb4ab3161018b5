//! Commands that arrive while a group's task is at work: recorded and answered at once, whatever it waits for.

use std::pin::pin;

use super::{Active, Reconciler, Stop};
use crate::domain::action::Outcome;
use crate::domain::journal::{Aborted, Cause, Entry, Event, Nothing};
use crate::engine::clock::Clock;
use crate::engine::command::{Message, Obeyed, Order};
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
        let regeneration = &active.regeneration;
        let event = match command.order {
            Order::Pause if regeneration.paused.is_none() => Event::RegenerationPaused(Nothing {}),
            Order::Resume if regeneration.paused.is_some() => Event::RegenerationResumed(Nothing {}),
            Order::Abort if regeneration.ending.is_none() => Event::RegenerationAborted(Aborted {
                outcome: Outcome::Aborted,
                cause: Cause::new("AbortedByUser", format!("{} asked for it", command.actor)),
            }),
            Order::Pause | Order::Resume | Order::Abort => {
                // Who asked may not wait for the answer.
                _ = reply.send(Obeyed::AlreadySo);
                return Ok(());
            }
        };
        let entry = regeneration.entry(event, self.clock.now());
        let entry = self.append(active, Entry { actor: command.actor, reason: command.reason, ..entry }).await?;
        active.commanded = true;
        _ = reply.send(Obeyed::Done(Box::new(entry)));
        Ok(())
    }
}
