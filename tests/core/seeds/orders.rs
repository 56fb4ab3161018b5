//! What operators order while a story lasts.

use regend::domain::span::Span;
use regend::engine::command::{Command, Obeyed, Order};

use super::draw::Fate;
use super::story::Timeline;
use crate::scene::Scene;

impl Timeline {
    /// What an operator orders of a regeneration that is open. What cannot be recorded is ordered again.
    pub(super) fn order(&mut self, fate: Fate) {
        let (name, order) = match fate {
            Fate::Pause => ("pause", Order::Pause),
            Fate::Resume => ("resume", Order::Resume),
            Fate::Abort => ("abort", Order::Abort),
            Fate::Clock(_) | Fate::Disk(_) | Fate::Blind | Fate::Second => return,
        };
        let Some(scene) = self.scenes.first() else { return };
        let process = &scene.harness.process;
        if process.fleet.active().is_empty() {
            return;
        }
        let command = Command { order, actor: "user:ops".to_owned(), reason: Some("a test".to_owned()) };
        match process.block_on(process.fleet.command(&scene.key, command)) {
            Some(Ok(Obeyed::Done(_))) => self.coverage.count("order", name, 1),
            Some(Ok(Obeyed::AlreadySo | Obeyed::NothingOpen)) => {}
            // It was killed, or ended because it could not record the order.
            None | Some(Err(_)) => self.dies(0),
        }
    }

    /// No pause lasts for ever.
    pub(super) fn resume_overdue(&mut self) {
        let paused = |scene: &Scene| {
            let shown = scene.harness.fleet().active();
            shown.iter().filter_map(|shown| Some(shown.regeneration.paused.as_ref()?.since)).min()
        };
        let since = self.scenes.first().and_then(paused);
        if since.is_some_and(|since| Span::hours(1).after(since) < self.now()) {
            self.order(Fate::Resume);
        }
    }
}
