#!/usr/bin/env python3
"""moto taught to behave like AWS where regend depends on it: time passes, instances boot and drain, limits are checked."""

import datetime
import fnmatch
import json
import os
import re
import threading
import time
import traceback
import uuid
from collections import OrderedDict

import common
from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import ActionResult, AutoScalingResponse
from moto.ec2 import utils as ec2_utils
from moto.ec2.models.instances import InstanceState as Ec2State
from moto.elb.models import elb_backends
from moto.elb.responses import ELBResponse
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

LIVE = ("Pending", "InService")  # what Auto Scaling counts towards the desired capacity
FAILED_STATES = ("shutting-down", "terminated", "stopping", "stopped")

# Every value can be changed while the server runs: POST /regend/set. Times are seconds.
S = {
    "boot": 2.0,  # Pending → InService
    "healthy_after": 1.0,  # registered → healthy in a target group
    "drain": 2.0,  # Terminating → gone
    "age": 0.0,  # above 0: instances of groups created now are in service, and born that long ago
    "launch_instances": "on",  # on | off (unknown action, as on stock moto) | unsupported (UnsupportedOperation)
    "raise_desired": True,  # LaunchInstances raises the desired capacity by what it launched (AWS does not say)
    "enforce_max": True,  # LaunchInstances refuses to exceed max size (AWS does not say)
    "capacity": {},  # zone → how many more instances EC2 has there; absent = enough
    "sick": None,  # who never becomes healthy: see Rule
    "stuck": None,  # who never leaves Pending: see Rule
    "foreign_ports": {},  # port → state: what each target group says of its instances at ports that others registered
    "refreshes": {},  # group → what DescribeInstanceRefreshes answers, missing fields filled in
    "scalers": [],  # scaling policies whose alarm is in ALARM: see Scaler
}
DEFAULTS = dict(S)


class Rule:
    """Which of the instances launched from now on are afflicted, and where.

    3 = the next three, "all" = all, or {"next": 3, "group": "web-*", "target_group": "web-*-2"} with any key left out.
    """

    def __init__(self, spec):
        spec = {"next": spec} if isinstance(spec, int) else {} if spec == "all" else dict(spec)
        if unknown := spec.keys() - {"next", "group", "target_group"}:
            raise ValueError(f"unknown key {sorted(unknown)} in a rule")
        self.left = spec.get("next")
        self.group, self.target_group = spec.get("group", "*"), spec.get("target_group", "*")

    def strikes(self, group):
        """The pattern of target groups this launch is afflicted in, or None."""
        if self.left == 0 or not fnmatch.fnmatch(group.name, self.group):
            return None
        if self.left is not None:
            self.left -= 1
        return self.target_group


def rule_strikes(name, group):
    return S[name].strikes(group) if S[name] else None


class Scaler:
    """A scaling policy whose alarm is in ALARM: it changes desired capacity by `add` every so many seconds, within the
    group's limits, until it has done so `times` times (left out: for ever). No warm-up or cooldown blocks it.

    {"group": "web", "policy": "cpu-65", "every": 1.5, "add": -1, "times": 3}
    """

    def __init__(self, spec):
        needed = {"group", "policy", "every", "add"}
        if wrong := needed - spec.keys() or spec.keys() - needed - {"times"}:
            raise ValueError(f"missing or unknown key {sorted(wrong)} in a scaler")
        self.group, self.policy = spec["group"], spec["policy"]
        self.every, self.add, self.left = float(spec["every"]), int(spec["add"]), spec.get("times")
        self.due = time.monotonic() + self.every
        self.changes = 0  # of desired capacity, so far

    def act(self, group, now):
        """Changes desired capacity, if it is time to and the group allows it."""
        if group.name != self.group or now < self.due or self.left == 0 or not self.is_in(group):
            return
        self.due = now + self.every
        old = group.desired_capacity
        new = min(max(old + self.add, group.min_size), group.max_size)
        # A policy moves within the limits, and never against its own direction.
        if "AlarmNotification" in group._suspended_processes or (new - old) * self.add <= 0:
            return
        if self.left is not None:
            self.left -= 1
        self.changes += 1
        group.scaled += new - old
        word = "AlarmHigh" if self.add > 0 else "AlarmLow"
        group.cause += (
            f"At {stamp()} a monitor alarm TargetTracking-{group.name}-{word}-{uuid.uuid4()} in state ALARM triggered "
            f"policy {self.policy} changing the desired capacity from {old} to {new}.  "
        )
        group.set_desired_capacity(new)

    def is_in(self, group):
        """Whether the policy exists: one that was deleted has no alarm."""
        return bool(group.autoscaling_backend.describe_policies(group.name, [self.policy]))


