//! The promises, each in scenarios that a person can read: what is given, what happens meanwhile, what is kept.
//! Every scenario is watched by the checkers of `sim::checkers` from its first call to its last.

use regend::domain::action::{Action, Outcome};
use regend::domain::entry::{Kind, LeftWhy, Trigger};
use regend::domain::policy::{Policy, Share, Treatment};
use regend::domain::span::Span;
use regend::shell::fleet::Ended;
use regend::shell::rehearsal::Step;
use regend::sim::event::{Event, Which};
use regend::sim::fault::Fault;
use regend::sim::group::Shape;
use regend::sim::nature::{Direct, Image, Nature};

use crate::scene::{Scene, policy, shape};

fn plain() -> Scene {
    Scene::new(shape(2, 4, 10), Nature::default(), policy())
}

fn with(nature: Nature) -> Scene {
    Scene::new(shape(2, 4, 10), nature, policy())
}

fn under(policy: Policy) -> Scene {
    Scene::new(shape(2, 4, 10), Nature::default(), policy)
}

mod size {
    use super::*;

    #[test]
    fn four_are_replaced_one_by_one_and_four_always_serve() {
        let scene = plain().run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members()), (4, 5));
        assert_eq!((scene.launched(), scene.count("TerminateInstanceInAutoScalingGroup")), (4, 4));
        assert_eq!((scene.count("UpdateAutoScalingGroup"), scene.count("SetDesiredCapacity")), (0, 0));
    }

    #[test]
    fn at_max_size_it_is_raised_and_put_back() {
        let scene = Scene::new(shape(4, 4, 4), Nature::default(), policy()).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members()), (4, 5));
        assert_eq!(scene.moments().iter().map(|m| m.max).max(), Some(5));
    }

    #[test]
    fn a_single_instance_never_leaves_the_group_without_one() {
        let scene = Scene::new(shape(1, 1, 1), Nature::default(), policy()).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (1, 2, 1));
    }

    #[test]
    fn an_empty_group_is_done_at_once_and_nothing_is_called() {
        let scene = Scene::new(shape(0, 0, 0), Nature::default(), policy()).run().expect(Outcome::Completed);
        assert!(scene.rehearsal.world.borrow().history.calls.is_empty());
    }

    #[test]
    fn two_target_groups_must_both_call_it_healthy() {
        let shape = Shape { target_groups: vec![true, true], ..shape(2, 4, 10) };
        let scene = Scene::new(shape, Nature { health: (5, 90), ..Nature::default() }, policy()).run();
        assert_eq!(scene.expect(Outcome::Completed).least_serving(), 4);
    }

    #[test]
    fn a_target_group_without_a_listener_is_waived() {
        let shape = Shape { target_groups: vec![true, false], ..shape(2, 4, 10) };
        let scene = Scene::new(shape, Nature::default(), policy()).run().expect(Outcome::Completed);
        let opened = scene.entries(Kind::RegenerationOpened);
        let waived = opened.first().and_then(|e| e.opened.as_ref()).map(|o| o.waived.clone());
        assert_eq!(waived, Some(vec!["web-2".to_owned()]));
    }

    #[test]
    fn without_target_groups_auto_scaling_and_ec2_judge() {
        let shape = Shape { target_groups: vec![], ..shape(2, 4, 10) };
        let scene = Scene::new(shape, Nature::default(), policy()).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members()), (4, 5));
    }

    #[test]
    fn a_surge_of_three_over_twelve_is_three_abreast() {
        let policy = Policy { max_surge: Share::Count(3), ..policy() };
        let one_by_one = Scene::new(shape(4, 12, 20), Nature::default(), super::policy()).run();
        let scene = Scene::new(shape(4, 12, 20), Nature::default(), policy).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (12, 15, 12));
        assert!(scene.took() * 2 < one_by_one.took(), "{} and {}", scene.took(), one_by_one.took());
    }

    #[test]
    fn a_drain_overlaps_the_next_launch() {
        let policy = Policy { drain_timeout: Span::hours(2), ..policy() };
        let nature = Nature { drain: 3600, ..Nature::default() };
        let scene = Scene::new(shape(2, 4, 10), nature, policy).run().expect(Outcome::Completed);
        assert!(scene.took() < Span::minutes(60 + 15), "{}", scene.took());
    }

    #[test]
    fn a_percentage_of_the_group_is_rounded_up() {
        let policy = Policy { max_surge: Share::Percent(10), ..policy() };
        let scene = Scene::new(shape(4, 12, 20), Nature::default(), policy).run().expect(Outcome::Completed);
        assert_eq!(scene.most_members(), 14);
    }
}

