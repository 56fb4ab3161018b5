//! What goes wrong between regend and AWS: lost answers, refusals for no reason of the group's, blind looks.

use std::collections::VecDeque;

use super::bucket::Bucket;
use super::random::Random;
use crate::domain::action::Action;

/// How often what goes wrong, in a thousand, and what goes wrong next whatever chance says.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The request never arrived.
    pub lost_request: u32,
    /// It took effect, and its answer was lost.
    pub lost_answer: u32,
    pub throttled: u32,
    /// `ScalingActivityInProgress`.
    pub busy: u32,
    /// `ResourceContention`.
    pub contention: u32,
    /// HTTP 503, with an effect or without.
    pub server_error: u32,
    /// Silence until the client gives up: before the effect, after it, or, with `late`, while it is still to come.
    pub timeout: u32,
    pub late: u32,
    /// The group cannot be looked at.
    pub blind: u32,
    /// A look lacks the group, or what EC2 knows of a member. Never twice in a row.
    pub partial: u32,
    /// A look lacks a member. Never twice in a row.
    pub lacking: u32,
    /// How many calls AWS answers at most, from all callers together; throttled beyond that.
    pub bucket: Option<Bucket>,
    /// How long a request and its answer travel, in milliseconds.
    pub latency_ms: (u32, u32),
    /// The next calls of these APIs, in this order.
    pub script: VecDeque<(&'static str, Fault)>,
    /// How many seconds the next looks are behind, whatever chance says; when they are used up, none is any more.
    pub behind: Option<VecDeque<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// All goes well, whatever chance says.
    None,
    LostRequest,
    LostAnswer,
    Throttled,
    Busy,
    Contention,
    ServerError,
    /// HTTP 503, and yet it took effect.
    ServerErrorAfter,
    Timeout,
    TimeoutAfter,
    /// It takes effect when the client has given up.
    Late,
}

impl Fault {
    /// All that can go wrong.
    pub const ALL: [Self; 10] = [
        Self::LostRequest,
        Self::LostAnswer,
        Self::Throttled,
        Self::Busy,
        Self::Contention,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Timeout,
        Self::TimeoutAfter,
        Self::Late,
    ];

    /// Whether the call reaches the group, now or later.
    pub(super) fn takes_effect(self) -> bool {
        matches!(self, Self::None | Self::LostAnswer | Self::ServerErrorAfter | Self::TimeoutAfter)
    }

    /// Whether the client hears nothing until it gives up.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::Timeout | Self::TimeoutAfter | Self::Late)
    }
}

impl Faults {
    /// What goes wrong with this call.
    pub fn draw(&mut self, action: &Action, random: &mut Random) -> Fault {
        let scripted = self.script.iter().position(|(api, _)| action.api().ends_with(api));
        if let Some((_, fault)) = scripted.and_then(|n| self.script.remove(n)) {
            return fault;
        }
        [
            (self.lost_request, [Fault::LostRequest; 2]),
            (self.lost_answer, [Fault::LostAnswer; 2]),
            (self.throttled, [Fault::Throttled; 2]),
            (self.busy, [Fault::Busy; 2]),
            (self.contention, [Fault::Contention; 2]),
            (self.server_error, [Fault::ServerError, Fault::ServerErrorAfter]),
            (self.timeout, [Fault::Timeout, Fault::TimeoutAfter]),
            (self.late, [Fault::Late; 2]),
        ]
        .into_iter()
        .filter(|(per_mille, _)| *per_mille > 0)
        .find_map(|(per_mille, [one, other])| {
            random.chance(per_mille).then(|| if random.chance(500) { one } else { other })
        })
        .unwrap_or(Fault::None)
    }

    /// Nothing goes wrong any more.
    pub fn end(&mut self) {
        *self = Self { latency_ms: self.latency_ms, ..Self::default() };
    }
}