def utc():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def stamp():
    return utc().strftime("%Y-%m-%dT%H:%M:%SZ")


# ── Activities ────────────────────────────────────────────────────────────────────────────────────


def activity(group, description, cause, status, instance=None, message=None):
    """Records a scaling activity, newest first."""
    done = status in ("Failed", "Cancelled")
    made = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "Description": description,
        "Cause": cause,
        "StartTime": utc(),
        "EndTime": utc() if done else None,
        "StatusCode": status,
        "StatusMessage": message,
        "Progress": 100 if done else 30,
        "Details": json.dumps(
            {"Subnet ID": instance.subnet_id, "Availability Zone": instance._placement.zone} if instance else {}
        ),
    }
    group.activities.insert(0, made)
    return made


def conclude(made, status="Successful"):
    if made and made["EndTime"] is None:
        made.update(StatusCode=status, EndTime=utc(), Progress=100)


# ── Launch, retire, and the passing of time ───────────────────────────────────────────────────────


def live(group):
    return [s for s in group.instance_states if s.lifecycle_state in LIVE]


def by_zone(group, states):
    counts = {zone: 0 for zone in group.availability_zones}
    for s in states:
        counts[s.availability_zone] = counts.get(s.availability_zone, 0) + 1
    return counts


def subnet_in(group, zone):
    ids = (group.vpc_zone_identifier or "").split(",")
    subnets = group.ec2_backend.describe_subnets(subnet_ids=ids) if ids != [""] else []
    return next((subnet.id for subnet in subnets if subnet.availability_zone == zone), None)


def has_capacity(zone):
    return S["capacity"].get(zone, 1) > 0


def launch(group, zone, cause, token="", age=0.0):
    """Starts one instance: Pending, or with an age in service since long ago."""
    now = time.monotonic()
    if zone in S["capacity"]:
        S["capacity"][zone] -= 1
    template = version = None
    if group.ec2_launch_template:
        template = group.ec2_launch_template
        version = template.get_version(group.launch_template_version)
    tags = {**group.get_propagated_tags(), **group.instance_tags, ASG_NAME_TAG: group.name}
    instance = group.ec2_backend.run_instances(
        group.image_id,
        1,
        group.user_data,
        group.security_groups,
        instance_type=group.instance_type,
        tags={"instance": tags},
        placement=zone,
        launch_config=group.launch_config,
        launch_template={"LaunchTemplateId": template.id, "Version": version.number} if template else None,
        is_instance_type_default=False,
        associate_public_ip=group.launch_config.associate_public_ip_address if group.launch_config else None,
        subnet_id=subnet_in(group, zone),
        client_token=token,
    ).instances[0]
    # Frozen: stock moto would show the template's default version of today.
    instance.template_seen = template and {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": str(version.number),
    }
    born = utc() - datetime.timedelta(seconds=age)
    instance.launch_time = born
    for nic in instance.nics.values():
        nic.attach_time = born
    instance.autoscaling_group = group
    s = InstanceState(instance, "Pending", protected_from_scale_in=group.new_instances_protected_from_scale_in)
    group.instance_states.append(s)
    if age:
        s.lifecycle_state, s.in_service_at = "InService", now
        register(group, s, since=float("-inf"))
        register_with_balancers(group, s, since=float("-inf"))
    else:
        instance._state = Ec2State("pending", 0)
        s.running_at, s.due = now + S["boot"] / 2, now + S["boot"]
        s.sick, s.stuck = rule_strikes("sick", group), rule_strikes("stuck", group) is not None
        s.activity = activity(
            group, f"Launching a new EC2 instance: {instance.id}", cause, "PreInService", instance
        )
    return s


def target_groups(group):
    known = elbv2_backends[group.account_id][group.region].target_groups
    return [known[arn] for arn in group.target_group_arns if arn in known]


def register(group, s, since):
    for tg in target_groups(group):
        if tg.arn not in s.handled:
            # Once only: what was deregistered by hand is not registered again.
            s.handled.add(tg.arn)
            if "AddToLoadBalancer" not in group._suspended_processes:
                tg.targets[s.instance_id] = {"Id": s.instance_id, "Port": tg.port, "since": since}


def balancers(group):
    """The Classic Load Balancers in front of a group."""
    known = elb_backends[group.account_id][group.region].load_balancers
    return [known[name] for name in group.load_balancer_names if name in known]


def register_with_balancers(group, s, since):
    for balancer in balancers(group):
        if balancer.name not in s.handled:
            s.handled.add(balancer.name)
            if "AddToLoadBalancer" not in group._suspended_processes:
                balancer.instance_autoscaling_ids.append(s.instance_id)
                s.balanced_since = since