mod failure {
    use super::*;

    /// Half of the old ones are still there and serve, and everything is handed back.
    #[track_caller]
    fn stops(scene: Scene, launches: usize) {
        let scene = scene.expect(Outcome::Failed);
        assert_eq!((scene.launched(), scene.least_serving()), (launches, 4), "{}", scene.trace.lines);
        let old = scene
            .rehearsal
            .world
            .borrow()
            .group(&scene.key)
            .map(|g| g.serving().filter(|i| i.born < scene.start).count());
        assert_eq!(old, Some(4));
        let closed = scene.entries(Kind::RegenerationClosed);
        assert_eq!(closed.first().map(|e| e.left.iter().filter(|l| l.why == LeftWhy::NotReached).count()), Some(4));
    }

    #[test]
    fn an_image_that_never_serves_stops_at_the_second() {
        stops(with(Nature { image: Image::NeverHealthy, ..Nature::default() }).run(), 2);
    }

    #[test]
    fn an_image_that_never_boots_stops_at_the_second() {
        stops(with(Nature { image: Image::NeverInService, ..Nature::default() }).run(), 2);
    }

    #[test]
    fn an_image_that_dies_stops_at_the_second_although_the_group_replaces_it_itself() {
        // The second was the group's own: the first died, and desired capacity was still raised for it.
        stops(with(Nature { image: Image::Dies(5), ..Nature::default() }).run(), 1);
    }

    #[test]
    fn an_image_that_fails_elb_checks_stops_although_the_group_replaces_it_itself() {
        let nature = Nature { image: Image::NeverHealthy, elb_checks: Some(60), ..Nature::default() };
        stops(with(nature).run(), 1);
    }

    #[test]
    fn no_failure_allowed_means_one_launch() {
        let policy = Policy { max_failures: 0, ..policy() };
        let nature = Nature { image: Image::NeverHealthy, ..Nature::default() };
        stops(Scene::new(shape(2, 4, 10), nature, policy).run(), 1);
    }

    #[test]
    fn three_abreast_fail_together_and_no_more_come() {
        let policy = Policy { max_surge: Share::Count(3), ..policy() };
        let nature = Nature { image: Image::NeverHealthy, ..Nature::default() };
        stops(Scene::new(shape(2, 4, 10), nature, policy).run(), 3);
    }

    #[test]
    fn a_failed_replacement_is_retired_and_named_with_its_target_group() {
        let scene = with(Nature { image: Image::NeverHealthy, ..Nature::default() }).run();
        let failed = scene.entries(Kind::InstanceFailed);
        let first = failed.first().map(|e| (e.code.clone(), e.error.clone()));
        let says = "unhealthy (Target.FailedHealthChecks) in target group web for more than 10m";
        assert_eq!(first, Some((Some("Target.FailedHealthChecks".into()), Some(says.into()))));
    }

    #[test]
    fn a_canary_is_watched_before_the_rest() {
        let policy = Policy { max_surge: Share::Count(4), canary: 1, canary_bake: Span::minutes(30), ..policy() };
        let scene = under(policy).run().expect(Outcome::Completed);
        let launched = scene.entries(Kind::LaunchAccepted);
        assert_eq!(launched.iter().map(|e| e.instances.len()).collect::<Vec<_>>().first(), Some(&1));
        let gap = launched.get(1).zip(launched.first()).map(|(b, a)| Span::between(a.t, b.t));
        assert!(gap.is_some_and(|gap| gap >= Span::minutes(30)), "{gap:?}");
    }
}

mod others {
    use super::*;

