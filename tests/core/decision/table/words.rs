//! The words of a table that stand for an action, an outcome, or a refusal.

use regend::domain::action::{Action, Outcome, Reason, RefusalKind, Retire};
use regend::domain::capacity::Units;
use regend::domain::group::{InstanceId, Zone};
use regend::domain::kind::CapacityUnit;
use regend::domain::lease::Lease;
use regend::domain::span::Time;
use uuid::Uuid;

use super::{DAEMON, ID, ago, ahead, parse};

/// `launch 1 a`, `grow 3 4 max 5`, `retire i-1 stale decrement`…
pub(crate) fn action(words: &[&str]) -> Action {
    match *words {
        ["take-lease", until] => {
            let until = ahead(until);
            Action::TakeLease { value: lease(ID, DAEMON, until, (3.into(), 1.into(), 10.into())).to_string(), until }
        }
        ["take-lease", until, "as", value] => Action::TakeLease { value: value.replace('_', " "), until: ahead(until) },
        ["release-lease"] => Action::ReleaseLease,
        ["raise-max", from, to] => Action::RaiseMaxSize { from: parse(from), to: parse(to) },
        ["restore-max", from, to] => Action::RestoreMaxSize { from: parse(from), to: parse(to) },
        ["launch", count] => Action::Launch { count: parse(count), zone: None, token: "token-1".to_owned() },
        ["launch", count, zone] => {
            Action::Launch { count: parse(count), zone: Some(Zone::new(zone)), token: "token-1".to_owned() }
        }
        ["launch", count, zone, token] => {
            Action::Launch { count: parse(count), zone: Some(Zone::new(zone)), token: token.to_owned() }
        }
        ["grow", from, to] => Action::Grow { from: parse(from), to: parse(to), min: None, max: None },
        ["grow", from, to, "min", min, "max", max] => {
            Action::Grow { from: parse(from), to: parse(to), min: Some(parse(min)), max: Some(parse(max)) }
        }
        ["grow", from, to, "max", max] => {
            Action::Grow { from: parse(from), to: parse(to), min: None, max: Some(parse(max)) }
        }
        ["restore-min", from, to] => Action::RestoreMinSize { from: parse(from), to: parse(to) },
        ["shrink", from, to] => Action::Shrink { from: parse(from), to: parse(to), min: None, max: None },
        ["shrink", from, to, "min", min] => {
            Action::Shrink { from: parse(from), to: parse(to), min: Some(parse(min)), max: None }
        }
        ["retire", instance, why, ref rest @ ..] => Action::Retire(Retire {
            instance: InstanceId::new(instance),
            why: match why {
                "stale" => Reason::Stale,
                "failed" => Reason::Failed,
                "surplus" => Reason::Surplus,
                _ => panic!("{why} is no reason"),
            },
            decrement: rest.contains(&"decrement"),
            successor: rest.iter().skip_while(|word| **word != "for").nth(1).map(|id| InstanceId::new(*id)),
            serving: 3.into(),
            floor: 3.into(),
        }),
        _ => panic!("{words:?} is no action"),
    }
}

pub(super) fn unit(word: &str) -> CapacityUnit {
    match word {
        "vcpus" => CapacityUnit::Vcpus,
        "memory" => CapacityUnit::MemoryMib,
        other => CapacityUnit::Other(other.to_owned()),
    }
}

pub(super) fn lease(
    regeneration: Uuid,
    daemon: &str,
    until: Time,
    (wanted, surge, max): (Units, Units, Units),
) -> Lease {
    Lease {
        regeneration,
        cutoff: ago("1h"),
        daemon: daemon.to_owned(),
        until,
        wanted,
        surge,
        min: None,
        max,
        max_allowed: max.max(wanted + surge),
    }
}

pub(crate) fn outcome(word: &str) -> Outcome {
    match word {
        "completed" => Outcome::Completed,
        "incomplete" => Outcome::Incomplete,
        "failed" => Outcome::Failed,
        "aborted" => Outcome::Aborted,
        _ => panic!("{word} is no outcome"),
    }
}

pub(crate) fn refusal(word: &str) -> RefusalKind {
    match word {
        "throttled" => RefusalKind::Throttled,
        "busy" => RefusalKind::Busy,
        "forbidden" => RefusalKind::Forbidden,
        "no-capacity" => RefusalKind::NoCapacity,
        "not-offered" => RefusalKind::NotOffered,
        "invalid" => RefusalKind::Invalid,
        _ => panic!("{word} is no kind of refusal"),
    }
}