def deregister(group, s):
    for tg in target_groups(group):
        tg.targets.pop(s.instance_id, None)
    for balancer in balancers(group):
        if s.instance_id in balancer.instance_autoscaling_ids:
            balancer.instance_autoscaling_ids.remove(s.instance_id)
    s.handled.clear()


def retire(group, s, cause):
    """Begins to terminate a member: Auto Scaling drains first, then stops the instance."""
    conclude(s.activity, "Cancelled")
    registered = any(s.instance_id in tg.targets for tg in target_groups(group))
    registered |= any(s.instance_id in balancer.instance_ids for balancer in balancers(group))
    s.lifecycle_state = "Terminating"
    s.due = time.monotonic() + (S["drain"] if registered else min(S["drain"], 0.5))
    status = "WaitingForELBConnectionDraining" if registered else "InProgress"
    s.activity = activity(group, f"Terminating EC2 instance: {s.instance_id}", cause, status, s.instance)
    return s.activity


def step(group, s, now):
    """One member, one moment later."""
    if s.instance.state == "pending" and now >= s.running_at:
        s.instance._state = Ec2State("running", 16)
    if s.lifecycle_state == "Pending" and now >= s.due and not s.stuck and s.instance.state == "running":
        s.lifecycle_state, s.in_service_at = "InService", now
        conclude(s.activity)
    if s.lifecycle_state == "InService":
        register(group, s, since=now)
        register_with_balancers(group, s, since=now)
        if cause := failure_of(group, s, now):
            s.health_status = "Unhealthy"
            if not {"HealthCheck", "ReplaceUnhealthy", "Terminate"} & set(group._suspended_processes):
                retire(group, s, f"At {stamp()} an instance was taken out of service in response to {cause}.")
    elif s.lifecycle_state == "Pending" and s.instance.state in FAILED_STATES:
        retire(group, s, f"At {stamp()} an instance was taken out of service in response to {EC2_FAILURE}.")
    elif s.lifecycle_state == "Standby":
        deregister(group, s)
    elif s.lifecycle_state == "Terminating" and now >= s.due:
        deregister(group, s)
        group.instance_states.remove(s)
        if s.instance.state != "terminated":
            s.instance.terminate()
        conclude(s.activity)


EC2_FAILURE = "an EC2 health check indicating it has been terminated or stopped"


def failure_of(group, s, now):
    if s.instance.state in FAILED_STATES:
        return EC2_FAILURE
    if s.health_status.lower() == "unhealthy":
        return "a user health-check"
    graced = now < s.in_service_at + (group.health_check_grace_period or 0)
    if "ELB" in group.health_check_type and not graced:
        if any(verdict(tg, s.instance_id, s, now)[0] == "unhealthy" for tg in target_groups(group)):
            return "an ELB system health check failure"
    return None


def reconcile(group, now):
    """Brings the number of live members to the desired capacity."""
    if now < group.retry_at:
        return
    members, suspended = live(group), group._suspended_processes
    while len(members) < group.desired_capacity and "Launch" not in suspended:
        counts = by_zone(group, members)
        zones = [zone for zone in group.availability_zones if has_capacity(zone)]
        cause = (
            f"{group.cause}At {stamp()} an instance was started in response to a difference between desired and "
            f"actual capacity, increasing the capacity from {len(live(group))} to {group.desired_capacity}."
        )
        if not zones:
            zone = min(group.availability_zones, key=counts.get)
            activity(group, "Launching a new EC2 instance.  Status Reason: " + no_capacity(group, zone), cause,
                     "Failed", message=no_capacity(group, zone)[:255])
            group.retry_at = now + 1  # AWS tries for ever, ever more slowly
            return
        members.append(launch(group, min(zones, key=counts.get), cause))
    # Only after the desired capacity was lowered: a surplus that LaunchInstances made is not removed.
    while group.may_shrink and len(members) > group.desired_capacity and "Terminate" not in suspended:
        counts = by_zone(group, members)
        open_to = [s for s in members if not s.protected_from_scale_in]
        if not open_to:
            reason = "Could not scale to desired capacity because all remaining instances are protected from scale-in."
            activity(group, reason, group.cause.strip() or reason, "Cancelled", message=reason)
            break
        victim = max(open_to, key=lambda s: (counts[s.availability_zone], -s.instance.launch_time.timestamp()))
        retire(
            group,
            victim,
            f"{group.cause}At {stamp()} an instance was taken out of service in response to a difference between "
            f"desired and actual capacity, shrinking the capacity from {len(members)} to {group.desired_capacity}.  "
            f"At {stamp()} instance {victim.instance_id} was selected for termination.",
        )
        members.remove(victim)
    if "Terminate" not in suspended:
        group.may_shrink = False
    if "Launch" not in suspended:
        group.cause = ""


