//! One `[[policies]]` of a script: a scaling policy of the simulated group, and the load that it follows.

use toml::de::DeValue;

use super::super::reader::{Section, count, text};
use super::{one_of, seconds};
use crate::domain::span::Invalid;
use crate::sim::scaling_policy::{Kind, ScalingPolicy};

const KINDS: [(&str, Kind); 4] = [
    ("target tracking", Kind::TargetTracking),
    ("step", Kind::Step),
    ("simple", Kind::Simple),
    ("cluster autoscaler", Kind::ClusterAutoscaler),
];

const LOADS: [(&str, u32); 2] = [("always low", 0), ("always high", u32::MAX)];

pub(super) fn read(mut section: Section<'_, '_>) -> Option<ScalingPolicy> {
    let name: Option<String> = section.required("name", text, r#"write for example name = "cpu-65""#);
    let kind = section.required("kind", |value| one_of(value, &KINDS), r#"write for example kind = "target tracking""#);
    // The other keys are read even if the kind is missing, so that all problems are reported at once.
    let mut policy = ScalingPolicy::new(name.clone().unwrap_or_default(), kind.unwrap_or(Kind::TargetTracking));
    section.read("needs", &mut policy.needs, needs);
    section.read("out_after", &mut policy.out_after, count);
    section.read("in_after", &mut policy.in_after, count);
    section.read("adds", &mut policy.adds, count);
    section.read("removes", &mut policy.removes, count);
    section.read("warm_up", &mut policy.warm_up, seconds);
    section.read("cooldown", &mut policy.cooldown, seconds);
    for (key, datapoints) in [("out_after", policy.out_after), ("in_after", policy.in_after)] {
        if datapoints == 0 {
            let what = "an alarm needs at least 1 datapoint";
            section.problem(key, Invalid::new(what, "write a number of minutes, for example 3"));
        }
    }
    section.close();
    name.and(kind).map(|_| policy)
}

/// The number of instances that the load requires, each from a time on.
fn needs(value: &DeValue<'_>) -> Result<Vec<(u32, u32)>, Invalid> {
    let wrong = || {
        let what = "this is not a list of times and numbers of instances";
        Invalid::new(what, r#"write for example [["0s", 2], ["20m", 5]], "always low" or "always high""#)
    };
    if let DeValue::String(_) = value {
        return one_of(value, &LOADS).map(|needed| vec![(0, needed)]);
    }
    let DeValue::Array(values) = value else { return Err(wrong()) };
    let mut needs = Vec::new();
    for value in values.iter() {
        let DeValue::Array(pair) = value.get_ref() else { return Err(wrong()) };
        let [from, needed] = pair.iter().collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
        needs.push((seconds(from.get_ref())?, count(needed.get_ref())?));
    }
    needs.sort_by_key(|(from, _)| *from);
    Ok(needs)
}
