//! One story: what a seed draws is played, watched by the checkers, until nothing is open any more.

use std::fmt::Write as _;

use chrono::TimeDelta;

use regend::domain::journal::{Entry, Kind, Trigger};
use regend::domain::lease;
use regend::domain::span::{Span, Time};
use regend::engine::fleet::{Ended, Settings};
use regend::harness::{Disk, Progress};
use regend::sim::ambiguity::Ambiguities;
use regend::sim::checkers::Broken;
use regend::sim::event::Event;
use regend::sim::random::Random;

use super::coverage::Coverage;
use super::draw::{Drawn, Fate, WINDOW, draw_orders, often};
use super::progress;
use crate::scene::Scene;

/// When things stop going wrong.
const CALM: Span = Span::hours(1);

/// How long it may take from calm on: the rest of the window, and tidying up.
const PATIENCE: Span = Span::hours(4);

/// How often it may be wished for again, a day later, to finish what a lost host began.
const DAYS: u32 = 3;

/// More than any story needs; reaching it means that nothing comes to an end.
const STEPS_MAX: u32 = 40_000;

pub(super) struct Timeline {
    random: Random,
    /// The first regend, and maybe another.
    pub(super) scenes: Vec<Scene>,
    pub(super) fates: Vec<(Time, Fate)>,
    kills: Vec<u64>,
    calm: Time,
    is_calm: bool,
    ends: Time,
    /// A host was lost with its journal.
    lost: bool,
    /// It may be lost: the lease is not removed, which is all that another host could know of what it did.
    may_be_lost: bool,
    lost_entries: Vec<Entry>,
    pub(super) stays_dry: bool,
    clock_was_set: bool,
    wishes: u32,
    pub(super) says: String,
    pub(super) coverage: Coverage,
    pub(super) broken: Vec<Broken>,
}

/// Makes the stream of orders another one than the story's own.
const ORDERS: u64 = 0x0bde_55ed_0bde_55ed;

/// Plays it.
pub(super) fn play(seed: u64, quiet: bool) -> Timeline {
    let mut random = Random::new(seed);
    let drawn = Drawn::draw(&mut random);
    let says = if quiet { String::new() } else { format!("{drawn:#?}\n") };
    let settings = Settings { is_daemon: !drawn.impatient, max_failed: u32::MAX, ..Settings::default() };
    let mut scene = Scene::with(settings, seed, drawn.shape, drawn.behavior, drawn.policy);
    if quiet {
        scene.be_quiet();
    }
    scene.trigger = drawn.trigger;
    scene.harness.world.borrow_mut().faults = drawn.faults;
    for (at, event) in &drawn.events {
        scene = scene.at(*at, event.clone());
    }
    let calm = CALM.after(scene.start);
    scene.harness.draw_order(Random::new(!seed));
    let mut fates: Vec<_> = drawn.fates.into_iter().chain(draw_orders(&mut Random::new(seed ^ ORDERS))).collect();
    fates.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let fates = fates.into_iter().map(|(at, fate)| (Span::seconds(at).after(scene.start), fate));
    let mut story = Timeline {
        random,
        fates: fates.collect(),
        kills: drawn.kills,
        calm,
        is_calm: false,
        ends: PATIENCE.after(calm),
        lost: false,
        may_be_lost: !drawn.events.iter().any(|(_, event)| *event == Event::Untag),
        lost_entries: Vec::new(),
        stays_dry: drawn.stays_dry,
        clock_was_set: false,
        wishes: 1,
        says,
        coverage: Coverage::default(),
        broken: Vec::new(),
        scenes: Vec::new(),
    };
    if drawn.ahead != 0 {
        scene.harness.host.set_clock(TimeDelta::seconds(drawn.ahead));
        story.coverage.count("host", "clock wrong", 1);
    }
    let begins = Span::seconds(drawn.begins).after(scene.start);
    scene.harness.world.borrow_mut().advance_to(begins);
    if let Some(kill) = story.kills.pop() {
        scene.harness.kill_after(kill);
    }
    scene.wish();
    story.scenes.push(scene);
    story.tell();
    story
}