def no_capacity(group, zone):
    return (
        f"We currently do not have sufficient {group.instance_type} capacity in the Availability Zone you requested "
        f"({zone}). Our system will be working on provisioning additional capacity. Launching EC2 instance failed."
    )


def groups():
    for account in list(models.autoscaling_backends.values()):
        for backend in list(account.values()):
            yield from list(backend.autoscaling_groups.values())


def tick():
    now = time.monotonic()
    for group in groups():
        for s in list(group.instance_states):
            step(group, s, now)
        for scaler in S["scalers"]:
            scaler.act(group, now)
        reconcile(group, now)


def verdict(tg, instance_id, s, now):
    """A target's health: (state, reason code, description)."""
    if not tg.load_balancer_arns:
        return "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
    if s and s.lifecycle_state == "Terminating":
        return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
    if s and s.instance.state != "running":
        return "unused", "Target.InvalidState", f"Target is in the {s.instance.state} state"
    age = now - tg.targets[instance_id].get("since", float("-inf"))
    if age < S["healthy_after"] / 2:
        return "initial", "Elb.RegistrationInProgress", "Target registration is in progress"
    if age < S["healthy_after"]:
        return "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"
    if s and s.sick and (fnmatch.fnmatch(tg.name, s.sick) or s.sick == tg.arn):
        return "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
    return "healthy", None, None


def opinion(s, now):
    """What a Classic Load Balancer says of an instance: (state, reason code, description)."""
    if s and s.lifecycle_state == "Terminating":
        return "InService", "N/A", "Instance deregistration currently in progress."
    if s and now - s.balanced_since < S["healthy_after"]:
        return "OutOfService", "ELB", "Instance registration is still in progress."
    if s and s.sick:
        failed = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
        return "OutOfService", "Instance", failed
    return "InService", "N/A", "N/A"


# ── The patches ───────────────────────────────────────────────────────────────────────────────────


def patch(owner, name):
    """Replaces a method of moto's; the original comes as the first argument."""

    def apply(function):
        original = getattr(owner, name, None)
        setattr(owner, name, lambda self, *args, **kwargs: function(original, self, *args, **kwargs))
        return function

    return apply


class Groups(OrderedDict):
    """Stock moto answers an unknown group with an HTML page."""

    def __missing__(self, name):
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


@patch(AutoScalingBackend, "__init__")
def new_backend(original, self, *args, **kwargs):
    original(self, *args, **kwargs)
    self.autoscaling_groups = Groups()
    self.launch_tokens = {}


@patch(InstanceState, "__init__")
def new_member(original, self, *args, **kwargs):
    original(self, *args, **kwargs)
    self.instance.member = self
    self.availability_zone = self.instance._placement.zone  # stock keeps an object that equals nothing
    self.handled, self.activity = set(), None
    self.running_at = self.due = self.in_service_at = 0.0
    self.balanced_since = float("-inf")
    self.sick, self.stuck = None, False


InstanceState.launch_template = property(lambda self: getattr(self.instance, "template_seen", None))


@patch(FakeAutoScalingGroup, "__init__")
def new_group(original, self, *args, **kwargs):
    self.activities, self.cause, self.may_shrink, self.retry_at = [], "", False, 0.0
    self.scaled = 0  # by how much scaling policies have changed desired capacity
    self.desired_capacity = 0
    original(self, *args, **kwargs)
    self.cause = (
        f"At {stamp()} a user request created an AutoScalingGroup changing the desired capacity "
        f"from 0 to {self.desired_capacity}.  "
    )
    if S["age"]:
        for n in range(self.desired_capacity):
            zone = self.availability_zones[n % len(self.availability_zones)]
            # A second apart, oldest first: which one is oldest must not be a matter of luck.
            launch(self, zone, "", age=S["age"] + self.desired_capacity - n)


@patch(FakeAutoScalingGroup, "set_desired_capacity")
def settle_desired(_, self, new_capacity):
    desired = self.min_size if new_capacity is None else new_capacity
    self.may_shrink |= desired < self.desired_capacity
    self.desired_capacity = desired
    self.retry_at = 0.0


