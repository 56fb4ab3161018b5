//! Which firings open a regeneration and which are recorded as missed, by the scheduler; and that `regend status`, which
//! asks the same journal, says so beforehand. The schedule is 03:00 UTC with a window until 07:00.

use std::cell::RefCell;
use std::rc::Rc;

use expect_test::{Expect, expect};
use regend::domain::action::{Action, Answer};
use regend::domain::activity::Activity;
use regend::domain::group::{GroupKey, Numbers};
use regend::domain::journal::{Entry, Event, Nothing, Trigger};
use regend::domain::opening::Opener;
use regend::domain::policy::{Policy, Share};
use regend::domain::span::{Span, Time};
use regend::engine::clock::Clock;
use regend::engine::daemon_times::DaemonTimes;
use regend::engine::discovery;
use regend::engine::firings::{Firings, Scheduled};
use regend::engine::fleet::{RunRequest, Settings};
use regend::engine::ports::{Ask, Cloud, CloudError, Groups, Journal, Observations, Place};
use regend::engine::scheduler::Scheduler;
use regend::harness::{MemoryJournal, Process, Progress, Shared, SimCloud, VirtualClock};
use regend::sim::group::Shape;
use regend::sim::group_behavior::{GroupBehavior, Image};
use regend::sim::world::World;
use tokio::sync::mpsc::UnboundedReceiver;

mod missed;
mod opens;

fn at(text: &str) -> Time {
    format!("2026-11-{text}:00Z").parse().unwrap()
}

fn key(region: &str) -> GroupKey {
    GroupKey { account: "default".into(), region: region.into(), name: "web".into() }
}

fn policy() -> Policy {
    Policy {
        schedule: "0 3 * * *".parse().unwrap(),
        timezone: "UTC".parse().unwrap(),
        window: Span::hours(4),
        max_surge: Share::Count(1),
        ..Policy::default()
    }
}

/// What is wrong with AWS.
#[derive(Clone, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// Nothing may be read.
    Denied,
    /// This region never answers.
    Hangs(&'static str),
}

struct Wire {
    aws: SimCloud<VirtualClock>,
    trouble: Rc<RefCell<Trouble>>,
}

impl Wire {
    fn denied(&self) -> Option<CloudError> {
        let action = "autoscaling:DescribeAutoScalingGroups".to_owned();
        let is_denied = *self.trouble.borrow() == Trouble::Denied;
        is_denied.then(|| CloudError::Forbidden { action, message: "not authorized".to_owned() })
    }
}

impl Cloud for Wire {
    fn places(&self) -> Vec<Place> {
        self.aws.places()
    }

    async fn list(&self, place: &Place) -> Result<Groups, CloudError> {
        let hangs = matches!(&*self.trouble.borrow(), Trouble::Hangs(region) if *region == place.1);
        if hangs {
            std::future::pending::<()>().await;
        }
        match self.denied() {
            Some(error) => Err(error),
            None => self.aws.list(place).await,
        }
    }

    async fn look(&self, asks: &[Ask]) -> Observations {
        match self.denied() {
            Some(error) => asks.iter().map(|ask| (ask.key.clone(), Err(error.clone()))).collect(),
            None => self.aws.look(asks).await,
        }
    }

    async fn numbers(&self, group: &GroupKey) -> Result<Option<Numbers>, CloudError> {
        self.aws.numbers(group).await
    }

    async fn activities(&self, group: &GroupKey, since: Time) -> Result<Vec<Activity>, CloudError> {
        self.aws.activities(group, since).await
    }

    async fn perform(&self, group: &GroupKey, action: &Action) -> Answer {
        self.aws.perform(group, action).await
    }
}

/// A world with one group in each region, and the journal of a host.
struct Site {
    world: Shared,
    journal: MemoryJournal,
    trouble: Rc<RefCell<Trouble>>,
}

impl Site {
    /// It begins at midnight before the 20th. The groups are some weeks old.
    fn new(regions: &[&str]) -> Self {
        let mut world = World::new(7).starting_at(at("20T00:00"));
        for region in regions {
            add(&mut world, region);
        }
        let world = Rc::new(RefCell::new(world));
        let journal = MemoryJournal::new("host", Rc::clone(&world));
        Self { world, journal, trouble: Rc::default() }
    }

    fn suffer(&self, trouble: Trouble) {
        self.trouble.replace(trouble);
    }

    fn now(&self) -> Time {
        self.world.borrow().now()
    }

    /// Lets time pass without any process.
    fn pass(&self, until: &str) {
        self.world.borrow_mut().advance_to(at(until));
    }

    fn process(&self, config: &str, is_daemon: bool) -> Process<Wire> {
        let settings = Settings { config: Some(config.to_owned()), is_daemon, ..Settings::default() };
        let cloud = |clock: &VirtualClock| Wire {
            aws: SimCloud::new(Rc::clone(&self.world), clock.clone()),
            trouble: Rc::clone(&self.trouble),
        };
        Process::new(cloud, self.journal.reopened().unwrap(), settings, Rc::new(|_| {}))
    }