impl Timeline {
    fn tell(&mut self) {
        let mut goes_on = true;
        for _ in 0..STEPS_MAX {
            goes_on = self.broken.is_empty() && self.turn();
            if !goes_on || self.now() > self.ends {
                break;
            }
        }
        if goes_on && self.broken.is_empty() {
            let open: Vec<_> = self.scenes.iter().flat_map(|s| s.harness.fleet().active()).collect();
            let held: Vec<_> = open.iter().map(|a| format!("{:?}", a.shown.as_ref().map(|shown| &shown.1))).collect();
            let says = format!("it does not come to an end: {held:?}");
            self.broken.push(Broken { promise: 0, at: self.now(), says, excuse: None });
        }
        if self.broken.is_empty() {
            let deleting = |scene: &Scene| scene.harness.world.borrow().group(&scene.key).is_some_and(|g| g.deleting);
            if self.scenes.iter().any(deleting) {
                // There is nothing to be left as it was found.
                self.pass(0, 24 * 3600);
            }
            let closes = |scene: &Scene| scene.entries(Kind::RegenerationClosed).pop().map(|entry| entry.rt);
            let last = self.scenes.iter().map(closes).max().flatten();
            for scene in &mut self.scenes {
                if !matches!(scene.ended(), Some(Ended::Skipped(_))) {
                    scene.check_end();
                }
                // How the group was left is the business of the last one that changed it.
                if closes(scene) != last {
                    scene.broken.retain(|broken| broken.promise != 3);
                }
            }
            let is_disturbed = self.lost || self.stays_dry || self.clock_was_set || self.scenes.len() > 1;
            if let Some(scene) = self.scenes.first_mut().filter(|_| !is_disturbed) {
                scene.broken.extend(progress::stalls(scene));
            }
            self.collect();
        }
        for scene in &self.scenes {
            self.coverage.entries(&scene.harness.journal.entries());
            for hold in &scene.trace.holds_shown {
                self.coverage.count("hold", *hold, 1);
            }
            let ended = match scene.ended() {
                Some(Ended::Closed(outcome)) => outcome.word(),
                Some(Ended::Skipped(_)) => "skipped",
                Some(Ended::Unreachable(_)) => "unreachable",
                Some(Ended::GaveUp(..)) => "lost sight",
                Some(Ended::NoSuchGroup) => "no such group",
                None => "none",
            };
            self.coverage.count("outcome", ended, 1);
        }
        if let Some(scene) = self.scenes.first() {
            self.coverage.world(&scene.harness.world.borrow());
        }
    }

    pub(super) fn now(&self) -> Time {
        self.scenes.first().map(Scene::now).unwrap_or_default()
    }

    fn collect(&mut self) {
        let broken: Vec<_> = self.scenes.iter_mut().flat_map(|scene| std::mem::take(&mut scene.broken)).collect();
        let (false, Some(scene)) = (broken.is_empty(), self.scenes.first()) else { return };
        // What one host had to mistake, another cannot know better.
        let mut entries = self.lost_entries.clone();
        self.scenes.iter().for_each(|scene| entries.extend(scene.harness.journal.entries().iter().cloned()));
        let ambiguity = Ambiguities::of(&scene.key, &scene.harness.world.borrow(), &entries);
        self.broken.extend(broken.into_iter().filter(|broken| !ambiguity.excuses(broken.excuse)));
    }

    /// One step of the process that is due. False when nothing is open any more.
    fn turn(&mut self) -> bool {
        self.suffer();
        if self.now() > self.calm && !self.is_calm {
            self.is_calm = true;
            self.calm_down();
        }
        let mut due: Vec<_> = (0..self.scenes.len()).filter(|n| !self.scenes[*n].harness.fleet().is_idle()).collect();
        due.sort_by_key(|n| self.look_at(*n));
        let Some(first) = due.first().copied() else { return self.go_on() };
        let steps = match due.get(1).copied() {
            Some(second) if self.are_close(first, second) && self.random.chance_of(often::IN_THE_MIDDLE) => {
                let external_changes = self.random.within((1, 2)).into();
                let (one, other) = self.scenes.split_at_mut(1);
                let pair = if first == 0 {
                    (one.first_mut(), other.first_mut())
                } else {
                    (other.first_mut(), one.first_mut())
                };
                let (Some(one), Some(other)) = pair else { return false };
                self.coverage.count("process", "in the middle of a step", 1);
                let (step, others) = one.step_around(external_changes, other);
                vec![(first, Some(step)), (second, others)]
            }
            _ => vec![(first, Some(self.scenes[first].step()))],
        };
        self.collect();
        for (n, step) in steps {
            if self.broken.is_empty() && matches!(step, Some(Progress::Killed)) {
                self.dies(n);
            }
        }
        true
    }

    /// When a scene looks next, by the world's time.
    fn look_at(&self, n: usize) -> Option<Time> {
        self.scenes[n].harness.due()
    }