@patch(FakeAutoScalingGroup, "update")
def update_group(original, self, **wanted):
    least = self.min_size if wanted["min_size"] is None else wanted["min_size"]
    most = self.max_size if wanted["max_size"] is None else wanted["max_size"]
    desired, old = wanted.pop("desired_capacity"), self.desired_capacity
    if least > most:
        raise ValidationError(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    asked = desired is not None
    if not asked:
        desired = min(max(old, least), most)
    elif not least <= desired <= most:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
        )
    if desired != old:
        self.cause += (
            f"At {stamp()} a user request update of AutoScalingGroup constraints to min: {least}, max: {most}, "
            f"desired: {desired} changing the desired capacity from {old} to {desired}.  "
        )
    self.may_shrink |= asked and desired < len(live(self))
    mixed = self.mixed_instances_policy
    original(self, desired_capacity=desired, **wanted)
    # Stock moto forgets the mixed instances policy in an update that does not repeat it.
    if not any(wanted[key] for key in ("mixed_instances_policy", "launch_template", "launch_config_name")):
        self.mixed_instances_policy = mixed


@patch(AutoScalingBackend, "set_desired_capacity")
def set_desired_capacity(_, self, group_name, desired_capacity):
    group = self.autoscaling_groups[group_name]
    for beyond, word, limit in (
        (desired_capacity > group.max_size, "above max", group.max_size),
        (desired_capacity < group.min_size, "below min", group.min_size),
    ):
        if beyond:
            raise ValidationError(
                f"New SetDesiredCapacity value {desired_capacity} is {word} value {limit} for the AutoScalingGroup."
            )
    if desired_capacity != group.desired_capacity:
        group.cause += (
            f"At {stamp()} a user request explicitly set group desired capacity changing the desired capacity "
            f"from {group.desired_capacity} to {desired_capacity}.  "
        )
    group.may_shrink |= desired_capacity < len(live(group))
    group.set_desired_capacity(desired_capacity)


@patch(AutoScalingBackend, "create_auto_scaling_group")
def create_auto_scaling_group(original, self, name, **wanted):
    if name in self.autoscaling_groups:
        message = f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        raise AutoscalingClientError("AlreadyExists", message)
    return original(self, name=name, **wanted)


@patch(AutoScalingBackend, "delete_auto_scaling_group")
def delete_auto_scaling_group(_, self, group_name):
    group = self.autoscaling_groups[group_name]
    for s in group.instance_states:
        deregister(group, s)
        if s.instance.state != "terminated":
            s.instance.terminate()
    del self.autoscaling_groups[group_name]


@patch(AutoScalingBackend, "terminate_instance")
def terminate_instance(_, self, instance_id, should_decrement):
    found = [(g, s) for g in self.autoscaling_groups.values() for s in g.instance_states if s.instance_id == instance_id]
    if not found:
        raise ValidationError(
            f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )
    group, s = found[0]
    if s.lifecycle_state == "Terminating":
        # Not documented; what matters is that it must not decrement twice.
        message = f"Scaling activity {s.activity['ActivityId']} is in progress and blocks this action"
        raise AutoscalingClientError("ScalingActivityInProgress", message)
    old = group.desired_capacity
    if should_decrement and old - 1 < group.min_size:
        raise ValidationError(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will "
            "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            "group's min size."
        )
    cause = f"At {stamp()} instance {instance_id} was taken out of service in response to a user request"
    if should_decrement:
        group.desired_capacity -= 1
        cause += f", shrinking the capacity from {old} to {old - 1}"
    # Shown as it was when it was answered: the activity goes on.
    return dict(retire(group, s, cause + "."))


@patch(AutoScalingBackend, "put_scaling_policy")
def put_scaling_policy(original, self, name, **wanted):
    self.autoscaling_groups[wanted["as_name"]]
    others = self.policies.get(name)
    if others and others.auto_scaling_group_name != wanted["as_name"]:
        # On AWS each group has names of its own; stock moto would move the other group's policy here.
        raise ValueError(f"moto keeps policies by name alone, and {others.auto_scaling_group_name} has one {name!r}")
    return original(self, name, **wanted)


@patch(AutoScalingBackend, "detach_instances")
def detach_instances(original, self, group_name, instance_ids, should_decrement):
    group = self.autoscaling_groups[group_name]
    for s in group.instance_states:
        if s.instance_id in instance_ids:
            deregister(group, s)
            s.instance.member = None
    return original(self, group_name, instance_ids, should_decrement)


@patch(AutoScalingBackend, "update_attached_target_groups")
def update_attached_target_groups(_, self, group_name):
    """Nothing: registration happens when an instance comes into service, in step()."""


@patch(AutoScalingBackend, "update_attached_elbs")
def update_attached_elbs(_, self, group_name):
    """Nothing: the same for Classic Load Balancers."""