    #[test]
    fn an_old_instance_that_dies_is_replaced_by_the_group_and_not_again() {
        let scene = plain().at(150, Event::Kill(Which::Oldest)).run().expect(Outcome::Completed);
        assert_eq!((scene.launched(), scene.least_serving()), (3, 3), "{}", scene.trace.lines);
    }

    #[test]
    fn an_old_instance_that_dies_at_the_end_leaves_a_surplus_that_is_given_back() {
        for second in (0..520).step_by(7) {
            let scene = plain().at(second, Event::Kill(Which::Oldest)).run().expect(Outcome::Completed);
            assert!(scene.launched() <= 4);
        }
    }

    #[test]
    fn a_fresh_instance_that_dies_counts_as_a_failure() {
        let scene = plain().at(120, Event::Kill(Which::Newest)).run().expect(Outcome::Completed);
        assert_eq!(scene.entries(Kind::InstanceFailed).len(), 1, "{}", scene.trace.lines);
    }

    #[test]
    fn scaled_out_half_way_the_new_wish_is_kept() {
        for second in (0..520).step_by(13) {
            let scene = plain().at(second, Event::SetDesired(7)).run().expect(Outcome::Completed);
            assert_eq!(scene.moments().last().map(|m| m.desired), Some(7));
        }
    }

    #[test]
    fn scaled_in_half_way_the_new_wish_is_kept() {
        for second in (0..520).step_by(13) {
            let scene = plain().at(second, Event::SetDesired(3)).run().expect(Outcome::Completed);
            assert_eq!(scene.moments().last().map(|m| m.desired), Some(3), "{}", scene.trace.lines);
        }
    }

    #[test]
    fn scaled_to_what_the_surplus_made_it_the_surplus_is_theirs() {
        for second in (0..520).step_by(13) {
            let scene = plain().at(second, Event::Scale(1)).run().expect(Outcome::Completed);
            assert!(scene.least_serving() >= 4);
        }
    }

    #[test]
    fn scaled_to_zero_everything_is_over() {
        let scene = Scene::new(shape(0, 4, 10), Nature::default(), policy());
        scene.at(100, Event::SetDesired(0)).run().expect(Outcome::Completed);
    }

    #[test]
    fn a_max_size_that_somebody_sets_stays() {
        let scene = Scene::new(shape(1, 4, 4), Nature::default(), policy());
        let scene = scene.at(100, Event::SetMax(9)).run().expect(Outcome::Completed);
        assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 9)));
    }

    #[test]
    fn a_max_size_that_somebody_puts_back_takes_the_surplus_and_nothing_else() {
        for second in (0..520).step_by(13) {
            let scene = Scene::new(shape(1, 4, 4), Nature::default(), policy());
            let scene = scene.at(second, Event::SetMax(4)).run().expect(Outcome::Completed);
            assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 4)));
        }
    }

    #[test]
    fn a_suspended_process_holds_it_until_it_is_resumed() {
        for process in ["Launch", "Terminate", "AddToLoadBalancer"] {
            let scene =
                plain().at(60, Event::Suspend(process)).at(3600, Event::Resume).run().expect(Outcome::Completed);
            let held = scene.entries(Kind::RegenerationHeld);
            assert!(held.iter().any(|e| e.code.as_deref() == Some("suspended")), "{}", scene.trace.lines);
        }
    }

    #[test]
    fn an_instance_refresh_is_waited_for() {
        let scene = plain().at(60, Event::StartRefresh).at(3600, Event::EndRefresh).run();
        scene.expect(Outcome::Completed);
    }

    #[test]
    fn a_zonal_shift_is_waited_for() {
        plain().at(60, Event::Shift).at(3600, Event::EndShift).run().expect(Outcome::Completed);
    }

    #[test]
    fn a_protected_instance_is_left_and_named() {
        let scene = plain().at(0, Event::Protect(Which::Nth(1))).run().expect(Outcome::Incomplete);
        let closed = scene.entries(Kind::RegenerationClosed);
        let left: Vec<_> = closed.iter().flat_map(|e| &e.left).map(|left| left.why).collect();
        assert_eq!((left, scene.launched()), (vec![LeftWhy::Protected], 3));
    }

    #[test]
    fn a_protected_instance_is_replaced_where_the_policy_says_so() {
        let policy = Policy { protected: Treatment::Replace, ..policy() };
        under(policy).at(0, Event::Protect(Which::Nth(1))).run().expect(Outcome::Completed);
    }

    #[test]
    fn an_instance_in_standby_is_left_and_named() {
        let scene = plain().at(0, Event::StandBy(Which::Nth(1))).run().expect(Outcome::Incomplete);
        let closed = scene.entries(Kind::RegenerationClosed);
        let left: Vec<_> = closed.iter().flat_map(|e| &e.left).map(|left| left.why).collect();
        assert_eq!(left, vec![LeftWhy::Standby]);
    }

    #[test]
    fn an_instance_in_standby_is_replaced_where_the_policy_says_so() {
        let policy = Policy { standby: Treatment::Replace, ..policy() };
        under(policy).at(0, Event::StandBy(Which::Nth(1))).run().expect(Outcome::Completed);
    }

    #[test]
    fn a_group_that_is_deleted_ends_it() {
        let mut scene = plain().at(100, Event::Delete);
        scene.wish();
        scene.play(Span::hours(10).after(scene.start));
        scene.assert_kept();
        assert!(matches!(scene.ended(), Some(Ended::Closed(Outcome::Aborted))));
    }
}