    fn are_close(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.look_at(one), self.look_at(other)) else { return true };
        (other - one).abs() < TimeDelta::seconds(20)
    }

    /// What becomes of the host, when its time has come.
    fn suffer(&mut self) {
        self.resume_overdue();
        let now = self.now();
        while self.fates.last().is_some_and(|(at, _)| *at <= now) {
            let Some((_, fate)) = self.fates.pop() else { return };
            let Some(scene) = self.scenes.first_mut() else { return };
            _ = writeln!(scene.trace.lines, "{} --> {fate:?}", now.format("%H:%M:%S%.3f"));
            let name = match fate {
                Fate::Clock(seconds) => {
                    let ahead = scene.harness.host.ahead() + TimeDelta::seconds(seconds);
                    scene.harness.host.set_clock(ahead);
                    self.clock_was_set = true;
                    // It sleeps by a clock that was set.
                    self.ends = PATIENCE.after(self.ends);
                    if seconds > 0 { "clock set forward" } else { "clock set back" }
                }
                Fate::Disk(disk) => {
                    scene.harness.host.set_disk(disk);
                    match disk {
                        Disk::Well => "disk well again",
                        Disk::Full => "disk full",
                        Disk::Torn => "disk torn",
                        Disk::Kept => "disk kept",
                    }
                }
                Fate::Blind => {
                    scene.harness.world.borrow_mut().faults.blind = 1000;
                    "blind"
                }
                Fate::Pause | Fate::Resume | Fate::Abort => {
                    self.order(fate);
                    continue;
                }
                Fate::Second => {
                    let mut second = scene.beside("second-host");
                    second.take_over = self.random.chance_of(often::TAKE_OVER);
                    if second.take_over {
                        second.trigger = Trigger::Manual;
                    }
                    second.wish();
                    self.scenes.push(second);
                    self.coverage.count("process", "a second regend", 1);
                    continue;
                }
            };
            self.coverage.count("host", name, 1);
        }
    }

    /// The process is gone. Sooner or later another is started; on another host, where this one is lost with its disk.
    pub(super) fn dies(&mut self, n: usize) {
        self.coverage.count("process", "killed", 1);
        let outage = *self.random.pick(&[0, 1, 20, 45, 300, 1800]).unwrap_or(&0);
        self.pass(n, outage);
        let is_lost = !self.lost && self.may_be_lost && self.random.chance_of(often::HOST_LOST);
        if is_lost {
            // No host takes over while a look may still show the group as it was before.
            self.pass(n, 30);
            self.coverage.count("process", "host lost", 1);
            let scene = &mut self.scenes[n];
            self.lost_entries = scene.harness.journal.entries().clone();
            self.coverage.entries(&self.lost_entries);
            scene.restart_elsewhere("another-host");
            // The new host has a schedule and its patience, or an operator who has none.
            scene.take_over = self.random.chance_of(often::TAKE_OVER);
            scene.trigger = if scene.take_over { Trigger::Manual } else { Trigger::Schedule };
            scene.wish();
            self.lost = true;
            self.ends = Span::hours(30).after(self.ends);
        } else {
            self.start(n);
            let scene = &mut self.scenes[n];
            let opened = [Kind::RegenerationOpened, Kind::RegenerationSkipped];
            if !scene.harness.journal.entries().iter().any(|entry| opened.contains(&entry.kind())) {
                scene.wish();
            }
        }
        if let Some(kill) = self.kills.pop() {
            self.scenes[n].harness.kill_after(kill);
        }
        self.collect();
    }

    /// Another process on the same journal, as soon as that can be written.
    fn start(&mut self, n: usize) {
        while !self.scenes[n].restart() && self.now() < self.ends {
            self.pass(n, 60);
            self.suffer();
        }
    }

    fn pass(&mut self, n: usize, seconds: u32) {
        let later = Span::seconds(seconds).after(self.now());
        self.scenes[n].harness.pass(later);
    }

    /// Nothing is open. Whether something is to be done all the same.
    fn go_on(&mut self) -> bool {
        for n in 0..self.scenes.len() {
            if matches!(self.scenes[n].ended(), Some(Ended::GaveUp(..))) {
                self.coverage.count("outcome", "lost sight", 1);
                self.pass(n, 3600);
                self.start(n);
                return true;
            }
        }
        self.fates.retain(|(_, fate)| !matches!(fate, Fate::Pause | Fate::Resume | Fate::Abort));
        if let Some((at, _)) = self.fates.last().copied().filter(|(_, fate)| matches!(fate, Fate::Second)) {
            self.scenes[0].harness.pass(at);
            return true;
        }
        // The lease of a host that is lost outlives the window: the next day's regeneration finishes what it began.
        let leased = |scene: &Scene| {
            let world = scene.harness.world.borrow();
            world.group(&scene.key).is_some_and(|group| group.tags.contains_key(lease::TAG))
        };
        if self.lost && self.wishes < DAYS && leased(&self.scenes[0]) {
            self.wishes += 1;
            self.coverage.count("process", "another day", 1);
            self.pass(0, 24 * 3600);
            self.ends = PATIENCE.after(self.now()) + WINDOW.as_delta();
            self.calm_down();
            let scene = &mut self.scenes[0];
            scene.wish();
            return true;
        }
        false
    }

    pub(super) fn complaints(&self) -> String {
        let broken: Vec<_> = self.broken.iter().map(ToString::to_string).collect();
        format!("{}\n    in play: {}", broken.join("\n    "), self.coverage.rare())
    }

    /// What happened, in words, in the order of time.
    pub(super) fn trace(&self) -> String {
        let mut lines: Vec<_> = self.scenes.iter().flat_map(|scene| scene.trace.lines.lines()).collect();
        if self.scenes.len() > 1 {
            lines.sort_by_key(|line| line.get(..12));
            lines.dedup();
        }
        lines.join("\n")
    }
}
