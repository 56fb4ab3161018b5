//! Where a rehearsed process dies: what it touches, counted, and what was on its way when it died.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Shared;
use crate::domain::action::Action;
use crate::domain::group::GroupKey;
use crate::domain::span::{Span, Time};
use crate::sim::world::Call;

/// What a process does that something outside of it can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IoPoint {
    Look,
    /// A call that changes something.
    Call(&'static str),
    /// An entry for the journal. SQLite makes a torn write none at all.
    Write(&'static str),
}

/// When, of a touch, a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Nothing has come of it.
    Before,
    /// AWS performed the call, and its answer has not arrived.
    After,
    /// The request is on its way, and arrives so much later. Only for calls.
    Late(Span),
}

/// Counts what a process touches, and burns out when it is to be killed.
#[derive(Debug, Clone, Default)]
pub(super) struct KillSwitch {
    /// After so many more touches, and when of that one.
    pub(super) kill: Rc<Cell<Option<(u64, When)>>>,
    /// After the next call.
    pub(super) in_call: Rc<Cell<bool>>,
    burnt: Rc<Cell<bool>>,
    pub(super) external_changes: Rc<RefCell<Vec<IoPoint>>>,
    /// The call that an earlier process had sent when it was killed, and when it arrives.
    pub(super) late: Rc<RefCell<Option<(Time, GroupKey, Action)>>>,
}

impl KillSwitch {
    /// Says when of this touch the process dies, if it does.
    pub(super) fn burn(&self, touch: IoPoint) -> Option<When> {
        if self.burnt.get() {
            return Some(When::Before);
        }
        self.external_changes.borrow_mut().push(touch);
        if self.in_call.get() && matches!(touch, IoPoint::Call(_)) {
            self.burnt.set(true);
            return Some(When::After);
        }
        let (left, when) = self.kill.get()?;
        self.kill.set(Some((left.saturating_sub(1), when)));
        (left == 0).then(|| {
            self.burnt.set(true);
            when
        })
    }

    pub(super) fn is_burnt(&self) -> bool {
        self.burnt.get()
    }

    /// The next process's.
    pub(super) fn renewed(&self) -> Self {
        Self { late: Rc::clone(&self.late), ..Self::default() }
    }

    /// Lets time pass, and what is on its way arrive.
    pub(super) fn pass(&self, world: &Shared, until: Time) {
        let arrives = self.late.borrow_mut().take_if(|(at, ..)| *at <= until);
        if let Some((at, group, action)) = arrives {
            let mut world = world.borrow_mut();
            world.advance_to(at);
            // Who repeated a launch meanwhile has all that came of it.
            let again = |call: &Call| matches!(action, Action::Launch { .. }) && call.action == action;
            if !world.history.calls.iter().any(again) {
                // The process that asked is dead.
                let _ = world.perform(&group, &action);
            }
        }
        world.borrow_mut().advance_to(until);
    }
}
