//! What a turn makes of a table, in lines.

use std::fmt::Write as _;

use regend::domain::action::Action;
use regend::domain::decision::{Close, Decision, Next};
use regend::domain::journal::{Aborted, Entry, Event, Left};
use regend::domain::lease::Lease;
use regend::domain::span::Span;

use super::{DAEMON, ID, OPENED, now, parse};

pub(super) fn news_line(entry: &Entry) -> String {
    let mut out = entry.kind().to_string();
    for instance in entry.event.instances() {
        write!(out, " {instance}").unwrap();
    }
    if let Event::InstanceLaunched(launched) = &entry.event {
        write!(out, " ({:?})", launched.launched_by).unwrap();
    }
    for cause in entry.event.causes() {
        write!(out, " ({})", cause.code).unwrap();
    }
    if let Event::GroupChanged(changed) = &entry.event {
        let change = &changed.change;
        for (what, pair) in [("min", change.min), ("desired", change.desired), ("max", change.max)] {
            if let Some([before, after]) = pair {
                write!(out, " {what} {before} -> {after}").unwrap();
            }
        }
    }
    for cause in entry.event.causes() {
        write!(out, ": {}", cause.message).unwrap();
    }
    if let Some(message) = entry.event.message() {
        write!(out, ": {message}").unwrap();
    }
    if entry.event.is_answer_lost() {
        out += ": the answer was lost; the effect was seen";
    }
    out
}

pub(super) fn action_line(action: &Action) -> String {
    let mut out = action.to_string();
    match action {
        Action::Launch { token, .. } => {
            write!(out, "; token {}", token.replace(&ID.simple().to_string(), "ID").replace(OPENED, "")).unwrap();
        }
        Action::Retire(retire) => {
            if retire.decrement {
                out += "; decrement";
            }
            if let Some(successor) = &retire.successor {
                write!(out, "; successor {successor}").unwrap();
            }
        }
        Action::TakeLease { value, until } => {
            let lease: Lease = parse(value);
            assert_eq!((lease.regeneration, lease.daemon.as_str(), lease.until), (ID, DAEMON, *until));
            write!(out, "; wanted {} surge {} max {}", lease.wanted, lease.surge, lease.max).unwrap();
        }
        Action::ReleaseLease
        | Action::RaiseMaxSize { .. }
        | Action::RestoreMaxSize { .. }
        | Action::RestoreMinSize { .. }
        | Action::Grow { .. }
        | Action::Shrink { .. } => {}
    }
    out
}

pub(super) fn decision_lines(decision: &Decision) -> String {
    let mut out = match &decision.next {
        Next::Act(action) => format!("{}\n", action_line(action)),
        Next::End(Aborted { outcome, cause }) => format!("end {}: {}: {cause}\n", outcome.word(), cause.code),
        Next::Close(Close { outcome, left, cause, .. }) => {
            let mut out = format!("close {}", outcome.word());
            if let Some(cause) = cause {
                write!(out, ": {}: {cause}", cause.code).unwrap();
            }
            out.push('\n');
            for Left { instance, why } in left {
                writeln!(out, "left {instance}: {}", serde_json::to_string(why).unwrap().replace('"', "")).unwrap();
            }
            out
        }
        Next::Wait => "wait\n".to_owned(),
    };
    for hold in &decision.holds {
        writeln!(out, "hold: {hold}").unwrap();
    }
    if let Some(at) = decision.look_again_at {
        writeln!(out, "again in {}", Span::between(now(), at)).unwrap();
    }
    out
}
