//! What opens, and what `status` says before it.

use super::*;

#[test]
fn a_firing_opens_on_time_and_once() {
    let site = Site::new(&["eu-west-1"]);
    site.pass("20T01:00");
    let mut daemon = site.start("a");
    daemon.live("20T02:59");
    assert_eq!(site.next("a"), "20 03:00");
    daemon.live("20T03:05");
    assert_eq!(site.next("a"), "21 03:00");
    daemon.live("20T12:00");
    daemon.stop();
    site.daemon("a", "20T12:01", "20T13:00");
    site.check(expect![[r#"
        20 03:00 eu-west-1 opened for 20 03:00
        20 03:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn a_restart_within_the_window_opens_late() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T01:00", "20T02:00");
    site.pass("20T04:00");
    assert_eq!(site.next("a"), "now");
    site.daemon("a", "20T04:00", "20T12:00");
    assert_eq!(site.next("a"), "21 03:00");
    site.check(expect![[r#"
        20 04:00 eu-west-1 opened for 20 03:00
        20 04:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn an_edited_configuration_makes_no_past_firing_open() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T01:00", "20T03:00");
    site.pass("20T03:30");
    assert_eq!((site.next("a").as_str(), site.next("b").as_str()), ("now", "21 03:00"));
    site.daemon("b", "20T03:30", "21T12:00");
    site.check(expect![[r#"
        21 03:00 eu-west-1 opened for 21 03:00
        21 03:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn the_first_start_within_a_window_makes_no_past_firing_open() {
    let site = Site::new(&["eu-west-1"]);
    site.pass("20T03:30");
    assert_eq!(site.next("a"), "21 03:00");
    site.daemon("a", "20T03:30", "21T12:00");
    site.check(expect![[r#"
        21 03:00 eu-west-1 opened for 21 03:00
        21 03:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn a_completed_run_by_hand_within_the_window_answers_the_firing() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T01:00", "20T02:00");
    site.run("20T03:00");
    site.pass("20T04:00");
    assert_eq!(site.next("a"), "21 03:00");
    site.daemon("a", "20T04:00", "21T12:00");
    site.check(expect![[r#"
        20 03:00 eu-west-1 opened for no firing
        20 03:06 eu-west-1 closed: completed
        21 03:00 eu-west-1 opened for 21 03:00
        21 03:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn a_run_by_hand_before_the_firing_does_not_answer_it() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T01:00", "20T02:00");
    site.run("20T02:59");
    assert_eq!(site.next("a"), "now");
    site.daemon("a", "20T04:00", "20T12:00");
    site.check(expect![[r#"
        20 02:59 eu-west-1 opened for no firing
        20 03:05 eu-west-1 closed: completed
        20 04:00 eu-west-1 opened for 20 03:00
        20 04:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn a_failed_run_by_hand_does_not_answer_the_firing() {
    let site = Site::new(&["eu-west-1"]);
    site.daemon("a", "20T01:00", "20T02:00");
    site.world.borrow_mut().alter(&key("eu-west-1"), |group| group.behavior.image = Image::NeverHealthy);
    site.run("20T03:10");
    site.world.borrow_mut().alter(&key("eu-west-1"), |group| group.behavior.image = Image::Good);
    assert_eq!(site.next("a"), "now");
    let now = site.now().format("%dT%H:%M").to_string();
    site.daemon("a", &now, "20T12:00");
    site.check(expect![[r#"
        20 03:10 eu-west-1 opened for no firing
        20 03:34 eu-west-1 closed: failed
        20 03:34 eu-west-1 opened for 20 03:00
        20 03:40 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn a_group_created_after_the_firing_opens_at_the_next() {
    let site = Site::new(&["eu-west-1"]);
    site.world.borrow_mut().alter(&key("eu-west-1"), |group| group.created = at("20T03:10"));
    site.pass("20T01:00");
    let mut daemon = site.start("a");
    // The group is listed all the same: what counts is what AWS says of its creation.
    daemon.live("20T05:00");
    assert_eq!(site.next("a"), "21 03:00");
    daemon.live("21T12:00");
    site.check(expect![[r#"
        21 03:00 eu-west-1 opened for 21 03:00
        21 03:06 eu-west-1 closed: completed
    "#]]);
}

#[test]
fn a_region_that_hangs_delays_only_its_own_groups() {
    let site = Site::new(&["eu-west-1", "us-east-1"]);
    site.suffer(Trouble::Hangs("eu-west-1"));
    site.pass("20T02:50");
    let mut daemon = site.start("a");
    daemon.live("20T12:00");
    site.check(expect![[r#"
        20 03:00 us-east-1 opened for 20 03:00
        20 03:06 us-east-1 closed: completed
    "#]]);
}