@patch(ELBResponse, "describe_instance_health")
def describe_instance_health(_, self):
    balancer = self.elb_backend.get_load_balancer(self._get_param("LoadBalancerName"))
    members = {s.instance_id: s for g in groups() for s in g.instance_states}
    now = time.monotonic()
    states = []
    for instance_id in balancer.instance_ids:
        state, code, description = opinion(members.get(instance_id), now)
        states.append({"InstanceId": instance_id, "State": state, "ReasonCode": code, "Description": description})
    return ActionResult({"InstanceStates": states})


@patch(ELBv2Backend, "describe_target_health")
def describe_target_health(original, self, target_group_arn, targets):
    found = original(self, target_group_arn, targets)
    foreign = [
        FakeHealthStatus(health.instance_id, port, port, state)
        for health in found
        for port, state in S["foreign_ports"].items()
    ]
    return found + foreign


@patch(AutoScalingBackend, "notify_terminate_instances")
def members_terminated(_, self, instance_ids):
    """Nothing: the next tick sees that they no longer run."""


@patch(ELBv2Backend, "notify_terminate_instances")
def targets_terminated(_, self, instance_ids):
    """Nothing: the same."""


@patch(FakeTargetGroup, "register")
def register_by_hand(original, self, targets):
    original(self, targets)
    for target in targets:
        self.targets[target["Id"]].setdefault("since", time.monotonic())


@patch(FakeTargetGroup, "health_for")
def health_for(original, self, target, ec2_backend):
    if target["Id"] not in self.targets:
        return original(self, target, ec2_backend)
    instance = ec2_backend.get_instance_by_id(target["Id"])
    health = verdict(self, target["Id"], getattr(instance, "member", None), time.monotonic())
    port = self.targets[target["Id"]]["Port"]
    return FakeHealthStatus(target["Id"], port, self.health_check_port, *health)


# ── Actions stock moto lacks ──────────────────────────────────────────────────────────────────────

# Accepted and dropped by stock moto; regend and Terraform read them back.
KEPT = (
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "DefaultInstanceWarmup",
    "InstanceMaintenancePolicy",
    "MaxInstanceLifetime",
)


def keep(original, self):
    answer = original(self)
    group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
    for name in KEPT:
        if (value := self._get_param(name)) is not None:
            setattr(group, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), value)
    return answer


patch(AutoScalingResponse, "create_auto_scaling_group")(keep)
patch(AutoScalingResponse, "update_auto_scaling_group")(keep)


@patch(AutoScalingResponse, "describe_scaling_activities")
def describe_scaling_activities(_, self):
    name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
    asked = [g for g in self.autoscaling_backend.autoscaling_groups.values() if name in (None, g.name)]
    found = [a for g in asked for a in g.activities]
    for f in self._get_param("Filters", []):
        values = f["Values"]
        if f["Name"] == "Status":
            found = [a for a in found if a["StatusCode"] in values]
        elif f["Name"] in ("StartTimeLowerBound", "StartTimeUpperBound"):
            bound = datetime.datetime.fromisoformat(values[0]).astimezone(datetime.timezone.utc).replace(tzinfo=None)
            lower = f["Name"] == "StartTimeLowerBound"
            found = [a for a in found if (a["StartTime"] >= bound if lower else a["StartTime"] <= bound)]
    found = [a for a in found if not ids or a["ActivityId"] in ids]
    found.sort(key=lambda a: a["StartTime"], reverse=True)
    found.sort(key=lambda a: a["EndTime"] is not None)  # those in progress come first
    start, size = int(self._get_param("NextToken") or 0), self._get_int_param("MaxRecords") or 100
    more = str(start + size) if len(found) > start + size else None
    return ActionResult({"Activities": found[start : start + size], "NextToken": more})


@patch(AutoScalingResponse, "describe_instance_refreshes")
def describe_instance_refreshes(_, self):
    name = self._get_param("AutoScalingGroupName")
    self.autoscaling_backend.autoscaling_groups[name]
    filled = [
        {"InstanceRefreshId": str(uuid.uuid4()), "AutoScalingGroupName": name, "StartTime": utc(), **refresh}
        for refresh in S["refreshes"].get(name, [])
    ]
    return ActionResult({"InstanceRefreshes": filled})


