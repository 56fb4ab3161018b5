//! One observer for each account and region: it looks at all groups that are due there at once, and waits for no other
//! place.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Notify, oneshot};

use crate::domain::group::{Group, GroupKey};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime, Steady, unless_stopped};
use crate::engine::ports::{Ask, Cloud, CloudError};

/// What an observation found of a group; nothing, where it does not exist.
pub(super) type Found = Option<Result<Group, CloudError>>;

/// How many observations of one place may be under way at once. A group that has just been changed is looked at without
/// waiting for a slow observation of others; more at once would only cost more calls.
const LOOKS_AT_ONCE: usize = 4;

/// What waits to be looked at in one place.
#[derive(Default)]
pub(super) struct Observer {
    waiting: RefCell<BTreeMap<GroupKey, Waiting>>,
    under_way: Cell<usize>,
    is_over: Cell<bool>,
    changed: Notify,
}

struct Waiting {
    ask: Ask,
    due: Time,
    reply: oneshot::Sender<Found>,
}

impl Observer {
    /// Asks for an observation that begins when it is due, or a little earlier together with others. The receiver fails
    /// where the program was asked to stop.
    pub(super) fn ask(&self, ask: Ask, due: Time) -> oneshot::Receiver<Found> {
        let (reply, receiver) = oneshot::channel();
        if self.is_over.get() {
            return receiver;
        }
        self.waiting.borrow_mut().insert(ask.key.clone(), Waiting { ask, due, reply });
        self.changed.notify_one();
        receiver
    }

    /// The observation of this group is due now, if it is still waited for.
    pub(super) fn hurry(&self, key: &GroupKey, now: Time) {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(key) {
            waiting.due = waiting.due.min(now);
            self.changed.notify_one();
        }
    }

    fn due(&self) -> Option<Time> {
        self.waiting.borrow().values().map(|waiting| waiting.due).min()
    }

    /// What is due now, if anything is, and what is due so soon that another observation would cost more calls.
    fn take_due(&self, now: Time, soon: Span) -> Vec<Waiting> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let until = soon.after(now);
        self.waiting
            .borrow_mut()
            .extract_if(.., |_, waiting| waiting.due <= until)
            .map(|(_, waiting)| waiting)
            .collect()
    }
}

/// Looks whenever something is due, until the program is asked to stop.
pub(super) async fn observe<C: Cloud + 'static, K: Runtime>(
    observer: Rc<Observer>,
    cloud: Rc<C>,
    clock: Rc<Steady<K>>,
    poll: Span,
) {
    let soon = Span::seconds((poll.as_secs() / 4) as u32);
    while !clock.stopping() {
        let Some(due) = observer.due().filter(|_| observer.under_way.get() < LOOKS_AT_ONCE) else {
            observer.changed.notified().await;
            continue;
        };
        tokio::select! {
            biased;
            () = observer.changed.notified() => continue,
            () = clock.sleep_until(due) => {}
        }
        let due = observer.take_due(clock.now(), soon);
        if !due.is_empty() && !clock.stopping() {
            observer.under_way.update(|looks| looks + 1);
            clock.spawn(Box::pin(look(Rc::clone(&observer), Rc::clone(&cloud), Rc::clone(&clock), due)));
        }
    }
    observer.is_over.set(true);
    observer.waiting.borrow_mut().clear();
}

/// One observation. It has no effect, so it is dropped at once when the program is asked to stop.
async fn look<C: Cloud, K: Runtime>(observer: Rc<Observer>, cloud: Rc<C>, clock: Rc<Steady<K>>, due: Vec<Waiting>) {
    let began = clock.now();
    clock.not_before(began);
    let asks: Vec<_> = due.iter().map(|waiting| waiting.ask.clone()).collect();
    let sweep = unless_stopped(&*clock, Span::ZERO, cloud.look(&asks)).await;
    if let Some(mut sweep) = sweep {
        for Waiting { ask, reply, .. } in due {
            let found = sweep.remove(&ask.key).map(|found| found.map(|group| Group { seen: began, ..group }));
            // Who asked may have ended meanwhile.
            _ = reply.send(found);
        }
    }
    observer.under_way.update(|looks| looks - 1);
    observer.changed.notify_one();
}
