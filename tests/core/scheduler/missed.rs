//! Each missed firing is recorded once, with its reason.

use super::*;

#[test]
fn three_nights_without_a_daemon_are_three_entries() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T08:00", "20T09:00");
    site.daemon("a", "23T08:00", "23T09:00");
    site.daemon("a", "23T10:00", "23T11:00");
    site.check(expect![[r#"
        23 08:00 eu-west-1 regeneration.missed 21 03:00: no_daemon: no daemon was running between 2026-11-21 03:00:00Z and 2026-11-21 07:00:00Z
        23 08:00 eu-west-1 regeneration.missed 22 03:00: no_daemon: no daemon was running between 2026-11-22 03:00:00Z and 2026-11-22 07:00:00Z
        23 08:00 eu-west-1 regeneration.missed 23 03:00: no_daemon: no daemon was running between 2026-11-23 03:00:00Z and 2026-11-23 07:00:00Z
    "#]]);
}

#[test]
fn nights_before_the_group_existed_or_under_another_configuration_are_not_missed() {
    let site = Site::new(&["eu-west-1"]);
    site.world.borrow_mut().alter(&key("eu-west-1"), |group| group.created = at("21T12:00"));
    site.daemon("a", "20T08:00", "20T09:00");
    site.daemon("b", "23T08:00", "23T09:00");
    site.check(expect![[r#""#]]);
    site.daemon("a", "23T10:00", "23T11:00");
    site.daemon("a", "24T10:00", "24T11:00");
    site.check(expect![[r#"
        23 10:00 eu-west-1 regeneration.missed 22 03:00: no_daemon: no daemon was running between 2026-11-22 03:00:00Z and 2026-11-22 07:00:00Z
        23 10:00 eu-west-1 regeneration.missed 23 03:00: no_daemon: no daemon was running between 2026-11-23 03:00:00Z and 2026-11-23 07:00:00Z
        24 10:00 eu-west-1 regeneration.missed 24 03:00: no_daemon: no daemon was running between 2026-11-24 03:00:00Z and 2026-11-24 07:00:00Z
    "#]]);
}

#[test]
fn the_record_goes_back_a_month_and_not_before_the_first_start() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T08:00", "20T09:00");
    let after = |days: u32| Span::hours(24 * days).after(at("20T12:00"));
    for (days, entries) in [(40, 31), (42, 33)] {
        site.world.borrow_mut().advance_to(after(days));
        let mut daemon = site.start("a");
        let wake = |daemon: &mut Daemon<'_>| daemon.process.pass(Some(Span::minutes(1).after(site.now()))).unwrap();
        wake(&mut daemon);
        let (place, groups) = daemon.listings.try_recv().unwrap();
        let created = groups.unwrap()[&key("eu-west-1")].created;
        let group = Scheduled { key: key("eu-west-1"), policy: policy(), created };
        daemon.scheduler.set_groups(&place, site.now(), Ok(vec![group]));
        let due = daemon.scheduler.request_due(&daemon.process.fleet, after(days + 1));
        daemon.process.block_on(due).unwrap().unwrap();
        let missed =
            || site.journal.entries().iter().filter(|e| matches!(e.event, Event::RegenerationMissed(_))).count();
        assert_eq!(missed(), entries);
    }
}

#[test]
fn a_run_by_hand_after_the_window_makes_up_for_that_night_only() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T08:00", "20T09:00");
    site.run("22T12:00");
    site.daemon("a", "23T08:00", "23T09:00");
    site.check(expect![[r#"
        22 12:00 eu-west-1 opened for no firing
        22 12:06 eu-west-1 closed: completed
        23 08:00 eu-west-1 regeneration.missed 21 03:00: no_daemon: no daemon was running between 2026-11-21 03:00:00Z and 2026-11-21 07:00:00Z
        23 08:00 eu-west-1 regeneration.missed 23 03:00: no_daemon: no daemon was running between 2026-11-23 03:00:00Z and 2026-11-23 07:00:00Z
    "#]]);
}

#[test]
fn a_daemon_that_was_killed_is_named() {
    let site = Site::new(&["eu-west-1"]);
    site.pass("20T08:00");
    site.start("a").live("20T09:00");
    site.daemon("a", "21T08:00", "21T09:00");
    site.check(expect![[r#"
        21 08:00 eu-west-1 regeneration.missed 21 03:00: daemon_lost: the daemon that was started at 2026-11-20 08:00:00Z was killed or lost its host, and the next one was started at 2026-11-21 08:00:00Z, after the window ended at 2026-11-21 07:00:00Z
    "#]]);
}

#[test]
fn denied_for_the_whole_window_the_error_is_the_reason() {
    let site = Site::new(&["eu-west-1"]);
    site.pass("20T01:00");
    let mut daemon = site.start("a");
    daemon.live("20T02:00");
    site.suffer(Trouble::Denied);
    daemon.live("20T08:00");
    site.suffer(Trouble::None);
    daemon.live("20T12:00");
    site.check(expect![[r#"
        20 07:00 eu-west-1 regeneration.missed 20 03:00: unreachable: the group could not be observed, the last time at 2026-11-20 06:59:00Z: no permission for autoscaling:DescribeAutoScalingGroups: not authorized
    "#]]);
}

#[test]
fn denied_since_the_first_start_the_error_is_the_reason() {
    let site = Site::new(&["eu-west-1"]);
    site.pass("20T01:00");
    let mut daemon = site.start("a");
    site.suffer(Trouble::Denied);
    daemon.live("20T08:00");
    site.check(expect![[r#""#]]);
    site.suffer(Trouble::None);
    daemon.live("20T12:00");
    site.check(expect![[r#"
        20 08:01 eu-west-1 regeneration.missed 20 03:00: unreachable: the groups could not be listed from 2026-11-20 03:00:00Z to 2026-11-20 07:00:00Z: no permission for autoscaling:DescribeAutoScalingGroups: not authorized
    "#]]);
}

#[test]
fn a_daemon_that_was_denied_and_ended_is_not_said_to_have_been_absent() {
    let site = Site::new(&["eu-west-1"]);
    site.suffer(Trouble::Denied);
    site.daemon("a", "20T01:00", "20T09:00");
    site.suffer(Trouble::None);
    site.daemon("a", "20T10:00", "20T12:00");
    site.check(expect![[r#"
        20 10:00 eu-west-1 regeneration.missed 20 03:00: not_opened: a daemon was running between 2026-11-20 03:00:00Z and 2026-11-20 07:00:00Z, but did not open the regeneration; its log says why
    "#]]);
}

#[test]
fn a_group_created_after_the_window_missed_nothing() {
    let site = Site::new(&["us-east-1", "eu-west-1"]);
    site.world.borrow_mut().alter(&key("eu-west-1"), |group| group.created = at("20T07:30"));
    site.daemon("a", "20T01:00", "20T12:00");
    site.check(expect![[r#"
        20 03:00 us-east-1 opened for 20 03:00
        20 03:06 us-east-1 closed: completed
    "#]]);
}
