//! When a look must also ask for instance refreshes: they replace instances too, and nothing else shows that one began.

use super::Active;
use crate::domain::action::Action;
use crate::domain::group::Group;
use crate::domain::span::{Span, Time};

/// How old the latest look at instance refreshes may be when an instance is retired.
const REFRESH_LOOK_LASTS: Span = Span::minutes(1);

/// After this long the next look asks in passing, so that a retirement seldom has to wait for a look of its own. Shorter
/// than a minute by more than any sensible poll interval.
const ASK_AGAIN: Span = Span::seconds(40);

impl Active {
    /// Notes whether this look asked for instance refreshes. While one is under way each look asks.
    pub(super) fn note_look(&mut self, group: &Group) {
        if self.include_refresh {
            self.asked_refresh = Some(group.seen);
        }
        self.include_refresh = group.refresh.is_some();
    }

    /// Asks for instance refreshes with the next look, if it is time to.
    pub(super) fn ask_in_passing(&mut self, seen: Time) {
        let retires = self.regeneration.lease.is_some() && self.regeneration.ending.is_none();
        self.include_refresh |= retires && self.asked_refresh.is_none_or(|at| ASK_AGAIN.after(at) <= seen);
    }

    /// Whether this action must wait for a look that asks for instance refreshes.
    pub(super) fn lacks_close_look(&self, group: &Group, action: &Action) -> bool {
        let asked_within = |span: Span| self.asked_refresh.is_some_and(|at| group.seen <= span.after(at));
        // A tool that manages the group's tags as code has just been applied, and that may have started a refresh: an
        // `instance_refresh` block of Terraform with `triggers = ["tag"]` does.
        let is_lease_gone = self.regeneration.lease.is_some() && group.lease.is_none();
        (is_lease_gone && !asked_within(Span::ZERO))
            || (matches!(action, Action::Retire(_)) && !asked_within(REFRESH_LOOK_LASTS))
    }
}
