#!/usr/bin/env python3
"""Proves that the patches still change what they are meant to change: run before trusting a wire test."""

import datetime
import json
import pathlib
import subprocess
import sys
import time
import unittest

from botocore.exceptions import ClientError, ConnectionClosedError

from botocore.parsers import ResponseParserError
from seed import client, control, seed

HERE = pathlib.Path(__file__).parent


class Server:
    def __init__(self, program, *flags):
        self.process = subprocess.Popen(
            [sys.executable, HERE / program, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port = json.loads(self.process.stdout.readline())["port"]

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(5)
        self.process.stdout.close()
        return code


def eventually(true, within=5.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.PROGRAM)
        cls.asg, cls.elb, cls.ec2 = (client(s, cls.server.port) for s in ("autoscaling", "elbv2", "ec2"))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def set(self, **values):
        return control(self.server.port, "set", values)

    def get(self, path):
        return control(self.server.port, path)

    def made(self, **wanted):
        name = self._testMethodName[5:].replace("_", "-")
        group = seed(self.server.port, **{"group": name, "size": 3, **wanted})["groups"][0]
        return group["name"], group

    def group(self, name):
        return self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def states(self, name):
        return sorted(i["LifecycleState"] for i in self.group(name)["Instances"])

    def health(self, arn, instance=None):
        targets = {"Targets": [{"Id": instance}]} if instance else {}
        found = self.elb.describe_target_health(TargetGroupArn=arn, **targets)["TargetHealthDescriptions"]
        health = {d["Target"]["Id"]: (d["TargetHealth"]["State"], d["TargetHealth"].get("Reason")) for d in found}
        return health[instance] if instance else health

    def launch(self, name, zone="eu-west-1a", token="t", count=1, **more):
        return self.asg.launch_instances(
            AutoScalingGroupName=name, AvailabilityZones=[zone], RequestedCapacity=count, ClientToken=name + token, **more
        )

    def terminate(self, instance, decrement):
        return self.asg.terminate_instance_in_auto_scaling_group(
            InstanceId=instance, ShouldDecrementDesiredCapacity=decrement
        )["Activity"]

    def refused(self, code, text, call, *args, **kwargs):
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        self.assertIn(text, caught.exception.response["Error"]["Message"])


class Faithful(Case):
    PROGRAM = ("faithful.py", "--boot", "0.4", "--healthy-after", "0.8", "--drain", "1.0")

    def setUp(self):
        self.set(sick=None, stuck=None, capacity={}, launch_instances="on", raise_desired=True, boot=0.4, drop=None,
                 fail=None, throttle=None, scalers=[])

    def test_originals_are_old_balanced_and_serving(self):
        name, made = self.made(size=4, target_groups=2, age=90000)
        self.assertEqual(self.states(name), ["InService"] * 4)
        zones = sorted(i["AvailabilityZone"] for i in self.group(name)["Instances"])
        self.assertEqual(zones, ["eu-west-1a", "eu-west-1a", "eu-west-1b", "eu-west-1c"])
        for arn in made["target_groups"]:
            self.assertEqual(set(self.health(arn).values()), {("healthy", None)})
        seen = self.ec2.describe_instances(InstanceIds=made["instances"][:1])["Reservations"][0]["Instances"][0]
        attached = seen["NetworkInterfaces"][0]["Attachment"]["AttachTime"]
        for born in (seen["LaunchTime"], attached):
            age = (datetime.datetime.now(datetime.timezone.utc) - born).total_seconds()
            self.assertAlmostEqual(age, 90004, delta=5)
        watch = self.get("watch")[name]
        self.assertEqual((watch["min_serving"], watch["max_serving"], watch["overlap"]), (4, 4, False))

    def test_scale_out_boots_registers_and_turns_healthy(self):
        name, made = self.made(age=90000)
        arn = made["target_groups"][0]
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=4)
        new = next(i for i in self.group(name)["Instances"] if i["LifecycleState"] == "Pending")["InstanceId"]
        self.assertEqual(self.health(arn, new), ("unused", "Target.NotRegistered"))
        self.assertTrue(eventually(lambda: self.states(name) == ["InService"] * 4))
        self.assertEqual(self.health(arn, new)[0], "initial")
        self.assertTrue(eventually(lambda: self.health(arn, new) == ("healthy", None)))
        activity = self.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"][0]
        self.assertIn("a user request explicitly set group desired capacity changing the desired capacity from 3 to 4.",
                      activity["Cause"])
        self.assertIn("increasing the capacity from 3 to 4.", activity["Cause"])
        self.assertEqual(activity["StatusCode"], "Successful")

    def test_update_tells_its_constraints_and_scale_in_takes_the_oldest_of_the_fullest_zone(self):
        name, made = self.made(size=4, minimum=1, age=90000)
        self.asg.update_auto_scaling_group(AutoScalingGroupName=name, DesiredCapacity=3)
        states = {i["InstanceId"]: i["LifecycleState"] for i in self.group(name)["Instances"]}
        fullest = [i for i in self.group(name)["Instances"] if i["AvailabilityZone"] == "eu-west-1a"]
        self.assertEqual(states[fullest[0]["InstanceId"]], "Terminating")
        cause = self.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"][0]["Cause"]
        self.assertIn("constraints to min: 1, max: 8, desired: 3 changing the desired capacity from 4 to 3.", cause)

    def test_terminate_drains_then_goes(self):
        name, made = self.made(minimum=1, age=90000)
        arn, old = made["target_groups"][0], made["instances"][0]
        activity = self.terminate(old, True)
        self.assertIn("in response to a user request, shrinking the capacity from 3 to 2.", activity["Cause"])
        self.assertEqual(activity["StatusCode"], "WaitingForELBConnectionDraining")
        self.assertEqual(self.states(name), ["InService", "InService", "Terminating"])
        self.assertEqual(self.health(arn, old), ("draining", "Target.DeregistrationInProgress"))
        self.refused("ScalingActivityInProgress", "is in progress", self.terminate, old, True)
        self.assertTrue(eventually(lambda: len(self.states(name)) == 2))
        self.assertNotIn(old, self.health(arn))
        gone = self.ec2.describe_instances(InstanceIds=[old])["Reservations"][0]["Instances"][0]
        self.assertEqual(gone["State"]["Name"], "terminated")
        self.assertEqual(self.group(name)["DesiredCapacity"], 2)
        self.refused("ValidationError", "Instance Id not found - No managed instance found for instance ID: " + old,
                     self.terminate, old, False)

    def test_terminate_without_decrement_is_replaced(self):
        name, made = self.made(age=90000)
        self.terminate(made["instances"][0], False)
        self.assertEqual(self.states(name), ["InService", "InService", "Pending", "Terminating"])
        self.assertEqual(self.group(name)["DesiredCapacity"], 3)
        watch = self.get("watch")[name]
        self.assertEqual((watch["overlap"], watch["min_serving"], watch["max_pending_at_once"]), (True, 2, 1))

    def test_an_instance_that_ec2_terminates_is_replaced(self):
        name, made = self.made(age=90000)
        self.ec2.terminate_instances(InstanceIds=made["instances"][:1])
        self.assertTrue(eventually(lambda: self.states(name) == ["InService"] * 3))
        self.assertNotIn(made["instances"][0], [i["InstanceId"] for i in self.group(name)["Instances"]])

    def test_limits_and_unknown_names_are_refused(self):
        name, made = self.made(maximum=3, age=90000)
        desire = self.asg.set_desired_capacity
        self.refused("ValidationError", "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup.",
                     desire, AutoScalingGroupName=name, DesiredCapacity=4)
        self.refused("ValidationError", "is below min value 3", desire, AutoScalingGroupName=name, DesiredCapacity=2)
        self.refused("ValidationError", "AutoScalingGroup name not found", desire, AutoScalingGroupName="nobody",
                     DesiredCapacity=2)
        self.refused("ValidationError", "Desired capacity:5 must be between the specified min size:3 and max size:4",
                     self.asg.update_auto_scaling_group, AutoScalingGroupName=name, DesiredCapacity=5, MaxSize=4)
        self.refused("ValidationError", "Currently, desiredSize equals minSize (3). Terminating instance without",
                     self.terminate, made["instances"][0], True)
        self.refused("ValidationError", "would exceed max size", self.launch, name)
        self.refused("ValidationError", "not found", self.asg.suspend_processes, AutoScalingGroupName="nobody")

    def test_a_lowered_max_size_takes_desired_with_it(self):
        name, _ = self.made(minimum=1, age=90000)
        self.asg.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=2, DefaultInstanceWarmup=7)
        group = self.group(name)
        self.assertEqual((group["DesiredCapacity"], group["DefaultInstanceWarmup"]), (2, 7))
        self.assertIn("Terminating", self.states(name))
        self.asg.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=3, DesiredCapacity=3)
        self.assertEqual(self.states(name).count("Pending"), 1)

    def test_elb_health_checks_replace_after_the_grace_period(self):
        name, made = self.made(age=90000)
        self.set(ail=made["instances"][:1])
        time.sleep(0.3)
        self.assertNotIn("Terminating", self.states(name))
        self.asg.update_auto_scaling_group(AutoScalingGroupName=name, HealthCheckGracePeriod=0)
        self.assertEqual(self.states(name), ["InService", "InService", "Pending", "Terminating"])

    def test_launch_instances(self):
        name, made = self.made(age=90000)
        answer = self.launch(name, "eu-west-1b", "one")
        new = answer["Instances"][0]["InstanceIds"][0]
        self.assertEqual(answer["Instances"][0]["AvailabilityZone"], "eu-west-1b")
        self.assertEqual(answer["Errors"], [])
        again = self.launch(name, "eu-west-1b", "one")
        self.assertEqual(again["Instances"], answer["Instances"])
        self.assertEqual(self.group(name)["DesiredCapacity"], 4)
        self.refused("IdempotentParameterMismatch", "token", self.launch, name, "eu-west-1a", "one")
        self.refused("ValidationError", "clientToken", self.launch, name, token="a:b")
        self.refused("ValidationError", "not enabled", self.launch, name, "eu-west-1z", "two")
        found = self.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [name + "one"]}])
        self.assertEqual(found["Reservations"][0]["Instances"][0]["InstanceId"], new)
        self.assertTrue(eventually(lambda: self.states(name) == ["InService"] * 4))

    def test_launch_instances_may_leave_desired_alone(self):
        name, _ = self.made(age=90000)
        self.set(raise_desired=False)
        self.launch(name)
        time.sleep(0.3)
        self.assertEqual((self.group(name)["DesiredCapacity"], len(self.states(name))), (3, 4))

    def test_launch_instances_without_capacity(self):
        name, _ = self.made(age=90000)
        self.set(capacity={"eu-west-1a": 1, "eu-west-1b": 0})
        answer = self.launch(name, "eu-west-1a", count=2)
        self.assertEqual(len(answer["Instances"][0]["InstanceIds"]), 1)
        self.assertEqual(answer["Errors"][0]["ErrorCode"], "InsufficientInstanceCapacity")
        self.assertEqual(self.launch(name, "eu-west-1b", "b")["Instances"], [])
        self.assertEqual(self.group(name)["DesiredCapacity"], 4)
        self.set(capacity=["eu-west-1a", "eu-west-1b", "eu-west-1c"])
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=5)
        activity = self.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        self.assertIn("We currently do not have sufficient t3.micro capacity",
                      next(a for a in activity if a["StatusCode"] == "Failed")["StatusMessage"])

    def test_launch_instances_may_be_missing_or_unsupported(self):
        name, _ = self.made(age=90000)
        self.set(launch_instances="off")
        with self.assertRaises(ResponseParserError) as caught:
            self.launch(name)
        self.assertIn("Internal Server Error", str(caught.exception))
        self.set(launch_instances="unsupported")
        self.refused("UnsupportedOperation", "not supported", self.launch, name)

    def test_launch_instances_is_unsupported_for_a_mixed_group(self):
        name, _ = self.made(age=90000)
        template = {"LaunchTemplateId": self.group(name)["LaunchTemplate"]["LaunchTemplateId"], "Version": "$Latest"}
        policy = {
            "LaunchTemplate": {"LaunchTemplateSpecification": template},
            "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 50},
        }
        self.asg.create_auto_scaling_group(
            AutoScalingGroupName="mixed", MixedInstancesPolicy=policy, MinSize=1, MaxSize=4,
            AvailabilityZones=["eu-west-1a"],
        )
        self.asg.update_auto_scaling_group(AutoScalingGroupName="mixed", MaxSize=5)
        self.assertEqual(self.group("mixed")["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
                         ["LaunchTemplateId"], template["LaunchTemplateId"])
        self.refused("UnsupportedOperation", "not supported", self.launch, "mixed")

    def test_sick_in_one_target_group(self):
        name, made = self.made(target_groups=2, age=90000)
        self.set(sick={"next": 1, "group": name, "target_group": "*-2"})
        new = self.launch(name)["Instances"][0]["InstanceIds"][0]
        one, two = made["target_groups"]
        self.assertTrue(eventually(lambda: self.health(two, new) == ("unhealthy", "Target.FailedHealthChecks")))
        self.assertEqual(self.health(one, new), ("healthy", None))
        well = self.launch(name, token="u")["Instances"][0]["InstanceIds"][0]
        self.assertTrue(eventually(lambda: self.health(two, well) == ("healthy", None)))
        self.assertEqual(self.get("watch")[name]["now"]["serving"], 4)
        self.set(ail=[well], heal=[new])
        self.assertEqual((self.health(two, well)[0], self.health(two, new)[0]), ("unhealthy", "healthy"))

    def test_stuck_in_pending_and_can_be_terminated(self):
        name, _ = self.made(age=90000)
        self.set(stuck=1)
        new = self.launch(name)["Instances"][0]["InstanceIds"][0]
        time.sleep(0.8)
        self.assertEqual(self.states(name), ["InService"] * 3 + ["Pending"])
        self.terminate(new, True)
        self.assertTrue(eventually(lambda: self.states(name) == ["InService"] * 3))
        activities = self.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        self.assertEqual([a["StatusCode"] for a in activities], ["Successful", "Cancelled"])

    def test_a_new_template_version_is_what_new_instances_have(self):
        name, made = self.made(age=90000)
        template = self.group(name)["LaunchTemplate"]["LaunchTemplateId"]
        image = self.ec2.register_image(Name=name, RootDeviceName="/dev/xvda")["ImageId"]
        self.ec2.create_launch_template_version(
            LaunchTemplateId=template, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
        )
        new = self.launch(name)["Instances"][0]["InstanceIds"][0]
        versions = {i["InstanceId"]: i["LaunchTemplate"]["Version"] for i in self.group(name)["Instances"]}
        self.assertEqual((versions[made["instances"][0]], versions[new]), ("1", "2"))
        seen = self.ec2.describe_instances(InstanceIds=[new])["Reservations"][0]["Instances"][0]
        self.assertEqual(seen["ImageId"], image)
        self.assertIn({"Key": "aws:autoscaling:groupName", "Value": name}, seen["Tags"])

    def test_suspended_launch_does_not_launch_and_protection_is_honoured(self):
        name, _ = self.made(minimum=1, age=90000, protected=True)
        self.asg.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=4)
        self.assertEqual(len(self.states(name)), 3)
        self.asg.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
        self.assertEqual(len(self.states(name)), 4)
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
        self.assertNotIn("Terminating", self.states(name))

    def test_a_target_group_without_a_listener_is_unused(self):
        name, made = self.made(age=90000)
        arn = made["target_groups"][0]
        vpc = self.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["VpcId"]
        idle = self.elb.create_target_group(Name="idle", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
        self.asg.attach_load_balancer_target_groups(
            AutoScalingGroupName=name, TargetGroupARNs=[idle["TargetGroupArn"]]
        )
        self.assertEqual(set(self.health(idle["TargetGroupArn"]).values()), {("unused", "Target.NotInUse")})

    def test_a_classic_load_balancer_has_an_opinion(self):
        name, made = self.made(target_groups=0, classic=1, age=90000)
        elb, balancer = client("elb", self.server.port), made["classic"][0]
        states = lambda: {s["InstanceId"]: (s["State"], s["Description"])
                          for s in elb.describe_instance_health(LoadBalancerName=balancer)["InstanceStates"]}
        self.assertEqual(set(states().values()), {("InService", "N/A")})
        new = self.launch(name)["Instances"][0]["InstanceIds"][0]
        self.assertTrue(eventually(lambda: states().get(new, "")[0:1] == ("OutOfService",)))
        self.assertTrue(eventually(lambda: states()[new] == ("InService", "N/A")))
        self.terminate(new, True)
        self.assertEqual(states()[new], ("InService", "Instance deregistration currently in progress."))
        self.assertTrue(eventually(lambda: new not in states()))

    def test_others_register_further_ports(self):
        name, made = self.made(size=1, age=90000)
        self.addCleanup(self.set, foreign_ports={})
        self.set(foreign_ports={"32768": "unhealthy"})
        found = self.elb.describe_target_health(TargetGroupArn=made["target_groups"][0])["TargetHealthDescriptions"]
        self.assertEqual([(t["Target"]["Port"], t["TargetHealth"]["State"]) for t in found],
                         [(80, "healthy"), (32768, "unhealthy")])

    def test_standby_leaves_the_target_group(self):
        name, made = self.made(minimum=1, age=90000)
        one, ids = made["target_groups"][0], made["instances"][:1]
        self.asg.enter_standby(AutoScalingGroupName=name, InstanceIds=ids, ShouldDecrementDesiredCapacity=True)
        self.assertEqual(len(self.health(one)), 2)
        self.asg.exit_standby(AutoScalingGroupName=name, InstanceIds=ids)
        self.assertEqual(len(self.health(one)), 3)
        self.assertEqual(self.group(name)["DesiredCapacity"], 3)

    def test_instance_refreshes(self):
        name, _ = self.made(age=90000)
        self.assertEqual(self.asg.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"], [])
        self.set(refreshes={name: [{"Status": "InProgress", "PercentageComplete": 10}]})
        found = self.asg.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"]
        self.assertEqual(found[0]["Status"], "InProgress")

    def test_throttling(self):
        self.set(throttle={"autoscaling": {"rate": 1, "burst": 2}, "ec2": {"rate": 0, "burst": 0}})
        self.asg.describe_auto_scaling_groups()
        self.asg.describe_scaling_activities()
        self.refused("Throttling", "Rate exceeded", self.asg.describe_auto_scaling_groups)
        self.refused("RequestLimitExceeded", "limit", self.ec2.describe_vpcs)
        self.assertEqual(self.get("refused")["DescribeVpcs"], 1)

    def test_throttling_at_random(self):
        self.set(throttle={"autoscaling": {"chance": 0.4}})
        for _ in range(100):
            try:
                self.asg.describe_auto_scaling_groups()
            except ClientError as refusal:
                self.assertEqual(refusal.response["Error"]["Code"], "Throttling")
        self.assertAlmostEqual(self.get("refused")["DescribeAutoScalingGroups"], 40, delta=15)

    def test_a_dropped_answer_leaves_the_effect(self):
        name, _ = self.made(age=90000)
        self.set(drop={"LaunchInstances": 1}, fail={"SetDesiredCapacity": {"code": "ResourceContention", "status": 500}})
        before = time.monotonic()
        with self.assertRaises(ConnectionClosedError):
            self.launch(name)
        self.assertLess(time.monotonic() - before, 2)
        self.assertEqual(len(self.states(name)), 4)
        again = self.launch(name)
        self.assertEqual((len(again["Instances"][0]["InstanceIds"]), len(self.states(name))), (1, 4))
        self.refused("ResourceContention", "", self.asg.set_desired_capacity, AutoScalingGroupName=name,
                     DesiredCapacity=3)

    def test_the_watch_sees_a_dip(self):
        name, made = self.made(minimum=1, age=90000)
        self.get("watch/reset")
        time.sleep(0.3)
        self.assertGreaterEqual(self.get("watch")[name]["samples"], 2)
        self.terminate(made["instances"][0], True)
        watch = self.get("watch?changes")[name]
        self.assertEqual((watch["min_serving"], watch["max_members"], watch["max_desired"]), (2, 3, 3))
        self.assertEqual(watch["changes"][-1]["terminating"], 1)

    def scale(self, name, **wanted):
        self.set(scalers=[{"group": name, "policy": f"cpu-{name}", "every": 0.1, **wanted}])

    def causes(self, name):
        return [a["Cause"] for a in self.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]]

    def scaled(self, **wanted):
        return self.made(policies=[f"cpu-{self._testMethodName[5:].replace('_', '-')}"], age=90000, **wanted)[0]

    def test_a_policy_scales_in_to_min_size_and_no_further(self):
        name = self.scaled(minimum=2)
        found = self.asg.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
        self.assertEqual([(p["PolicyName"], p["PolicyType"]) for p in found],
                         [(f"cpu-{name}", "TargetTrackingScaling")])
        self.assertEqual(found[0]["TargetTrackingConfiguration"]["TargetValue"], 65)
        oldest = self.group(name)["Instances"][0]["InstanceId"]
        self.scale(name, add=-1)
        self.assertTrue(eventually(lambda: self.states(name) == ["InService", "InService"]))
        self.assertNotIn(oldest, [i["InstanceId"] for i in self.group(name)["Instances"]])
        alarm = rf"TargetTracking-{name}-AlarmLow-[0-9a-f-]+"
        at = r"At \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        self.assertRegex(self.causes(name)[0], rf"^{at} a monitor alarm {alarm} in state ALARM triggered policy "
                         rf"cpu-{name} changing the desired capacity from 3 to 2\.  {at} an instance was taken out of "
                         rf"service in response to a difference between desired and actual capacity, shrinking the "
                         rf"capacity from 3 to 2\.  {at} instance {oldest} was selected for termination\.$")
        time.sleep(0.3)
        self.assertEqual((self.group(name)["DesiredCapacity"], len(self.causes(name))), (2, 1))

    def test_a_policy_scales_out_to_max_size_or_so_many_times(self):
        name = self.scaled(size=2, maximum=5)
        self.scale(name, add=1, times=2)
        self.assertTrue(eventually(lambda: self.group(name)["DesiredCapacity"] == 4))
        time.sleep(0.3)
        self.assertEqual(self.group(name)["DesiredCapacity"], 4)
        self.assertIn("AlarmHigh", self.causes(name)[0])
        self.assertIn("changing the desired capacity from 3 to 4.", self.causes(name)[0])
        self.assertEqual(self.set()["scalers"][0]["changes"], 2)
        self.scale(name, add=1)
        self.assertTrue(eventually(lambda: self.group(name)["DesiredCapacity"] == 5))
        time.sleep(0.3)
        self.assertEqual(self.set()["scalers"][0]["changes"], 1)
        watch = self.get("watch")[name]
        self.assertEqual((watch["now"]["scaled"], watch["max_desired"]), (3, 5))

    def test_no_policy_acts_while_alarms_are_suspended_or_after_it_is_deleted(self):
        name = self.scaled(minimum=1)
        self.asg.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["AlarmNotification"])
        self.scale(name, add=-1)
        time.sleep(0.3)
        self.assertEqual(self.group(name)["DesiredCapacity"], 3)
        self.asg.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["AlarmNotification"])
        self.assertTrue(eventually(lambda: self.group(name)["DesiredCapacity"] == 2))
        self.asg.delete_policy(AutoScalingGroupName=name, PolicyName=f"cpu-{name}")
        desired = self.group(name)["DesiredCapacity"]
        time.sleep(0.3)
        self.assertEqual(self.group(name)["DesiredCapacity"], desired)

    def test_limits_that_move_take_desired_with_them_as_far_as_they_must(self):
        name, _ = self.made(size=2, maximum=10, age=90000)
        update = lambda **sizes: self.asg.update_auto_scaling_group(AutoScalingGroupName=name, **sizes)
        sizes = lambda: tuple(self.group(name)[key] for key in ("MinSize", "DesiredCapacity", "MaxSize"))
        update(MinSize=3, DesiredCapacity=3, MaxSize=11)
        self.assertEqual(sizes(), (3, 3, 11))
        self.assertEqual(self.states(name), ["InService", "InService", "Pending"])
        self.assertIn("a user request update of AutoScalingGroup constraints to min: 3, max: 11, desired: 3 changing "
                      "the desired capacity from 2 to 3.", self.causes(name)[0])
        update(MinSize=4)
        self.assertEqual(sizes(), (4, 4, 11))
        self.refused("ValidationError", "Desired capacity:2 must be between the specified min size:4 and max size:11",
                     update, DesiredCapacity=2)
        update(MinSize=2)
        self.assertEqual(sizes(), (2, 4, 11))
        self.refused("ValidationError", "Max bound, 1, must be greater than or equal to min bound, 2", update, MaxSize=1)

    def test_what_changed_desired_capacity_before_is_told_too(self):
        name, _ = self.made(age=90000)
        self.asg.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=4)
        self.asg.update_auto_scaling_group(AutoScalingGroupName=name, DesiredCapacity=5)
        self.asg.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
        self.assertEqual(self.states(name).count("Pending"), 2)
        for words in ("from 3 to 4.", "from 4 to 5."):
            self.assertIn("changing the desired capacity " + words, self.causes(name)[-1])

    def test_a_young_group_starts_pending(self):
        name, made = self.made()
        self.assertEqual(set(self.states(name)), {"Pending"})
        self.assertTrue(eventually(lambda: set(self.health(made["target_groups"][0]).values()) == {("healthy", None)}))

    def test_a_mistyped_setting_is_refused(self):
        for wrong in ({"botched": 1}, {"boot": "long"}, {"sick": {"grp": 1}}, {"scalers": [{"grp": 1}]}):
            with self.assertRaises(ValueError):
                self.set(**wrong)

    def test_sixty_groups_in_a_few_seconds(self):
        before = time.monotonic()
        made = seed(self.server.port, "fleet", size=4, count=60, age=90000)
        self.assertLess(time.monotonic() - before, 8)
        self.assertEqual([len(g["instances"]) for g in made["groups"]], [4] * 60)


