//! What other people and AWS do to the group.

use regend::domain::kind::CapacityUnit;
use regend::sim::event::{Event, Which};
use regend::sim::group_behavior::Image;
use regend::sim::random::Random;

use super::{draw_image, often};

/// Other people's hands. Wishes for desired capacity keep apart, so that each is seen before the next.
pub(super) fn draw(r: &mut Random) -> Vec<(u32, Event)> {
    let mut at = 0;
    (0..*r.pick(&[0, 0, 1, 2, 3, 5]).unwrap_or(&0))
        .map(|_| {
            at += r.within((if at == 0 { 0 } else { 180 }, 500));
            (at, draw_event(r))
        })
        .collect()
}

fn draw_event(r: &mut Random) -> Event {
    let nth = r.below(8) as usize;
    let which = *r.pick(&[Which::Oldest, Which::Newest, Which::Nth(nth)]).unwrap_or(&Which::Oldest);
    let processes = [
        "Launch",
        "Terminate",
        "AddToLoadBalancer",
        "HealthCheck",
        "ReplaceUnhealthy",
        "AZRebalance",
        "ScheduledActions",
        "AlarmNotification",
        "InstanceRefresh",
    ];
    match r.below(40) {
        0..=4 => Event::Kill(which),
        5..=7 => Event::Scale(r.within((0, 4)) as i32 - 2),
        8 | 9 => Event::SetDesired(r.within((0, 9))),
        10 => Event::SetMin(r.within((0, 4))),
        11 => Event::SetMax(r.within((1, 12))),
        12 => {
            let min = r.within((0, 3));
            let max = min + r.within((1, 6));
            Event::Scheduled(min, max, r.within((min, max)))
        }
        13 | 14 => Event::Sicken(which),
        15 => Event::Recover,
        16 => Event::Unavailable(r.within((10, often::UNAVAILABLE_S))),
        17 => Event::Interrupt(which),
        18 => Event::Protect(which),
        19 => Event::Unprotect,
        20 => Event::StandBy(which),
        21 => Event::StandByReplaced(which),
        22 => Event::ExitStandby,
        23 => Event::Detach(which, r.chance(500)),
        24 if r.chance(500) => Event::Attach(r.within((0, often::ATTACHED_H))),
        24 | 25 => Event::ReplaceRootVolume(which),
        26 | 27 => Event::Terminate(which, r.chance(500)),
        28 | 29 => Event::Suspend(r.pick(&processes).copied().unwrap_or("Launch")),
        30 if r.chance(400) => match r.chance(500) {
            true => Event::Unit(CapacityUnit::Vcpus),
            false => Event::Managed,
        },
        30 => Event::SuspendByAws("Launch"),
        31 => Event::Resume,
        32 => Event::StartRefresh,
        33 => Event::EndRefresh,
        34 => match r.chance(500) {
            true => Event::Shift,
            false => Event::EndShift,
        },
        35 => Event::Image(draw_image(r)),
        36 => Event::DryUp(nth),
        37 => Event::Scarce(nth, r.within((1, 3))),
        38 => match r.chance(500) {
            true => Event::Wet,
            false => Event::Untag,
        },
        _ => match r.chance(200) {
            true => Event::Delete,
            false => Event::Image(Image::Good),
        },
    }
}
