//! The traffic sources of a group: those whose health regend reads, and those whose health it cannot read.

use aws_sdk_autoscaling::types::AutoScalingGroup;

/// The traffic sources of one group, each once, in AWS's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// ARNs of target groups of Application, Network and Gateway Load Balancers.
    pub(super) target_groups: Vec<String>,
    /// Names of Classic Load Balancers.
    pub(super) classic: Vec<String>,
    /// VPC Lattice target groups and traffic sources of unknown types, as phrases.
    pub(super) unverified: Vec<String>,
}

/// Collects the sources from the old fields and from `TrafficSources`; AWS lists most of them in both.
pub(super) fn sources(group: &AutoScalingGroup) -> Sources {
    let mut sources = Sources::default();
    for arn in group.target_group_arns() {
        push(&mut sources.target_groups, arn.clone());
    }
    for name in group.load_balancer_names() {
        push(&mut sources.classic, name.clone());
    }
    for source in group.traffic_sources() {
        let Some(identifier) = source.identifier().filter(|identifier| !identifier.is_empty()) else { continue };
        let kind = source.r#type().filter(|kind| !kind.is_empty()).unwrap_or_else(|| kind_of(identifier));
        match kind {
            "elbv2" => push(&mut sources.target_groups, identifier.to_owned()),
            "elb" => push(&mut sources.classic, identifier.to_owned()),
            "vpc-lattice" => push(&mut sources.unverified, format!("VPC Lattice target group {identifier}")),
            kind => push(&mut sources.unverified, format!("traffic source {identifier} (type {kind})")),
        }
    }
    sources
}

fn push(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The type of a traffic source without a type.
fn kind_of(identifier: &str) -> &'static str {
    match identifier {
        arn if arn.contains(":elasticloadbalancing:") => "elbv2",
        arn if arn.contains(":vpc-lattice:") => "vpc-lattice",
        arn if arn.starts_with("arn:") => "unknown",
        _ => "elb",
    }
}