    /// Starts a daemon with a configuration.
    fn start(&self, config: &str) -> Daemon<'_> {
        let process = self.process(config, true);
        self.mark(&process, Event::DaemonStarted(Nothing {}));
        process.block_on(process.fleet.resume(|_| true)).unwrap().unwrap();
        let scheduler = process.block_on(Scheduler::new(Vec::new(), &process.fleet)).unwrap().unwrap();
        let listings = discovery::watch(&process.fleet);
        Daemon { site: self, process, scheduler, listings }
    }

    fn mark(&self, process: &Process<Wire>, event: Event) {
        let config = process.fleet.settings.config.clone();
        let mark = Entry { config, ..Entry::new(event, self.now(), "user:root") };
        process.block_on(process.fleet.journal.append(mark)).unwrap().unwrap();
    }

    /// Runs a daemon between two times, and stops it.
    fn daemon(&self, config: &str, from: &str, until: &str) {
        self.pass(from);
        let mut daemon = self.start(config);
        daemon.live(until);
        daemon.stop();
    }

    /// `regend run web`, from this time until it ends.
    fn run(&self, from: &str) {
        self.pass(from);
        let process = self.process("a", false);
        let opener = Opener {
            actor: "user:ops".into(),
            trigger: Trigger::Manual,
            reason: None,
            daemon: "host".into(),
            window_ends: policy().window.after(self.now()),
            firing: None,
            take_over: false,
        };
        process.fleet.request([RunRequest { key: key("eu-west-1"), policy: policy(), opener, hold: None }]);
        while !matches!(process.step(None).unwrap(), Progress::Idle) {}
    }

    /// NEXT of `regend status`.
    fn next(&self, config: &str) -> String {
        let process = self.process(config, false);
        let (history, now) = (&process.fleet.journal, self.now());
        let daemons = process.block_on(DaemonTimes::read(history, now)).unwrap().unwrap();
        let firings = Firings { history, daemons: &daemons, config: Some(config) };
        let created = self.world.borrow().group(&key("eu-west-1")).map(|group| group.created);
        let group = Scheduled { key: key("eu-west-1"), policy: policy(), created };
        match process.block_on(firings.next(&group, now)).unwrap().unwrap() {
            Some(next) if next == now => "now".to_owned(),
            Some(next) => next.format("%d %H:%M").to_string(),
            None => "never".to_owned(),
        }
    }

    /// What the journal says of regenerations: each that opened, and what was not opened and why.
    #[track_caller]
    fn check(&self, expect: Expect) {
        let mut out = String::new();
        for entry in self.journal.entries().iter() {
            let place = entry.region.as_deref().unwrap_or_default();
            let firing = |firing: Option<&str>| {
                firing.map_or_else(|| "no firing".to_owned(), |firing| firing[8..16].replace('T', " "))
            };
            let line = match &entry.event {
                Event::RegenerationOpened(opened) => format!("opened for {}", firing(opened.firing.as_deref())),
                Event::RegenerationClosed(closed) => format!("closed: {}", closed.outcome.word()),
                Event::RegenerationMissed(missed) | Event::RegenerationSkipped(missed) => {
                    let (firing, cause) = (firing(missed.firing.as_deref()), &missed.cause);
                    format!("{} {firing}: {}: {}", entry.kind().as_str(), cause.code, cause.message)
                }
                _ => continue,
            };
            out += &format!("{} {place} {line}\n", entry.t.format("%d %H:%M"));
        }
        expect.assert_eq(&out);
    }
}

fn add(world: &mut World, region: &str) {
    let shape = Shape { min: 1, max: 3, desired: 2, zones: 2, target_groups: vec![true], age: Span::hours(90 * 24) };
    world.add(key(region), &shape, GroupBehavior::default());
}

/// A running daemon. One that is dropped was killed.
struct Daemon<'a> {
    site: &'a Site,
    process: Process<Wire>,
    scheduler: Scheduler,
    listings: UnboundedReceiver<(Place, Result<Groups, CloudError>)>,
}

impl Daemon<'_> {
    /// The loop of `regend daemon`.
    fn live(&mut self, until: &str) {
        let until = at(until);
        while self.site.now() < until {
            self.process.pass(Some(self.site.now())).unwrap();
            while let Ok((place, groups)) = self.listings.try_recv() {
                let scheduled = |(key, listed): (GroupKey, regend::engine::ports::Listed)| Scheduled {
                    key,
                    policy: policy(),
                    created: listed.created,
                };
                let groups = groups.map(|groups| groups.into_iter().map(scheduled).collect());
                self.scheduler.set_groups(&place, self.process.clock.now(), groups);
            }
            let wake = self.process.block_on(self.scheduler.request_due(&self.process.fleet, until)).unwrap().unwrap();
            self.process.pass(Some(wake.min(until))).unwrap();
        }
    }

    fn stop(self) {
        self.site.mark(&self.process, Event::DaemonStopped(Nothing {}));
    }
}