mod ways {
    use super::*;

    #[test]
    fn terminate_first_where_there_must_be_no_surge() {
        let policy = Policy { max_surge: Share::Count(0), max_unavailable: Share::Count(1), ..policy() };
        let scene = Scene::new(shape(4, 4, 4), Nature::default(), policy).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (3, 4, 0));
    }

    #[test]
    fn terminate_first_where_max_size_must_not_be_raised() {
        let policy = Policy { raise_max_size: false, max_unavailable: Share::Count(1), ..policy() };
        let scene = Scene::new(shape(4, 4, 4), Nature::default(), policy).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members()), (3, 4));
        assert_eq!(scene.count("UpdateAutoScalingGroup"), 0);
    }

    #[test]
    fn without_launch_instances_desired_capacity_is_raised() {
        for direct in [Direct::Unavailable, Direct::Refused] {
            let scene = with(Nature { direct, ..Nature::default() }).run().expect(Outcome::Completed);
            assert_eq!((scene.least_serving(), scene.most_members(), scene.launched()), (4, 5, 0));
            assert_eq!(scene.count("SetDesiredCapacity"), 4);
        }
    }

    #[test]
    fn a_warm_pool_does_not_grow() {
        let nature = Nature { warm_pool: true, ..Nature::default() };
        let scene = Scene::new(shape(1, 4, 4), nature, policy()).run().expect(Outcome::Completed);
        // The pool is as large as max size lets it be: the two may only rise together.
        let widest = scene.moments().iter().map(|m| m.max - m.desired).max();
        assert!(widest <= Some(1), "{}", scene.trace.lines);
    }

    #[test]
    fn it_works_if_launch_instances_does_not_raise_desired_capacity() {
        let scene = with(Nature { direct: Direct::KeepsDesired, ..Nature::default() }).run();
        let scene = scene.expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.most_members()), (4, 5), "{}", scene.trace.lines);
    }

    #[test]
    fn a_zone_without_capacity_is_gone_around() {
        let scene = plain().at(0, Event::DryUp(0)).run().expect(Outcome::Completed);
        assert_eq!(scene.least_serving(), 4);
    }

    #[test]
    fn no_capacity_anywhere_ends_it_and_takes_nothing_away() {
        let scene = plain().at(0, Event::DryUp(0)).at(0, Event::DryUp(1)).at(0, Event::DryUp(2)).run();
        let scene = scene.expect(Outcome::Failed);
        assert_eq!((scene.least_serving(), scene.launched()), (4, 0));
    }

    #[test]
    fn no_capacity_for_a_while_is_waited_out() {
        let scene = plain().at(60, Event::DryUp(0)).at(60, Event::DryUp(1)).at(60, Event::DryUp(2));
        scene.at(500, Event::Wet).run().expect(Outcome::Completed);
    }

    #[test]
    fn without_launch_instances_and_capacity_the_surplus_is_taken_back() {
        let nature = Nature { direct: Direct::Unavailable, ..Nature::default() };
        let scene = with(nature).at(0, Event::DryUp(0)).at(0, Event::DryUp(1)).at(0, Event::DryUp(2)).run();
        let scene = scene.expect(Outcome::Incomplete);
        assert_eq!((scene.least_serving(), scene.launched()), (4, 0));
        assert!(scene.took() < scene.policy.window + Span::minutes(30), "{}", scene.took());
    }

    #[test]
    fn zones_never_differ_by_more_than_one() {
        for (zones, desired) in [(2, 2), (2, 4), (3, 1), (3, 2), (3, 3), (3, 4), (3, 9)] {
            for surge in [1, 2, 3] {
                let shape = Shape { zones, ..shape(0, desired, 20) };
                let policy = Policy { max_surge: Share::Count(surge), ..policy() };
                let scene = Scene::new(shape, Nature { rebalances: true, ..Nature::default() }, policy).run();
                let slant = scene.moments().iter().map(|m| m.slant).max();
                assert!(slant <= Some(1), "{zones} zones, {desired} instances, surge {surge}\n{}", scene.trace.lines);
                assert_eq!(scene.launched() as u32, desired);
            }
        }
    }

    #[test]
    fn reads_that_are_behind_only_cost_time() {
        let scene =
            with(Nature { stale: 10, unknown_to_ec2: 20, ..Nature::default() }).run().expect(Outcome::Completed);
        assert_eq!((scene.least_serving(), scene.launched()), (4, 4), "{}", scene.trace.lines);
    }
}

