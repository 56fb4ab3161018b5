//! What goes wrong between regend and AWS: lost answers, refusals for no reason of the group's, blind looks.

use std::collections::VecDeque;

use super::random::Random;
use crate::domain::action::Action;

/// How often what goes wrong, in a thousand, and what goes wrong next whatever chance says.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The request never arrived.
    pub lost_request: u32,
    /// It took effect and nobody heard of it.
    pub lost_answer: u32,
    pub throttled: u32,
    /// `ScalingActivityInProgress`.
    pub busy: u32,
    /// The group cannot be looked at.
    pub blind: u32,
    /// How long a request and its answer travel, in milliseconds.
    pub latency_ms: (u32, u32),
    /// The next calls of these APIs, in this order.
    pub script: VecDeque<(&'static str, Fault)>,
    /// How many seconds the next looks are behind, whatever chance says; when they are used up, none is any more.
    pub behind: Option<VecDeque<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All goes well, whatever chance says.
    None,
    LostRequest,
    LostAnswer,
    Throttled,
    Busy,
}

impl Faults {
    /// What goes wrong with this call.
    pub fn draw(&mut self, action: &Action, random: &mut Random) -> Option<Fault> {
        let scripted = self.script.iter().position(|(api, _)| action.api().ends_with(api));
        if let Some((_, fault)) = scripted.and_then(|n| self.script.remove(n)) {
            return Some(fault);
        }
        [
            (self.lost_request, Fault::LostRequest),
            (self.lost_answer, Fault::LostAnswer),
            (self.throttled, Fault::Throttled),
            (self.busy, Fault::Busy),
        ]
        .into_iter()
        .find_map(|(per_mille, fault)| random.chance(per_mille).then_some(fault))
    }

    /// Nothing goes wrong any more.
    pub fn end(&mut self) {
        *self = Self { latency_ms: self.latency_ms, ..Self::default() };
    }
}
