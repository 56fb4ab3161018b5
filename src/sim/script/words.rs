//! What happens in a play, as it is told: one short sentence for each event, trouble and stroke of fate.

use std::fmt;

use super::super::event::{Event, Which};
use super::super::fault::Fault;
use super::super::group_behavior::Image;
use super::{ProcessEvent, Trouble, What};

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(event) => write!(f, "{event}"),
            Self::Trouble(trouble, 0) => write!(f, "{trouble} no more"),
            Self::Trouble(trouble, rate) => write!(f, "{trouble}, {} in 100", tenths(*rate)),
            Self::Next(api, Fault::None) => write!(f, "the next {api} will go well"),
            Self::Next(api, fault) => write!(f, "the next {api} will {}", fault_words(*fault)),
            Self::Regend(hand) => write!(f, "{hand}"),
        }
    }
}

fn fault_words(fault: Fault) -> &'static str {
    match fault {
        Fault::None => "go well",
        Fault::LostRequest => "not arrive",
        Fault::LostAnswer => "take effect, and its answer will be lost",
        Fault::Throttled => "be throttled",
        Fault::Busy => "find another scaling activity in progress",
        Fault::Contention => "meet contention",
        Fault::ServerError => "fail with HTTP 503",
        Fault::ServerErrorAfter => "take effect, and be answered with HTTP 503",
        Fault::Timeout => "time out",
        Fault::TimeoutAfter => "take effect, and time out",
        Fault::Late => "time out, and take effect afterwards",
    }
}

fn tenths(rate: u32) -> String {
    match rate % 10 {
        0 => (rate / 10).to_string(),
        tenth => format!("{}.{tenth}", rate / 10),
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostRequest => "calls get lost on their way to AWS",
            Self::LostAnswer => "AWS's answers get lost",
            Self::Throttled => "AWS throttles calls",
            Self::Busy => "calls find another scaling activity in progress",
            Self::Contention => "calls meet contention",
            Self::ServerError => "calls are answered with HTTP 503",
            Self::Timeout => "calls time out",
            Self::Late => "calls time out, and take effect afterwards",
            Self::Blind => "observations are throttled",
            Self::Partial => "observations are incomplete",
        })
    }
}

impl fmt::Display for ProcessEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "regend is killed",
            Self::KilledInCall => "regend is to be killed in its next call",
            Self::Restarted => "regend is started again",
            Self::Elsewhere => "regend starts on another host, with an empty journal",
            Self::TakenOver => "regend starts on another host, with an empty journal and --take-over",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetDesired(n) => write!(f, "an operator sets desired capacity to {n}"),
            Self::Scale(by) if *by < 0 => write!(f, "a scaling policy takes away {}", by.unsigned_abs()),
            Self::Scale(by) => write!(f, "a scaling policy adds {by}"),
            Self::SetMin(n) => write!(f, "an operator sets min size to {n}"),
            Self::SetMax(n) => write!(f, "an operator sets max size to {n}"),
            Self::Scheduled(min, max, n) => {
                write!(f, "a scheduled action sets min {min}, desired {n} and max {max}")
            }
            Self::Kill(which) => write!(f, "{which} dies"),
            Self::Sicken(which) => write!(f, "{which} becomes unhealthy"),
            Self::Recover => write!(f, "all unhealthy instances recover"),
            Self::Unavailable(seconds) => write!(f, "for {seconds}s the load balancers cannot tell who is healthy"),
            Self::Interrupt(which) => write!(f, "{which} is a Spot instance that is taken back in two minutes"),
            Self::Protect(which) => write!(f, "an operator protects {which} from scale-in"),
            Self::Unprotect => write!(f, "an operator takes all protection away"),
            Self::StandBy(which) => write!(f, "an operator puts {which} in standby, and desired capacity falls"),
            Self::StandByReplaced(which) => write!(f, "an operator puts {which} in standby, to be replaced"),
            Self::ExitStandby => write!(f, "all that is in standby returns, and desired capacity rises"),
            Self::Detach(which, true) => write!(f, "an operator detaches {which}, and desired capacity falls"),
            Self::Detach(which, false) => write!(f, "an operator detaches {which}"),
            Self::Attach(hours) => write!(f, "an operator attaches an instance, {hours}h old"),
            Self::ReplaceRootVolume(which) => write!(f, "the disk of {which} is replaced in place"),
            Self::Terminate(which, true) => write!(f, "an operator terminates {which}, and desired capacity falls"),
            Self::Terminate(which, false) => write!(f, "an operator terminates {which}"),
            Self::Suspend(process) => write!(f, "an operator suspends {process}"),
            Self::SuspendByAws(process) => write!(f, "AWS suspends {process}"),
            Self::Resume => write!(f, "an operator resumes all processes"),
            Self::Untag => write!(f, "a tool removes the lease's tag"),
            Self::StartRefresh => write!(f, "an operator starts an instance refresh"),
            Self::EndRefresh => write!(f, "the instance refresh ends"),
            Self::Shift => write!(f, "an operator shifts traffic away from the first zone"),
            Self::EndShift => write!(f, "the zonal shift ends"),
            Self::ListenerLeaves => write!(f, "the listener moves away to another target group"),
            Self::ListenerReturns => write!(f, "the listener comes back"),
            Self::Image(Image::Good) => write!(f, "the image is good again"),
            Self::Image(Image::NeverHealthy) => write!(f, "the image goes bad: what boots from it never turns healthy"),
            Self::Image(Image::NeverInService) => write!(f, "the image goes bad: what boots from it never gets ready"),
            Self::Image(Image::Dies(seconds)) => {
                write!(f, "the image goes bad: what boots from it dies after {seconds}s")
            }
            Self::DryUp(n) => write!(f, "zone {} has no capacity any more", zone(*n)),
            Self::Scarce(n, left) => write!(f, "zone {} has capacity for {left} more", zone(*n)),
            Self::Wet => write!(f, "all zones have capacity again"),
            Self::Unit(unit) => write!(f, "an operator makes desired capacity count {unit}"),
            Self::Managed => write!(f, "the group becomes a managed node group of EKS"),
            Self::Unmanaged => write!(f, "the group is no longer a managed node group of EKS"),
            Self::Delete => write!(f, "an operator deletes the group"),
        }
    }
}

/// The letter that its name ends with.
fn zone(n: usize) -> char {
    char::from(b'a' + (n % 26) as u8)
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oldest => f.write_str("the oldest instance"),
            Self::Newest => f.write_str("the newest instance"),
            Self::Nth(n) => write!(f, "instance number {} by age", n + 1),
        }
    }
}
