//! What operators ask of a group: answered at once, also while a call to AWS is in flight.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};

use crate::domain::action::Outcome;
use crate::domain::group::GroupKey;
use crate::domain::journal::{Aborted, Cause, Claimed, Entry, Event, Nothing};
use crate::domain::regeneration::Regeneration;
use crate::domain::span::Time;
use crate::engine::lookup;
use crate::engine::ports::Journal;
use crate::engine::stop::Stop;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing more is done to the group until it is resumed, except that the lease is renewed. Nothing opens either.
    Pause,
    Resume,
    /// The open regeneration ends now, and the group is handed back.
    Abort,
    /// The open regeneration takes this live lease of another daemon over.
    TakeOver(Box<Claimed>),
}

/// An order, and who gave it why.
#[derive(Debug, Clone)]
pub struct Command {
    pub order: Order,
    pub actor: String,
    pub reason: Option<String>,
}

/// What came of a command.
#[derive(Debug, Clone)]
pub enum Obeyed {
    /// The entry that records it.
    Done(Box<Entry>),
    /// The group is paused already, is not paused, or its regeneration is ending already.
    AlreadySo,
    /// No regeneration of the group is open, so there is nothing to abort.
    NothingOpen,
}

impl Command {
    /// The entry that carries it out on an open regeneration; nothing, where there is nothing to do.
    pub(super) fn entry(&self, regeneration: &Regeneration, now: Time) -> Option<Entry> {
        let event = match &self.order {
            Order::Pause if regeneration.paused.is_none() => Event::RegenerationPaused(Nothing {}),
            Order::Resume if regeneration.paused.is_some() => Event::RegenerationResumed(Nothing {}),
            Order::Abort if regeneration.ending.is_none() => Event::RegenerationAborted(Aborted {
                outcome: Outcome::Aborted,
                cause: Cause::new("AbortedByUser", format!("{} asked for it", self.actor)),
            }),
            Order::TakeOver(claimed) => Event::LeaseClaimed(Claimed::clone(claimed)),
            Order::Pause | Order::Resume | Order::Abort => return None,
        };
        let entry = regeneration.entry(event, now);
        Some(Entry { actor: self.actor.clone(), reason: self.reason.clone(), ..entry })
    }

    /// Records it for a group that no task is at work on.
    ///
    /// # Errors
    /// The journal cannot be read or written, or contradicts itself.
    pub async fn record(&self, journal: &impl Journal, group: &GroupKey, now: Time) -> Result<Obeyed, Stop> {
        for entries in journal.unfinished().await? {
            if let Some(open) = Regeneration::recover(&entries)?
                && open.group == *group
            {
                let Some(entry) = self.entry(&open, now) else { return Ok(Obeyed::AlreadySo) };
                return Ok(Obeyed::Done(Box::new(journal.append(entry).await?)));
            }
        }
        let is_paused = lookup::pause_of(journal, group).await?.is_some();
        let event = match self.order {
            Order::Pause if !is_paused => Event::RegenerationPaused(Nothing {}),
            Order::Resume if is_paused => Event::RegenerationResumed(Nothing {}),
            Order::Pause | Order::Resume => return Ok(Obeyed::AlreadySo),
            Order::Abort | Order::TakeOver(_) => return Ok(Obeyed::NothingOpen),
        };
        let entry = Entry { reason: self.reason.clone(), ..Entry::new(event, now, self.actor.clone()).about(group) };
        Ok(Obeyed::Done(Box::new(journal.append(entry).await?)))
    }
}

/// A command on its way to the task of a group.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) command: Command,
    pub(super) reply: oneshot::Sender<Obeyed>,
}

/// Where the task of a group receives its commands.
#[derive(Debug, Default)]
pub(super) struct Orders(Option<mpsc::UnboundedReceiver<Message>>);

impl Orders {
    pub(super) fn new(receiver: mpsc::UnboundedReceiver<Message>) -> Self {
        Self(Some(receiver))
    }

    /// The next command; never, where none can be given any more.
    pub(super) async fn next(&mut self) -> Message {
        let next = match &mut self.0 {
            Some(receiver) => receiver.recv().await,
            None => None,
        };
        match next {
            Some(message) => message,
            None => pending().await,
        }
    }
}