mod crash {
    use super::*;

    /// Kills the process before each of its touches in turn, starts another on the same journal, and checks that it
    /// finishes what was begun.
    #[track_caller]
    fn everywhere(make: impl Fn() -> Scene, outage: Span) -> u64 {
        for touch in 0.. {
            let mut scene = make();
            scene.wish();
            scene.rehearsal.kill_after(touch);
            let mut killed = false;
            for _ in 0..1000 {
                match scene.step() {
                    Step::Done => {}
                    Step::Idle => break,
                    Step::Killed => {
                        killed = true;
                        break;
                    }
                }
            }
            if !killed {
                return touch;
            }
            let later = outage.after(scene.now());
            scene.rehearsal.world.borrow_mut().advance_to(later);
            scene.restart();
            // It died before it wrote a word.
            if scene.entries(Kind::RegenerationOpened).is_empty() {
                scene.wish();
            }
            let scene = scene.finish();
            let opened = scene.entries(Kind::RegenerationOpened);
            assert_eq!(opened.len(), 1, "killed before touch {touch}: one regeneration and one cutoff");
            let closed = scene.entries(Kind::RegenerationClosed);
            let outcome = closed.first().and_then(|e| e.outcome);
            assert_eq!(outcome, Some(Outcome::Completed), "killed before touch {touch}\n{}", scene.trace.lines);
            assert!(scene.least_serving() >= 4, "killed before touch {touch}\n{}", scene.trace.lines);
            assert!(scene.launched() <= 4, "killed before touch {touch}\n{}", scene.trace.lines);
        }
        0
    }

    #[test]
    fn killed_between_any_two_steps_it_goes_on() {
        let steps = everywhere(plain, Span::ZERO);
        assert!(steps > 80, "{steps}");
    }

    #[test]
    fn killed_and_gone_for_five_minutes_it_goes_on() {
        everywhere(plain, Span::minutes(5));
    }

    #[test]
    fn killed_and_gone_for_half_an_hour_it_goes_on() {
        everywhere(plain, Span::minutes(30));
    }

    #[test]
    fn killed_with_max_size_raised_it_is_put_back() {
        everywhere(|| Scene::new(shape(4, 4, 4), Nature::default(), policy()), Span::seconds(40));
    }

    #[test]
    fn killed_without_launch_instances_it_goes_on() {
        let nature = Nature { direct: Direct::Unavailable, ..Nature::default() };
        everywhere(|| with(nature.clone()), Span::seconds(40));
    }

