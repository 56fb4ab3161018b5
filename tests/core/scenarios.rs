//! Every script of `tests/scenarios`, played as `regend simulate --script` plays it, against the transcript beside it.
//!
//! `REGEND_BLESS=1 cargo test --no-default-features --features daemon --test core scenarios` writes the transcripts anew:
//! read the difference before it is committed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use regend::adapters::config::script::parse;
use regend::cli::simulate::transcript;
use regend::domain::group::Group;
use regend::domain::lease::Lease;
use regend::domain::policy::Policy;
use regend::domain::span::Span;
use regend::harness::play::play;
use regend::sim::script::Script;
use uuid::Uuid;

mod script;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn scripts() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_scenario_matches_its_transcript() {
    let bless = std::env::var_os("REGEND_BLESS").is_some();
    let mut failures = String::new();
    for path in scripts() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).unwrap();
        let (told, story) = match transcript(&path, &source) {
            Ok(told) => told,
            Err(error) => {
                _ = writeln!(failures, "{name}: {error}");
                continue;
            }
        };
        for broken in &story.run.broken {
            _ = writeln!(failures, "{name}: {broken}");
        }
        let transcript = path.with_extension("txt");
        if bless {
            fs::write(&transcript, &told).unwrap();
            continue;
        }
        let before = fs::read_to_string(&transcript).unwrap_or_default();
        if before != told {
            _ = writeln!(failures, "{name}: (- transcript, + now)\n{}", difference(&before, &told));
        }
    }
    assert!(failures.is_empty(), "{failures}\nREGEND_BLESS=1 writes the transcripts anew");
}

/// The lines from the first that differs to the last, with one before them.
fn difference(before: &str, now: &str) -> String {
    const SHOWN_MAX: usize = 12;
    let (before, now): (Vec<_>, Vec<_>) = (before.lines().collect(), now.lines().collect());
    let same = before.iter().zip(&now).take_while(|(a, b)| a == b).count();
    let tail = before[same..].iter().rev().zip(now[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    if let Some(last) = same.checked_sub(1).and_then(|n| now.get(n)) {
        _ = writeln!(text, "    {last}");
    }
    for (mark, lines) in [('-', &before[same..before.len() - tail]), ('+', &now[same..now.len() - tail])] {
        for line in lines.iter().take(SHOWN_MAX) {
            _ = writeln!(text, "  {mark} {line}");
        }
        if lines.len() > SHOWN_MAX {
            _ = writeln!(text, "  {mark} … and {} more", lines.len() - SHOWN_MAX);
        }
    }
    text
}

#[test]
fn every_script_says_what_it_is_about_and_every_transcript_has_its_script() {
    let scripts = scripts();
    assert!(scripts.len() >= 25, "{} scenarios", scripts.len());
    for path in &scripts {
        let first = fs::read_to_string(path).unwrap().lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with("# ") && first.len() > 30, "{} does not begin by saying why", path.display());
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        assert!(scripts.contains(&path.with_extension("toml")), "{} belongs to no script", path.display());
    }
}

#[test]
fn a_group_as_it_was_seen_is_where_a_play_begins() {
    let source = r#"
        [group]
        min = 2
        desired = 5
        max = 9
        target_groups = ["in use", "no listener"]
        [[events]]
        at = "0s"
        protect = 2
        [[events]]
        at = "0s"
        standby = "oldest"
        [[events]]
        at = "0s"
        sicken = 3
        [[events]]
        at = "0s"
        suspend = "AZRebalance"
    "#;
    let script = parse(Path::new("story.toml"), source).unwrap();
    let mut world = script.world(1);
    world.advance_to(Span::hours(1).after(script.begins()));
    let seen = world.look(&script.key).unwrap();
    let observed = Script::observed(&seen, Policy::default());
    let again = observed.world(7).look(&observed.key).unwrap();
    let sorted = |group: &Group| {
        let mut instances = group.instances.clone();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        (instances, group.min, group.desired, group.max, group.zones.clone(), group.suspended.clone())
    };
    assert_eq!(sorted(&seen), sorted(&again));
    assert_eq!((&seen.target_groups, seen.seen), (&again.target_groups, again.seen));
    let run = play(&observed, 7, std::rc::Rc::new(|_| {}));
    assert!(run.broken.is_empty(), "{:?}", run.broken);
    assert_eq!((run.stale, run.replaced), (5, 3), "one is protected, one in standby: {:?}", run.end);
}

#[test]
fn a_group_that_a_lost_owner_left_with_shifted_limits_ends_as_it_was_before() {
    let source = r#"
        [group]
        min = 3
        desired = 3
        max = 5
    "#;
    let script = parse(Path::new("story.toml"), source).unwrap();
    let mut seen = script.world(1).look(&script.key).unwrap();
    let until = Span::hours(1).before(seen.seen);
    let lease = Lease {
        regeneration: Uuid::from_u128(7),
        cutoff: until,
        daemon: "lost-host".to_owned(),
        until,
        wanted: 2.into(),
        surge: 1.into(),
        min: Some(2.into()),
        max: 4.into(),
        max_allowed: 5.into(),
    };
    seen.lease = Some(lease.to_string());
    let observed = Script::observed(&seen, Policy::default());
    let run = play(&observed, 7, std::rc::Rc::new(|_| {}));
    assert!(run.broken.is_empty(), "{:?}", run.broken);
}
