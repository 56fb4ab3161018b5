//! What operators ask of a group while its regeneration goes on: they are answered at once, also while a call to AWS is
//! in flight.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};

use crate::domain::journal::Entry;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing more is done to the group until it is resumed, except that the lease is renewed. Nothing opens either.
    Pause,
    Resume,
    /// The open regeneration ends now, and the group is handed back.
    Abort,
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

    /// The next command; never, where nobody can give one any more.
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