    #[test]
    fn killed_while_terminating_first_it_goes_on() {
        let policy = Policy { max_surge: Share::Count(0), max_unavailable: Share::Count(1), ..policy() };
        let make = || Scene::new(shape(2, 5, 5), Nature::default(), policy.clone());
        everywhere(make, Span::seconds(40));
    }

    #[test]
    fn with_the_journal_gone_too_the_lease_on_the_group_is_enough() {
        for touch in 0..120 {
            let mut scene = Scene::new(shape(4, 4, 4), Nature::default(), policy());
            scene.wish();
            scene.rehearsal.kill_after(touch);
            while matches!(scene.step(), Step::Done) {}
            let later = Span::hours(13).after(scene.now());
            scene.rehearsal.world.borrow_mut().advance_to(later);
            scene.rehearsal.restart_elsewhere("another-host");
            scene.checker.forget(&scene.rehearsal.world.borrow());
            scene.wish();
            let scene = scene.finish();
            assert!(matches!(scene.ended(), Some(Ended::Closed(Outcome::Completed))), "{touch}");
            assert!(scene.launched() <= 8, "{touch}");
        }
    }
}

mod hosts {
    use super::*;

    /// The first host dies after so many touches; another, with an empty journal, wishes for the same so much later.
    fn another(touches: u64, later: Span) -> Scene {
        let mut scene = Scene::new(shape(4, 4, 4), Nature::default(), policy());
        scene.wish();
        scene.rehearsal.kill_after(touches);
        while matches!(scene.step(), Step::Done) {}
        let later = later.after(scene.now());
        scene.rehearsal.world.borrow_mut().advance_to(later);
        scene.rehearsal.restart_elsewhere("another-host");
        scene.checker.forget(&scene.rehearsal.world.borrow());
        scene
    }

    #[test]
    fn a_person_is_told_that_another_host_is_at_work() {
        let mut scene = another(30, Span::minutes(5));
        scene.wish();
        scene.play(Span::hours(1).after(scene.start));
        assert!(matches!(scene.ended(), Some(Ended::Skipped(skipped)) if skipped.code == "leased_by_other"));
    }

    #[test]
    fn a_schedule_waits_for_a_dead_hosts_lease_and_then_finishes_what_it_began() {
        for touches in (4..110).step_by(3) {
            let mut scene = another(touches, Span::minutes(5));
            scene.trigger = Trigger::Schedule;
            scene.wish();
            let scene = scene.finish();
            assert_eq!(scene.moments().last().map(|m| (m.desired, m.max)), Some((4, 4)), "{touches}");
        }
    }
}

mod faults {
    use super::*;

    /// The first, second, third… call of this API meets the fault; everything else goes well.
    #[track_caller]
    fn each(make: impl Fn() -> Scene, api: &'static str, fault: Fault) {
        for nth in 0..4 {
            let scene = make();
            {
                let mut world = scene.rehearsal.world.borrow_mut();
                world.faults.script.extend((0..nth).map(|_| (api, Fault::None)));
                world.faults.script.push_back((api, fault));
            }
            let scene = scene.run().expect(Outcome::Completed);
            assert!(scene.least_serving() >= 4, "call {nth}\n{}", scene.trace.lines);
            assert!(scene.launched() <= 4, "call {nth}\n{}", scene.trace.lines);
        }
    }

    const APIS: [&str; 6] = [
        "CreateOrUpdateTags",
        "DeleteTags",
        "UpdateAutoScalingGroup",
        "LaunchInstances",
        "SetDesiredCapacity",
        "TerminateInstanceInAutoScalingGroup",
    ];

    #[test]
    fn a_lost_request_is_noticed() {
        for api in APIS {
            each(plain, api, Fault::LostRequest);
            each(|| Scene::new(shape(4, 4, 4), Nature::default(), policy()), api, Fault::LostRequest);
        }
        each(
            || with(Nature { direct: Direct::Unavailable, ..Nature::default() }),
            "SetDesiredCapacity",
            Fault::LostRequest,
        );
    }

