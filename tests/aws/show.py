#!/usr/bin/env python3
"""Prints what the endpoint says of a group and its targets as JSON; or changes it as another actor would."""

import argparse
import json

from seed import REGION, client


def show(port, group, region=REGION, account=None):
    asg, elb = (client(service, port, region, account=account) for service in ("autoscaling", "elbv2"))
    found = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not found:
        return None
    g = found[0]
    instances = {
        i["InstanceId"]: {"lifecycle": i["LifecycleState"], "health": i["HealthStatus"], "zone": i["AvailabilityZone"],
                          "targets": []}
        for i in g["Instances"]
    }
    for arn in g.get("TargetGroupARNs", []):
        for t in elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]:
            if t["Target"]["Id"] in instances:
                instances[t["Target"]["Id"]]["targets"].append(t["TargetHealth"]["State"])
    return {"desired": g["DesiredCapacity"], "min": g["MinSize"], "max": g["MaxSize"], "instances": instances,
            "tags": {t["Key"]: t["Value"] for t in g["Tags"]}}


def lose_target_groups(port, group, region, account):
    """Deletes the target groups of a group together with their listeners; the group still names them."""
    asg, elb = (client(service, port, region, account=account) for service in ("autoscaling", "elbv2"))
    found = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
    for arn in found["TargetGroupARNs"]:
        for balancer in elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["LoadBalancerArns"]:
            for listener in elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
                if any(action.get("TargetGroupArn") == arn for action in listener["DefaultActions"]):
                    elb.delete_listener(ListenerArn=listener["ListenerArn"])
        elb.delete_target_group(TargetGroupArn=arn)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--group", default="web")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--account", help="id of another account, through a role in it")
    parser.add_argument("--desired", type=int, help="first set desired capacity")
    parser.add_argument("--suspend", help="first suspend this process")
    parser.add_argument("--tag", help="first set KEY=VALUE")
    parser.add_argument("--lose-target-groups", action="store_true", help="first delete its target groups, still attached")
    o = parser.parse_args()
    asg = client("autoscaling", o.port, o.region, account=o.account)
    if o.desired is not None:
        asg.set_desired_capacity(AutoScalingGroupName=o.group, DesiredCapacity=o.desired)
    if o.suspend:
        asg.suspend_processes(AutoScalingGroupName=o.group, ScalingProcesses=[o.suspend])
    if o.tag:
        key, _, value = o.tag.partition("=")
        asg.create_or_update_tags(Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": False, "ResourceId": o.group,
                                         "ResourceType": "auto-scaling-group"}])
    if o.lose_target_groups:
        lose_target_groups(o.port, o.group, o.region, o.account)
        return print("{}")
    print(json.dumps(show(o.port, o.group, o.region, o.account)))


if __name__ == "__main__":
    main()
