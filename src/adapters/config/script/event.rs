//! One `[[events]]` of a script: a time, and the one thing that happens then.

use std::cell::Cell;

use toml::de::DeValue;

use super::super::reader::{Section, count, duration, flag, text};
use super::{one_of, rate, read_image, seconds};
use crate::domain::kind::CapacityUnit;
use crate::domain::span::Invalid;
use crate::sim::event::{Event, Which};
use crate::sim::fault::Fault;
use crate::sim::group_behavior::Image;
use crate::sim::script::{Happening, ProcessEvent, Trouble, What};

const PROCESSES: [&str; 8] = [
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "ReplaceUnhealthy",
    "ScheduledActions",
];

const APIS: [&str; 6] = [
    "LaunchInstances",
    "TerminateInstanceInAutoScalingGroup",
    "UpdateAutoScalingGroup",
    "SetDesiredCapacity",
    "CreateOrUpdateTags",
    "DeleteTags",
];

const FAULTS: [(&str, Fault); 10] = [
    ("lost request", Fault::LostRequest),
    ("lost answer", Fault::LostAnswer),
    ("throttled", Fault::Throttled),
    ("busy", Fault::Busy),
    ("contention", Fault::Contention),
    ("server error", Fault::ServerError),
    ("server error after", Fault::ServerErrorAfter),
    ("timeout", Fault::Timeout),
    ("timeout after", Fault::TimeoutAfter),
    ("late", Fault::Late),
];

const TROUBLES: [(&str, Trouble); 10] = [
    ("lost_request", Trouble::LostRequest),
    ("lost_answer", Trouble::LostAnswer),
    ("throttled", Trouble::Throttled),
    ("busy", Trouble::Busy),
    ("contention", Trouble::Contention),
    ("server_error", Trouble::ServerError),
    ("timeout", Trouble::Timeout),
    ("late", Trouble::Late),
    ("blind", Trouble::Blind),
    ("partial", Trouble::Partial),
];

const HANDS: [(&str, ProcessEvent); 5] = [
    ("killed", ProcessEvent::Killed),
    ("killed in a call", ProcessEvent::KilledInCall),
    ("restarted", ProcessEvent::Restarted),
    ("started on another host", ProcessEvent::Elsewhere),
    ("taken over on another host", ProcessEvent::TakenOver),
];

const UNITS: [(&str, CapacityUnit); 3] =
    [("instances", CapacityUnit::Instances), ("vCPUs", CapacityUnit::Vcpus), ("memory", CapacityUnit::MemoryMib)];

/// The modifiers of an event.
struct Modifiers {
    decrement: bool,
    left: u32,
    how: Fault,
}