@patch(AutoScalingResponse, "launch_instances")
def launch_instances(_, self):
    if S["launch_instances"] == "off":
        raise NotImplementedError("The launch_instances action has not been implemented")
    asked = self._get_params()
    backend = self.autoscaling_backend
    group = backend.autoscaling_groups[asked["AutoScalingGroupName"]]
    unfit = not group.ec2_launch_template or group.warm_pool or mixes_spot(group)
    if S["launch_instances"] == "unsupported" or unfit:
        message = "The LaunchInstances operation is not supported for this Auto Scaling group."
        raise AutoscalingClientError("UnsupportedOperation", message)
    token, count = asked.get("ClientToken", ""), int(asked.get("RequestedCapacity", 0))
    if not re.fullmatch(r"[A-Za-z0-9\-_/]{1,64}", token):
        raise ValidationError(
            f"1 validation error detected: Value '{token}' at 'clientToken' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [A-Za-z0-9\\-_\\/]+"
        )
    if token in backend.launch_tokens:
        before, answer = backend.launch_tokens[token]
        if before != asked:
            message = "The client token was used before with different parameters."
            raise AutoscalingClientError("IdempotentParameterMismatch", message)
        return ActionResult(answer)
    zone = launch_zone(group, asked)
    if count < 1:
        raise ValidationError("RequestedCapacity must be at least 1.")
    members = len(live(group)) if not S["raise_desired"] else group.desired_capacity
    if S["enforce_max"] and members + count > group.max_size:
        raise ValidationError(
            f"Launching {count} instance(s) would exceed max size {group.max_size} of the AutoScalingGroup."
        )
    born, missing = [], 0
    for n in range(count):
        if not has_capacity(zone):
            missing = count - n
            break
        old = group.desired_capacity
        group.desired_capacity += bool(S["raise_desired"])
        # AWS does not document this text.
        cause = f"At {stamp()} a user request explicitly launched an instance"
        if S["raise_desired"]:
            cause += f" changing the desired capacity from {old} to {group.desired_capacity}"
        born.append(launch(group, zone, cause + ".", token))
    where = {
        "InstanceType": group.instance_type,
        "MarketType": "on-demand",
        "SubnetId": subnet_in(group, zone),
        "AvailabilityZone": zone,
    }
    instances = [{**where, "InstanceIds": [s.instance_id for s in born]}] if born else []
    errors = []
    if missing:
        code = "InsufficientInstanceCapacity"
        errors = [{**where, "ErrorCode": code, "ErrorMessage": no_capacity(group, zone)}]
        if asked.get("RetryStrategy") == "retry-with-group-configuration":
            group.desired_capacity += missing
    answer = {
        "AutoScalingGroupName": group.name,
        "ClientToken": token,
        "Instances": instances,
        "Errors": errors,
    }
    backend.launch_tokens[token] = (asked, answer)
    return ActionResult(answer)


def mixes_spot(group):
    shares = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
    percent = int(shares.get("OnDemandPercentageAboveBaseCapacity", 100))
    return percent not in (0, 100) or (percent == 0 and int(shares.get("OnDemandBaseCapacity", 0)) > 0)


def launch_zone(group, asked):
    zones, subnets = list(asked.get("AvailabilityZones") or []), asked.get("SubnetIds") or []
    if subnets:
        zones = [s.availability_zone for s in group.ec2_backend.describe_subnets(subnet_ids=subnets)]
    if not zones and len(group.availability_zones) == 1:
        return group.availability_zones[0]
    if len(zones) != 1:
        raise ValidationError("Exactly one Availability Zone or subnet must be specified for this Auto Scaling group.")
    if zones[0] not in group.availability_zones:
        raise ValidationError(f"The Availability Zone {zones[0]} is not enabled for the Auto Scaling group.")
    return zones[0]


# The documented way to find what a lost LaunchInstances launched.
ec2_utils.filter_dict_attribute_mapping["client-token"] = "client_token"


# ── The observer ──────────────────────────────────────────────────────────────────────────────────


class Watch:
    """What one group's clients went through since the last reset."""

    def __init__(self):
        self.seen = {}
        self.samples, self.overlap, self.changes = 0, False, []

    def add(self, group, now):
        states = [s.lifecycle_state for s in group.instance_states]
        in_use = [tg for tg in target_groups(group) if tg.load_balancer_arns]
        look = {
            "serving": sum(
                s.lifecycle_state == "InService"
                and s.health_status == "Healthy"
                and s.instance.state == "running"
                and all(
                    s.instance_id in tg.targets and verdict(tg, s.instance_id, s, now)[0] == "healthy" for tg in in_use
                )
                and all(
                    s.instance_id in balancer.instance_ids and opinion(s, now)[0] == "InService"
                    for balancer in balancers(group)
                )
                for s in group.instance_states
            ),
            "in_service": states.count("InService"),
            "pending": states.count("Pending"),
            "terminating": states.count("Terminating"),
            "members": len(states) - states.count("Terminating"),
            "present": len(states),
            "desired": group.desired_capacity,
            "min_size": group.min_size,
            "max_size": group.max_size,
            "scaled": group.scaled,
        }
        self.samples += 1
        self.overlap |= bool(look["pending"] and look["terminating"])
        for key, value in look.items():
            low, high = self.seen.get(key, (value, value))
            self.seen[key] = (min(low, value), max(high, value))
        if not self.changes or {**self.changes[-1], "t": 0} != {**look, "t": 0}:
            self.changes.append({**look, "t": time.time()})

    def report(self, with_changes):
        least = {f"min_{key}": low for key, (low, _) in self.seen.items()}
        most = {f"max_{key}": high for key, (_, high) in self.seen.items()}
        most["max_pending_at_once"] = most.pop("max_pending", 0)
        now = {k: v for k, v in self.changes[-1].items() if k != "t"} if self.changes else {}
        told = {**least, **most, "overlap": self.overlap, "samples": self.samples, "now": now}
        return {**told, "changes": self.changes} if with_changes else told


