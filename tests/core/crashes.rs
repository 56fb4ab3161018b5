//! Killed anywhere: before and after every journal write and every call of every scenario, once and twice, with the
//! journal kept and gone, for a moment and for longer than a lease. The next process must keep every promise, come to
//! an end, and leave the group as it was found.
//!
//! `REGEND_CRASHES=10` tries ten times as many points, `REGEND_CRASH=four/17-after-300s-kept` plays one and tells its
//! story: the first process dies after its touch 17, and the next starts 300 seconds later on the same journal. How many
//! points there were of each kind is printed with `--nocapture`.

mod enumerate;
mod play;
mod point;
mod scenario;

use enumerate::everywhere;

#[test]
fn four() {
    everywhere("four");
}

#[test]
fn at_max_size() {
    everywhere("at_max_size");
}

#[test]
fn single() {
    everywhere("single");
}

#[test]
fn warm_pool() {
    everywhere("warm_pool");
}

#[test]
fn no_launch_instances() {
    everywhere("no_launch_instances");
}

#[test]
fn launch_instances_refused() {
    everywhere("launch_instances_refused");
}

#[test]
fn desired_kept() {
    everywhere("desired_kept");
}

#[test]
fn surge_of_three() {
    everywhere("surge_of_three");
}

#[test]
fn terminate_first() {
    everywhere("terminate_first");
}

#[test]
fn bad_image() {
    everywhere("bad_image");
}

#[test]
fn canary() {
    everywhere("canary");
}

#[test]
fn old_one_dies() {
    everywhere("old_one_dies");
}

#[test]
fn new_one_dies() {
    everywhere("new_one_dies");
}

#[test]
fn scaled_out() {
    everywhere("scaled_out");
}

#[test]
fn scaled_in() {
    everywhere("scaled_in");
}

#[test]
fn min_raised() {
    everywhere("min_raised");
}

#[test]
fn max_set() {
    everywhere("max_set");
}

#[test]
fn left() {
    everywhere("left");
}

#[test]
fn dry_zone() {
    everywhere("dry_zone");
}

#[test]
fn shifted() {
    everywhere("shifted");
}

#[test]
fn shifted_and_scaled_out() {
    everywhere("shifted_and_scaled_out");
}

#[test]
fn dead_lease() {
    everywhere("dead_lease");
}

#[test]
fn lost_answers() {
    everywhere("lost_answers");
}

#[test]
fn looks_behind() {
    everywhere("looks_behind");
}

#[test]
fn suspended() {
    everywhere("suspended");
}

#[test]
fn becomes_managed() {
    everywhere("becomes_managed");
}