class Stock(Case):
    PROGRAM = ("stock.py",)

    def test_it_counts_and_logs(self):
        name, made = self.made(size=2)
        self.get("calls/reset")
        self.group(name)
        self.group(name)
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
        self.assertEqual(self.get("calls"), {"DescribeAutoScalingGroups": 2, "SetDesiredCapacity": 1})
        log = self.get("log")
        self.assertEqual([e["action"] for e in log], ["SetDesiredCapacity"])
        self.assertEqual(log[0]["params"]["DesiredCapacity"], "3")
        self.assertEqual(self.states(name), ["InService"] * 3)

    def test_it_tells_of_groups_and_changes_a_tag_unseen(self):
        name, made = self.made(size=1, tags={"owner": "us"})
        self.get("calls/reset")
        control(self.server.port, "tag", {"group": name, "key": "owner", "value": "them"})
        group = self.get("groups")[name]
        self.assertEqual((group["desired"], group["tags"]), (1, {"owner": "them"}))
        self.assertEqual(list(group["instances"]), made["instances"])
        self.assertEqual(self.get("log"), [])
        with self.assertRaises(ValueError):
            control(self.server.port, "tag", {"group": name, "key": "none", "value": "them"})

    def test_unknown_actions_are_as_stock(self):
        name, _ = self.made(size=1)
        with self.assertRaises(ResponseParserError):
            self.launch(name)

    def test_it_ends_with_its_parent_however_that_dies(self):
        code = "import selftest, time; s = selftest.Server('stock.py'); print(s.process.pid, flush=True); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-B", "-c", code], cwd=HERE, stdout=subprocess.PIPE) as parent:
            pid = int(parent.stdout.readline())
            parent.kill()
        stat = pathlib.Path(f"/proc/{pid}/stat")
        # An orphan whose init does not reap stays as a zombie; that is gone too.
        self.assertTrue(eventually(lambda: not stat.exists() or stat.read_text().split()[2] == "Z"))


if __name__ == "__main__":
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = unittest.TextTestRunner(verbosity=1).run(tests)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(bool(failed))