class Faithful(common.Endpoint):
    def __init__(self):
        super().__init__()
        self.watches = {}
        self.routes["/regend/watch"] = self.watch
        self.routes["/regend/watch/reset"] = self.reset_watch
        threading.Thread(target=self.sampler, daemon=True).start()

    def before(self):
        tick()

    def after(self):
        now = time.monotonic()
        for group in groups():
            # A fleet in several regions or accounts needs group names of its own in each.
            self.watches.setdefault(group.name, Watch()).add(group, now)

    def sampler(self):
        while True:
            time.sleep(0.1)
            try:
                with self.lock:
                    tick()
                    self.after()
            except Exception:
                # A fake that has stopped looking must not pass for a quiet one.
                traceback.print_exc()
                os._exit(70)

    def watch(self, body, query):
        self.after()
        return {name: w.report("changes" in query) for name, w in self.watches.items()}

    def reset_watch(self, body, query):
        self.watches.clear()
        return {}

    def setting(self, key, value):
        if key in ("ail", "heal"):
            for s in (s for g in groups() for s in g.instance_states if s.instance_id in value):
                s.sick = "*" if key == "ail" else None
        elif key not in S:
            raise ValueError(f"unknown setting {key!r}; there is {sorted([*S, 'ail', 'heal', *super().settings()])}")
        else:
            S[key] = checked(key, value)

    def settings(self):
        rules = {k: vars(S[k]) for k in ("sick", "stuck") if S[k]}
        return {**super().settings(), **S, **rules, "scalers": [vars(scaler) for scaler in S["scalers"]]}


def checked(key, value):
    if key in ("sick", "stuck"):
        return Rule(value) if value else None
    if key == "scalers":
        return [Scaler(spec) for spec in value]
    if key == "capacity" and isinstance(value, list):
        return {zone: 0 for zone in value}
    if key == "launch_instances" and value not in ("on", "off", "unsupported"):
        raise ValueError("launch_instances is one of on, off, unsupported")
    if type(DEFAULTS[key]) is float and type(value) is int:
        return float(value)
    if type(value) is not type(DEFAULTS[key]):
        raise ValueError(f"{key} takes a {type(DEFAULTS[key]).__name__}, not {value!r}")
    return value


def main():
    parser = common.arguments(__doc__)
    for name in ("boot", "healthy_after", "drain", "age"):
        parser.add_argument("--" + name.replace("_", "-"), type=float, default=S[name], metavar="SECONDS")
    for name in ("sick", "stuck"):
        parser.add_argument("--" + name, type=lambda v: int(v) if v.isdigit() else v, metavar="N|all")
    parser.add_argument("--no-capacity", action="append", default=[], metavar="ZONE")
    parser.add_argument("--no-launch-instances", action="store_true", help="an unknown action: HTTP 500")
    parser.add_argument("--unsupported-launch-instances", action="store_true", help="it answers UnsupportedOperation")
    parser.add_argument("--keep-desired", action="store_true", help="LaunchInstances leaves the desired capacity alone")
    parser.add_argument("--throttle", action="append", default=[], metavar="ACTION|SERVICE=RATE:BURST")
    o = parser.parse_args()
    endpoint = Faithful()
    wanted = {k: getattr(o, k) for k in ("boot", "healthy_after", "drain", "age", "sick", "stuck")}
    wanted |= {"capacity": o.no_capacity, "raise_desired": not o.keep_desired}
    wanted["launch_instances"] = (
        "off" if o.no_launch_instances else "unsupported" if o.unsupported_launch_instances else "on"
    )
    wanted["throttle"] = {
        k: dict(zip(("rate", "burst"), map(float, v.split(":")))) for k, v in (t.split("=") for t in o.throttle)
    }
    endpoint.set(json.dumps(wanted), {})
    common.serve(endpoint, o)


if __name__ == "__main__":
    main()
