#!/usr/bin/env python3
"""Creates Auto Scaling groups behind a load balancer on a test endpoint, and prints their ids as JSON."""

import argparse
import functools
import json
import sys
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config

REGION = "eu-west-1"


@functools.cache  # making one takes longer than all its calls
def client(service, port, region=REGION, key="test", account=None):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=region,
        **(role_in(account, port) if account else {"aws_access_key_id": key, "aws_secret_access_key": "test"}),
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )


@functools.cache
def role_in(account, port):
    """Credentials in another account: the endpoint keeps the state of each account apart."""
    made = client("sts", port).assume_role(RoleArn=f"arn:aws:iam::{account}:role/seed", RoleSessionName="seed")
    keys = made["Credentials"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"]}


def control(port, path, body=None):
    """Speaks to the server's own side: control(port, "set", {"age": 90000}), control(port, "calls")."""
    data = None if body is None else json.dumps(body).encode()
    # No proxy: an https_proxy in the environment must not see, or break, a request to this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/regend/{path}", data=data, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        raise ValueError(refused.read().decode()) from None


def seed(port, group="web", size=3, minimum=None, maximum=None, target_groups=1, zones=3, count=1, age=None,
         region=REGION, tags=None, protected=False, account=None, configuration=False, classic=0, slow_start=None,
         policies=(), schedules=()):
    ec2, elb, asg = (client(s, port, region, account=account) for s in ("ec2", "elbv2", "autoscaling"))
    unique = uuid.uuid4().hex[:6]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    names = [z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]]
    if zones > len(names):
        raise ValueError(f"{region} has {len(names)} zones, not {zones}")
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{16 * i}.0/20", AvailabilityZone=names[i])["Subnet"]["SubnetId"]
        for i in range(zones)
    ]
    image = ec2.register_image(Name=f"seed-{unique}", Architecture="x86_64", RootDeviceName="/dev/xvda",
                               VirtualizationType="hvm")["ImageId"]
    template = ec2.create_launch_template(
        LaunchTemplateName=f"seed-{unique}", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    source = {"LaunchTemplate": {"LaunchTemplateId": template, "Version": "$Latest"}}
    if configuration:
        asg.create_launch_configuration(LaunchConfigurationName=f"seed-{unique}", ImageId=image, InstanceType="t3.micro")
        source = {"LaunchConfigurationName": f"seed-{unique}"}
    balancer = None
    if target_groups:
        balancer = elb.create_load_balancer(Name=f"seed-{unique}", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]

    before = control(port, "set").get("age")
    if age is not None:
        control(port, "set", {"age": age})
    groups, listener_port = [], 1000
    for n in range(count):
        name = group if count == 1 else f"{group}-{n + 1:02}"
        arns = []
        for k in range(target_groups):
            arn = elb.create_target_group(
                Name=f"{name[:20].rstrip('-')}-{unique}-{k + 1}", Protocol="HTTP", Port=80, VpcId=vpc
            )["TargetGroups"][0]["TargetGroupArn"]
            # A target group that no listener uses is never healthy, on AWS as on faithful.py.
            elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=listener_port,
                                DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}])
            listener_port += 1
            if slow_start is not None:
                elb.modify_target_group_attributes(
                    TargetGroupArn=arn, Attributes=[{"Key": "slow_start.duration_seconds", "Value": str(slow_start)}]
                )
            arns.append(arn)
        names_of_classic = [f"{name[:20].rstrip('-')}-{unique}-c{k + 1}" for k in range(classic)]
        for balancer_name in names_of_classic:
            client("elb", port, region, account=account).create_load_balancer(
                LoadBalancerName=balancer_name, AvailabilityZones=names[:zones],
                Listeners=[{"Protocol": "http", "LoadBalancerPort": 80, "InstancePort": 80}],
            )
        asg.create_auto_scaling_group(
            AutoScalingGroupName=name,
            **source,
            MinSize=size if minimum is None else minimum,
            MaxSize=size * 2 if maximum is None else maximum,
            DesiredCapacity=size,
            VPCZoneIdentifier=",".join(subnets),
            TargetGroupARNs=arns,
            LoadBalancerNames=names_of_classic,
            HealthCheckType="ELB" if arns else "EC2",
            HealthCheckGracePeriod=300,
            NewInstancesProtectedFromScaleIn=protected,
            Tags=[{"Key": k, "Value": v, "PropagateAtLaunch": False, "ResourceId": name,
                   "ResourceType": "auto-scaling-group"} for k, v in (tags or {}).items()],
        )
        for policy in policies:
            # One for each group: moto keeps policies by name alone.
            asg.put_scaling_policy(
                AutoScalingGroupName=name,
                PolicyName=policy if count == 1 else f"{policy}-{n + 1:02}",
                PolicyType="TargetTrackingScaling",
                TargetTrackingConfiguration={
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                    "TargetValue": 65.0,
                },
            )
        for schedule in schedules:
            asg.put_scheduled_update_group_action(AutoScalingGroupName=name, ScheduledActionName=schedule,
                                                  Recurrence="0 20 * * *", DesiredCapacity=size)
        groups.append({"name": name, "target_groups": arns, "classic": names_of_classic})
    if age is not None:
        control(port, "set", {"age": before})

    pages = asg.get_paginator("describe_auto_scaling_groups").paginate()
    found = {g["AutoScalingGroupName"]: g for page in pages for g in page["AutoScalingGroups"]}
    for entry in groups:
        entry["instances"] = [i["InstanceId"] for i in found[entry["name"]]["Instances"]]
    return {"port": port, "region": region, "vpc": vpc, "subnets": subnets, "zones": names[:zones], "image": image,
            "launch_template": template, "load_balancer": balancer, "groups": groups}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--group", default="web", help="name; NAME-01, NAME-02… with --count")
    parser.add_argument("--size", type=int, default=3, help="desired capacity")
    parser.add_argument("--min", type=int, help="min size; default the size")
    parser.add_argument("--max", type=int, help="max size; default twice the size")
    parser.add_argument("--target-groups", type=int, default=1)
    parser.add_argument("--zones", type=int, default=3)
    parser.add_argument("--count", type=int, default=1, help="how many groups")
    parser.add_argument("--age", type=float, help="originals are in service and this many seconds old (faithful.py only)")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--account", help="id of another account, through a role in it")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--protected", action="store_true", help="instances are protected from scale-in")
    parser.add_argument("--launch-configuration", action="store_true", help="the old way, in place of a launch template")
    parser.add_argument("--classic", type=int, default=0, help="how many Classic Load Balancers")
    parser.add_argument("--slow-start", type=int, metavar="SECONDS", help="of each target group")
    parser.add_argument("--policy", action="append", default=[], metavar="NAME", help="a scaling policy that keeps CPU at 65 %%")
    parser.add_argument("--schedule", action="append", default=[], metavar="NAME", help="a scheduled action")
    o = parser.parse_args()
    try:
        made = seed(o.port, o.group, o.size, o.min, o.max, o.target_groups, o.zones, o.count, o.age, o.region,
                    dict(t.partition("=")[::2] for t in o.tag), o.protected, o.account,
                    o.launch_configuration, o.classic, o.slow_start, o.policy, o.schedule)
    except ValueError as mistake:
        sys.exit(f"seed.py: {mistake}")
    print(json.dumps(made))


if __name__ == "__main__":
    main()