    #[test]
    fn a_lost_answer_is_found_in_the_world() {
        for api in APIS {
            each(plain, api, Fault::LostAnswer);
            each(|| Scene::new(shape(4, 4, 4), Nature::default(), policy()), api, Fault::LostAnswer);
        }
        each(
            || with(Nature { direct: Direct::Unavailable, ..Nature::default() }),
            "SetDesiredCapacity",
            Fault::LostAnswer,
        );
    }

    #[test]
    fn throttled_it_slows_down() {
        for api in APIS {
            each(plain, api, Fault::Throttled);
            each(|| Scene::new(shape(4, 4, 4), Nature::default(), policy()), api, Fault::Busy);
        }
    }

    #[test]
    fn throttled_for_half_an_hour_it_still_finishes() {
        let scene = plain();
        scene.rehearsal.world.borrow_mut().faults.throttled = 900;
        scene.run().expect(Outcome::Completed);
    }

    #[test]
    fn blind_now_and_then_it_waits() {
        let scene = plain();
        scene.rehearsal.world.borrow_mut().faults.blind = 500;
        let scene = scene.run().expect(Outcome::Completed);
        assert_eq!(scene.least_serving(), 4);
    }

    #[test]
    fn an_intent_names_the_action_whole() {
        let scene = plain().run();
        assert!(scene.entries(Kind::RetireIntended).iter().all(|e| matches!(e.action, Some(Action::Retire(_)))));
    }
}

/// What the seeds found, each cut down to what matters.
mod found {
    use super::*;

    fn outage(mut scene: Scene, touches: u64, outage: Span) -> Scene {
        scene.wish();
        scene.rehearsal.kill_after(touches);
        while matches!(scene.step(), Step::Done) {}
        let later = outage.after(scene.now());
        scene.rehearsal.world.borrow_mut().advance_to(later);
        scene.restart();
        scene
    }

    /// How many touches it takes until the process is about to call this API, for the first time after so many others.
    fn touches_before(make: impl Fn() -> Scene, api: &str, nth: u64) -> u64 {
        (0..500)
            .find(|touches| {
                let mut scene = make();
                scene.wish();
                scene.rehearsal.kill_after(*touches);
                while matches!(scene.step(), Step::Done) {}
                scene.count(api) == nth
            })
            .expect("the call is made")
    }

    #[test]
    fn a_min_size_that_covers_the_surplus_makes_it_theirs() {
        let scene = Scene::new(shape(1, 1, 2), Nature::default(), policy()).at(30, Event::SetMin(2));
        let scene = scene.run().expect(Outcome::Completed);
        assert_eq!(scene.moments().last().map(|m| m.desired), Some(2));
    }

    #[test]
    fn that_a_repeated_launch_is_turned_away_says_nothing_of_the_first() {
        for fault in [Fault::Throttled, Fault::Busy, Fault::LostRequest] {
            let scene = plain();
            let script = [("LaunchInstances", Fault::LostAnswer), ("LaunchInstances", fault)];
            scene.rehearsal.world.borrow_mut().faults.script.extend(script);
            let scene = scene.run().expect(Outcome::Completed);
            assert_eq!((scene.launched(), scene.most_members()), (4, 5), "{}", scene.trace.lines);
        }
    }

    #[test]
    fn a_max_size_that_somebody_sets_right_after_a_call_of_ours_stays() {
        for second in 60..140 {
            let scene = Scene::new(shape(1, 4, 4), Nature { react: (1, 1), ..Nature::default() }, policy());
            let scene = scene.at(second, Event::SetMax(3)).run();
            assert_eq!(scene.moments().last().map(|m| m.max), Some(3), "{second}\n{}", scene.trace.lines);
        }
    }

    #[test]
    fn a_failed_replacement_that_recovers_is_not_taken_from_those_that_serve() {
        let policy = Policy { max_failures: 3, ..policy() };
        for second in (700..900).step_by(5) {
            let scene = under(policy.clone()).at(90, Event::Sicken(Which::Newest)).at(80, Event::Sicken(Which::Oldest));
            let scene = scene.at(second, Event::Recover).run();
            assert!(
                scene
                    .moments()
                    .iter()
                    .skip_while(|m| m.at < Span::seconds(second).after(scene.start))
                    .all(|m| m.serving >= 3)
            );
        }
    }