/// The event and, if it has a duration, its end.
pub(super) fn read(mut section: Section<'_, '_>) -> Vec<Happening> {
    let at = section.required("at", duration, r#"write the time since the start, for example at = "90s""#);
    let mut lasts = None;
    section.read("for", &mut lasts, |value| duration(value).map(Some));
    let mut modifiers = Modifiers { decrement: false, left: 1, how: Fault::LostAnswer };
    section.read("decrement", &mut modifiers.decrement, flag);
    section.read("left", &mut modifiers.left, count);
    section.read("how", &mut modifiers.how, |value| one_of(value, &FAULTS));
    let mut found = Vec::new();
    let written = actions(&mut section, &modifiers, &mut found);
    let has_unknown_keys = !section.is_read();
    section.close();
    if written == 0 && !has_unknown_keys {
        section.problem("at", Invalid::new("the event has no action", r#"write for example kill = "oldest""#));
    }
    if let [_, (second, _), ..] = found.as_slice() {
        section.problem(second, Invalid::new("an event can have only one action", "write a second [[events]] for it"));
    }
    let (Some(at), Some((_, what))) = (at, found.into_iter().next()) else { return Vec::new() };
    let end = lasts.and_then(|lasts| Some((lasts, end_of(&what)?)));
    if lasts.is_some() && end.is_none() {
        section.problem("for", Invalid::new("this event has no duration", "remove the key"));
    }
    let end = end.map(|(lasts, what)| Happening { at: at + lasts, what });
    std::iter::once(Happening { at, what }).chain(end).collect()
}

/// Reads all actions of the event, and returns how many there are, valid or not.
fn actions(section: &mut Section<'_, '_>, modifiers: &Modifiers, found: &mut Vec<(&'static str, What)>) -> u32 {
    let written = Cell::new(0);
    let mut on = |key: &'static str, parse: &dyn Fn(&DeValue<'_>) -> Result<What, Invalid>| {
        let mut what = None;
        section.read(key, &mut what, |value| {
            written.set(written.get() + 1);
            parse(value).map(Some)
        });
        found.extend(what.map(|what| (key, what)));
    };
    let group = What::Group;
    let decrement = modifiers.decrement;
    on("desired", &|v| count(v).map(|n| group(Event::SetDesired(n))));
    on("scale", &|v| signed(v).map(|by| group(Event::Scale(by))));
    on("min", &|v| count(v).map(|n| group(Event::SetMin(n))));
    on("max", &|v| count(v).map(|n| group(Event::SetMax(n))));
    on("scheduled", &|v| three(v).map(|[min, desired, max]| group(Event::Scheduled(min, max, desired))));
    on("kill", &|v| which(v).map(|w| group(Event::Kill(w))));
    on("sicken", &|v| which(v).map(|w| group(Event::Sicken(w))));
    on("recover", &|v| one_of(v, &[("all", group(Event::Recover))]));
    on("health_unknown", &|v| seconds(v).map(|s| group(Event::Unavailable(s))));
    on("interrupt", &|v| which(v).map(|w| group(Event::Interrupt(w))));
    on("protect", &|v| which(v).map(|w| group(Event::Protect(w))));
    on("unprotect", &|v| one_of(v, &[("all", group(Event::Unprotect))]));
    on("standby", &|v| which(v).map(|w| group(Event::StandBy(w))));
    on("standby_replaced", &|v| which(v).map(|w| group(Event::StandByReplaced(w))));
    on("exit_standby", &|v| one_of(v, &[("all", group(Event::ExitStandby))]));
    on("detach", &|v| which(v).map(|w| group(Event::Detach(w, decrement))));
    on("attach", &|v| duration(v).map(|age| group(Event::Attach((age.as_secs() / 3600) as u32))));
    on("replace_root_volume", &|v| which(v).map(|w| group(Event::ReplaceRootVolume(w))));
    on("terminate", &|v| which(v).map(|w| group(Event::Terminate(w, decrement))));
    on("suspend", &|v| named(v, &PROCESSES).map(|process| group(Event::Suspend(process))));
    on("suspended_by_aws", &|v| named(v, &PROCESSES).map(|process| group(Event::SuspendByAws(process))));
    on("resume", &|v| one_of(v, &[("all", group(Event::Resume))]));
    on("untag", &|v| one_of(v, &[("lease", group(Event::Untag))]));
    let start = [("starts", true), ("ends", false)];
    on("refresh", &|v| one_of(v, &start).map(|on| group(if on { Event::StartRefresh } else { Event::EndRefresh })));
    on("zonal_shift", &|v| one_of(v, &start).map(|on| group(if on { Event::Shift } else { Event::EndShift })));
    let listener = [("moves away", group(Event::ListenerLeaves)), ("comes back", group(Event::ListenerReturns))];
    on("listener", &|v| one_of(v, &listener));
    on("image", &|v| read_image(v).map(|image| group(Event::Image(image))));
    on("no_capacity", &|v| zone(v).map(|n| group(Event::DryUp(n))));
    on("scarce", &|v| zone(v).map(|n| group(Event::Scarce(n, modifiers.left))));
    on("capacity", &|v| one_of(v, &[("all", group(Event::Wet))]));
    on("unit", &|v| one_of(v, &UNITS).map(|unit| group(Event::Unit(unit))));
    let managed = [("starts", group(Event::Managed)), ("ends", group(Event::Unmanaged))];
    on("managed", &|v| one_of(v, &managed));
    on("delete", &|v| one_of(v, &[("group", group(Event::Delete))]));
    for (key, trouble) in TROUBLES {
        on(key, &|v| rate(v).map(|rate| What::Trouble(trouble, rate)));
    }
    on("fail_next", &|v| named(v, &APIS).map(|api| What::Next(api, modifiers.how)));
    on("regend", &|v| one_of(v, &HANDS).map(What::Regend));
    written.get()
}

/// `"oldest"`, `"newest"`, or the position by age, from 1.
fn which(value: &DeValue<'_>) -> Result<Which, Invalid> {
    match value {
        DeValue::Integer(_) => match count(value)?.checked_sub(1) {
            Some(n) => Ok(Which::Nth(n as usize)),
            None => Err(Invalid::new("0 is out of range", r#"write 1 or "oldest" for the oldest"#)),
        },
        _ => one_of(value, &[("oldest", Which::Oldest), ("newest", Which::Newest)]),
    }
}

fn signed(value: &DeValue<'_>) -> Result<i32, Invalid> {
    let number = value.as_integer().and_then(|number| i32::from_str_radix(number.as_str(), number.radix()).ok());
    number.ok_or_else(|| Invalid::new("this is not a whole number", "write for example 2 or -2"))
}

/// Min, desired and max.
fn three(value: &DeValue<'_>) -> Result<[u32; 3], Invalid> {
    let wrong = || Invalid::new("this is not a list of min, desired and max", "write for example [2, 4, 8]");
    let DeValue::Array(values) = value else { return Err(wrong()) };
    let numbers: Vec<_> = values.iter().map(|value| count(value.get_ref())).collect::<Result<_, _>>()?;
    let [min, desired, max] = numbers.try_into().map_err(|_| wrong())?;
    if min <= desired && desired <= max { Ok([min, desired, max]) } else { Err(wrong()) }
}

/// The index of a zone, from its letter.
fn zone(value: &DeValue<'_>) -> Result<usize, Invalid> {
    let letter: String = text(value)?;
    let place = "abcdef".find(&letter).filter(|_| letter.len() == 1);
    place.ok_or_else(|| {
        Invalid::new(format!("{letter:?} is not a zone"), r#"write the letter of the zone, "a" for the first"#)
    })
}

fn named(value: &DeValue<'_>, names: &[&'static str]) -> Result<&'static str, Invalid> {
    one_of(value, &names.iter().map(|name| (*name, *name)).collect::<Vec<_>>())
}

/// The event that ends an event with a duration.
fn end_of(what: &What) -> Option<What> {
    Some(match what {
        What::Trouble(trouble, _) => What::Trouble(*trouble, 0),
        What::Group(event) => What::Group(match event {
            Event::Sicken(_) => Event::Recover,
            Event::Suspend(_) | Event::SuspendByAws(_) => Event::Resume,
            Event::Unit(_) => Event::Unit(CapacityUnit::Instances),
            Event::Managed => Event::Unmanaged,
            Event::StartRefresh => Event::EndRefresh,
            Event::Shift => Event::EndShift,
            Event::ListenerLeaves => Event::ListenerReturns,
            Event::Image(_) => Event::Image(Image::Good),
            Event::DryUp(_) | Event::Scarce(..) => Event::Wet,
            Event::StandBy(_) | Event::StandByReplaced(_) => Event::ExitStandby,
            Event::Protect(_) => Event::Unprotect,
            _ => return None,
        }),
        What::Regend(ProcessEvent::Killed) => What::Regend(ProcessEvent::Restarted),
        What::Next(..) | What::Regend(_) => return None,
    })
}
