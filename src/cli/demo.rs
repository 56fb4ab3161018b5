//! `regend demo`: runs the production control loop on a simulated group, faster than real time, and then lists the
//! journal.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use clap::{Args, Parser};

use crate::adapters::journal;
use crate::domain::action::Outcome;
use crate::domain::group::GroupKey;
use crate::domain::journal::{Kind, Trigger};
use crate::domain::opening::Opener;
use crate::domain::policy::{Policy, Share};
use crate::domain::span::{Span, Time};
use crate::engine::clock::{Clock, Runtime, Task, Wall};
use crate::engine::fleet::{Ended, Fleet, RunRequest, Settings, Watch};
use crate::engine::lookup;
use crate::engine::ports::{Filter, History};
use crate::harness::SimCloud;
use crate::sim::event::{Event, Which};
use crate::sim::group::Shape;
use crate::sim::group_behavior::GroupBehavior;
use crate::sim::world::World;

use super::show::Show;
use super::{Cli, Command, Failure, audit, exit, print, say};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Simulated seconds per real second
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
}

const INTRODUCTION: &str = "\
A simulated group `web`: 8 instances in 3 zones, in 2 target groups, all 24 h old.
During the regeneration one replacement never becomes healthy, one old instance fails, and an operator scales out.
The control loop, the decisions and the journal are the production code. Only AWS and the time are simulated.
";

/// The kinds of entries that are listed at the end.
const LISTED: &str = "regeneration.*,group.changed,instance.failed,instance.lost,retire.intended";

pub(super) async fn demo(args: &DemoArgs) -> Result<u8, Failure> {
    let state_dir = temporary()?;
    let journal = journal::open(&state_dir)?;
    let clock = Fast::new(args.speed);
    super::stop_on_signals(&clock.wall, exit::HELD, || "nothing was changed".to_owned());
    let key = GroupKey { account: "demo".to_owned(), region: "eu-west-1".to_owned(), name: "web".to_owned() };
    let world = std::rc::Rc::new(std::cell::RefCell::new(world(&key, clock.now())));
    let settings = Settings { poll: Span::seconds(5), ..Settings::default() };
    let show = Rc::new(RefCell::new(Show::new(std::io::stderr().is_terminal())));
    let shown = Rc::clone(&show);
    let watch: Watch = Rc::new(move |event| shown.borrow_mut().event(&event));
    let fleet = Fleet::new(SimCloud::new(world, clock.clone()), journal, clock.clone(), settings, watch);
    let policy = Policy {
        max_surge: Share::Count(3),
        warmup: Span::seconds(10),
        health_timeout: Span::minutes(2),
        ..Policy::default()
    };
    let opener = Opener {
        actor: "user:demo".to_owned(),
        trigger: Trigger::Manual,
        reason: Some("demonstration".to_owned()),
        daemon: fleet.journal.writer().to_owned(),
        window_ends: policy.window.after(clock.now()),
        firing: None,
        take_over: false,
    };
    say(INTRODUCTION);
    fleet.request([RunRequest { key: key.clone(), policy, opener, hold: None }]);
    fleet.run().await?;
    show.borrow_mut().finish();
    let code = match fleet.end_of(&key) {
        Some(Ended::Closed(Outcome::Completed)) => exit::DONE,
        Some(_) => exit::FAILED,
        None => exit::HELD,
    };
    let command = format!("regend --state-dir {} audit", state_dir.display());
    print(format!("\nThe main journal entries (`{command} list --kind '{LISTED}'`):\n\n"))?;
    let asked = ["regend", "audit", "list", "--kind", LISTED];
    if let Ok(Cli { command: Command::Audit(args), .. }) = Cli::try_parse_from(asked) {
        audit::run(&args, &state_dir, &mut std::io::stdout().lock()).await?;
    }
    print(format!("\nThe journal is kept in {}. More queries:\n\n", state_dir.display()))?;
    print(format!("  {command} list --reverse --limit 20\n  {command} list --output json\n"))?;
    if let Some(instance) = first_retired(&fleet.journal).await? {
        print(format!("  {command} instance {instance}\n"))?;
    }
    Ok(code)
}

/// The group, and what happens to it.
fn world(key: &GroupKey, now: Time) -> World {
    let mut world = World::new(8).starting_at(now);
    let shape = Shape { min: 4, max: 16, desired: 8, zones: 3, target_groups: vec![true, true], age: Span::hours(24) };
    let behavior = GroupBehavior { boot: (35, 55), health: (15, 25), drain: 60, ..GroupBehavior::default() };
    world.add(key.clone(), &shape, behavior);
    // At 58 s the first replacements are in service, and not yet healthy in any target group.
    let story = [(58, Event::Sicken(Which::Newest)), (95, Event::Kill(Which::Oldest)), (260, Event::SetDesired(10))];
    for (seconds, event) in story {
        world.schedule(Span::seconds(seconds).after(now), key, event);
    }
    world
}

/// The first instance that was retired, as an example for `audit instance`.
async fn first_retired(journal: &impl History) -> Result<Option<String>, Failure> {
    let filter = Filter { kinds: Some([Kind::RetireIntended].into()), limit: Some(1), ..Filter::default() };
    let Some(stored) = lookup::list(journal, &filter).await?.next().await? else { return Ok(None) };
    Ok(journal.parse(&stored)?.event.instance().map(ToString::to_string))
}

/// A new directory, which is kept after the program ends so that its journal can be queried.
fn temporary() -> Result<PathBuf, Failure> {
    let dir = std::env::temp_dir().join(format!("regend-demo-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| Failure {
        code: exit::UNREACHABLE,
        message: format!("cannot create the directory {} for the demo's journal: {error}", dir.display()),
    })?;
    Ok(dir)
}

/// A clock that runs faster than real time. It starts in the past, so that the demonstration ends at about the present.
#[derive(Clone)]
struct Fast {
    wall: Wall,
    began: Instant,
    start: Time,
    speed: u32,
}

impl Fast {
    fn new(speed: u32) -> Self {
        Self { wall: Wall::default(), began: Instant::now(), start: Utc::now() - TimeDelta::minutes(15), speed }
    }
}

impl Clock for Fast {
    fn now(&self) -> Time {
        let passed = self.began.elapsed() * self.speed;
        self.start + TimeDelta::from_std(passed).unwrap_or_default()
    }

    async fn sleep(&self, time: TimeDelta) {
        let left = time.to_std().unwrap_or_default() / self.speed;
        tokio::select! {
            () = tokio::time::sleep(left.max(Duration::from_millis(1))) => {}
            () = self.wall.stopped() => {}
        }
    }

    fn stopping(&self) -> bool {
        self.wall.stopping()
    }

    async fn stopped_for(&self, grace: Span) {
        self.wall.stopped_for(grace).await;
    }
}

impl Runtime for Fast {
    fn spawn(&self, task: Task) {
        self.wall.spawn(task);
    }
}