    #[test]
    fn a_launch_of_which_nobody_heard_for_half_an_hour_is_still_ours() {
        let make = || plain().at(60, Event::Kill(Which::Oldest));
        let touches = touches_before(make, "LaunchInstances", 1);
        let scene = outage(make(), touches, Span::minutes(30)).finish();
        assert_eq!(scene.moments().last().map(|m| m.desired), Some(4), "{}", scene.trace.lines);
    }

    #[test]
    fn a_launch_that_never_arrived_is_not_taken_for_a_scale_out() {
        let touches = touches_before(plain, "LaunchInstances", 1) - 1;
        let scene = plain().at(60, Event::Scale(1));
        let scene = outage(scene, touches, Span::minutes(5)).finish();
        assert!(scene.moments().last().is_some_and(|m| m.desired >= 5), "{}", scene.trace.lines);
    }

    #[test]
    fn a_renewed_lease_does_not_end_a_hold() {
        let policy = Policy { raise_max_size: false, ..policy() };
        let scene = Scene::new(shape(4, 4, 4), Nature::default(), policy).run().expect(Outcome::Incomplete);
        assert!(scene.count("CreateOrUpdateTags") > 1);
        assert_eq!(scene.entries(Kind::RegenerationHeld).len(), 1, "{}", scene.trace.lines);
    }

    #[test]
    fn a_member_that_no_target_group_knows_does_not_end_a_waiver() {
        let shape = Shape { target_groups: vec![true, false], ..shape(2, 4, 10) };
        let scene = Scene::new(shape, Nature::default(), policy()).at(5, Event::Suspend("AddToLoadBalancer"));
        let scene = scene.at(900, Event::Resume).run().expect(Outcome::Completed);
        assert_eq!(scene.entries(Kind::InstanceFailed).len(), 1, "{}", scene.trace.lines);
    }

    #[test]
    fn a_retirement_of_which_nobody_heard_does_not_eat_a_scale_out() {
        let touches = touches_before(plain, "TerminateInstanceInAutoScalingGroup", 1);
        let scene = plain().at(600, Event::Scale(1));
        let scene = outage(scene, touches, Span::minutes(30)).finish();
        assert_eq!(scene.moments().last().map(|m| m.desired), Some(5), "{}", scene.trace.lines);
    }

    #[test]
    fn a_failed_replacement_of_the_groups_own_is_retired_under_a_lease() {
        let scene = Scene::new(shape(1, 1, 4), Nature::default(), policy());
        let scene = scene.at(0, Event::Image(Image::NeverInService)).at(1, Event::Kill(Which::Oldest));
        let scene = outage(scene, 1, Span::minutes(20)).finish();
        assert!(scene.entries(Kind::ActionVetoed).is_empty());
    }

    #[test]
    fn a_look_that_is_behind_somebody_elses_change_is_not_taken_for_another() {
        for seed in 0..60 {
            let nature = Nature { stale: 8, ..Nature::default() };
            let policy = Policy { max_surge: Share::Count(2), ..policy() };
            let scene =
                Scene::seeded(seed, shape(0, 4, 20), nature, policy).at(70, Event::Terminate(Which::Newest, true));
            let scene = scene.at(400, Event::Scale(-1)).run().expect(Outcome::Completed);
            assert!(scene.most_members() <= 7, "seed {seed}\n{}", scene.trace.lines);
        }
    }

    #[test]
    fn a_look_that_is_behind_is_no_proof_of_a_lost_call() {
        for seed in 0..60 {
            let nature = Nature { stale: 8, direct: Direct::Unavailable, ..Nature::default() };
            let policy = Policy { max_surge: Share::Count(2), ..policy() };
            let scene = Scene::seeded(seed, shape(0, 4, 20), nature, policy);
            scene.rehearsal.world.borrow_mut().faults.lost_request = 200;
            let scene = scene.run();
            assert_eq!(scene.moments().last().map(|m| m.desired), Some(4), "seed {seed}\n{}", scene.trace.lines);
        }
    }
}
