//! `regend simulate` from outside: what it says, what it ends with, and that it leaves nothing behind.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// In an empty directory, with no configuration but the one that is named.
fn simulate(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regend"));
    command.env_clear().current_dir(dir).args(["simulate", "--state-dir", "state"]).args(args);
    command.output().unwrap()
}

#[track_caller]
fn says(dir: &Path, args: &[&str], code: i32) -> String {
    let done = simulate(dir, args);
    let (out, err) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert_eq!(done.status.code(), Some(code), "{args:?}\n{out}{err}");
    assert!(!err.contains("panicked"), "{err}");
    if code == 2 { err } else { out }
}

#[test]
fn it_says_whether_the_policy_fits_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = says(dir.path(), &["--desired", "3", "--runs", "20"], 0);
    assert!(out.contains("It fits: all 20 runs completed"), "{out}");
    let out = says(dir.path(), &["--desired", "8", "--runs", "20", "--set", "window=10m"], 3);
    assert!(out.contains("It does not fit: 0 of 20 runs completed within the window of 10m"), "{out}");
    assert!(out.contains("With `--set max_surge="), "{out}");
    let out = says(dir.path(), &["--desired", "3", "--runs", "20", "--flawed", "100%"], 3);
    assert!(out.contains("Not all runs complete: 0 of 20"), "{out}");
    assert!(out.contains("failed: 2 replacements failed (limit 1)"), "{out}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was written");
}

#[test]
fn a_seed_is_one_story_and_always_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let story = |seed| says(dir.path(), &["--desired", "3", "--seed", seed], 0);
    assert_eq!(story("7"), story("7"));
    assert_ne!(story("7"), story("8"));
    assert!(story("7").contains("every promise kept"));
}

#[test]
fn the_policy_is_the_configurations() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[policy]\nmax_surge = 2\n[[groups]]\nname = \"api-*\"\nmax_surge = 3\n";
    std::fs::write(dir.path().join("regend.toml"), config).unwrap();
    let with = |args: &[&str]| says(dir.path(), &[&["--config", "regend.toml", "--runs", "1"], args].concat(), 0);
    assert!(with(&["api-1"]).contains("max_surge 3"));
    assert!(with(&["other"]).contains("max_surge 2"));
    assert!(with(&["api-1", "--set", "max_surge=50%"]).contains("max_surge 50%"));
}

#[test]
fn programs_read_json() {
    let dir = tempfile::tempdir().unwrap();
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&says(dir.path(), &[&["--output", "json"], args].concat(), 0)).unwrap()
    };
    let spread = json(&["--desired", "2", "--runs", "10"]);
    assert_eq!(
        (&spread["runs"], &spread["fits"], &spread["ends"]["completed"]),
        (&10.into(), &true.into(), &10.into())
    );
    assert!(spread["duration_s"]["p5"].as_u64() <= spread["duration_s"]["p95"].as_u64());
    let timeline = json(&["--desired", "2", "--seed", "3"]);
    assert_eq!((&timeline["end"], &timeline["replaced"]), (&"completed".into(), &2.into()));
    assert!(timeline["timeline"].as_array().unwrap().len() > 5);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("story.toml"), "[group]\ndesird = 4\n[policy]\nwarmup = 3\n").unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["--script", "story.toml"], "2 mistakes in story.toml"),
        (&["--script", "none.toml"], "cannot read none.toml"),
        (&["--script", "story.toml", "--desired", "3"], "cannot be used with"),
        (&["--set", "max_surg=2"], "did you mean \"max_surge\"?"),
        (&["--set", "max_surge=0"], "together prevent every replacement"),
        (&["--desired", "3", "--max", "2"], "desired capacity 3 is not between min 3 and max 2"),
        (&["--boot", "90"], "has no unit"),
        (&["--boot", "90s-45s"], "ends before it begins"),
        (&["--flawed", "2"], "is no percentage"),
    ];
    for (args, word) in cases {
        let err = says(dir.path(), args, 2);
        assert!(err.contains(word), "{word:?} is missing in {err}");
    }
}

/// A group as AWS shows it: the real binary, an AWS-like endpoint, and nothing that changes anything.
#[cfg(feature = "aws")]
#[expect(clippy::panic, reason = "a test that cannot go on fails")]
mod from_aws {
    use chrono::{TimeDelta, Utc};
    use regend::domain::lease::{Lease, TAG};
    use rustix::process::Signal;
    use serde_json::Value;

    use crate::endpoint::{Done, Endpoint, Regend, binary, ids, wait_until};

    /// The words that all must be in what it says, and how it ends.
    #[track_caller]
    fn says(done: &Done, code: i32, words: &[&str]) {
        assert_eq!(done.code, code, "{done}");
        for word in words {
            assert!(done.out.contains(word) || done.err.contains(word), "{word:?} is missing in {done}");
        }
        assert!(!done.out.contains("Bug in regend") && !done.err.contains("panicked"), "{done}");
    }

    fn rehearse(regend: &Regend, group: &str, args: &[&str]) -> Done {
        let runs: &[&str] = if args.contains(&"--seed") { &[] } else { &["--runs", "20"] };
        regend.run(&[&["simulate", "--group-from-aws", group], runs, args].concat())
    }

    /// The line that begins so, without its beginning.
    #[track_caller]
    fn line<'a>(done: &'a Done, begins: &str) -> &'a str {
        let line = done.out.lines().find_map(|line| line.trim().strip_prefix(begins));
        line.map_or_else(|| panic!("no line {begins:?} in {done}"), str::trim)
    }

    #[test]
    fn the_numbers_are_the_groups_and_aws_is_only_read() {
        let endpoint = Endpoint::faithful(&[]);
        let old = |flags: &[&str]| endpoint.seed(&[&["--age", "90000"], flags].concat());
        let made = old(&["--size", "4", "--min", "2", "--max", "10", "--target-groups", "2"]);
        old(&["--group", "full", "--size", "3", "--min", "3", "--max", "3", "--zones", "2"]);
        old(&["--group", "dated", "--size", "2", "--target-groups", "0", "--launch-configuration"]);
        old(&["--group", "guarded", "--size", "2", "--protected"]);
        old(&["--group", "held", "--size", "2"]);
        old(&["--group", "none", "--size", "0", "--min", "0", "--max", "2"]);
        endpoint.show(&["--group", "held", "--suspend", "Launch"]);
        endpoint.forget();
        let regend = Regend::configured(endpoint.port, "[policy]\nmax_surge = 2\n[[groups]]\nname = \"*\"\n");
        let real = |group, args: &[&str]| rehearse(&regend, group, args);

        let done = real("web", &[]);
        says(
            &done,
            0,
            &["web: desired 4 (min 2, max 10) in 3 zones, 2 target groups", "It fits: all 20 runs completed"],
        );
        says(
            &done,
            0,
            &[
                "max_surge 2,",
                "(the configuration's rule for web)",
                "(assumed; the journal has no measurements of this group)",
            ],
        );
        assert_eq!(line(&done, "lowest serving, of 4").split_whitespace().collect::<Vec<_>>(), ["4", "4", "4"]);
        assert_eq!(line(&done, "most members").split_whitespace().collect::<Vec<_>>(), ["6", "6", "6"]);
        assert!(!done.out.contains("note"), "{done}");
        // Each of its instances by its own name, and its replacements by names of the play's.
        let story = real("web", &["--seed", "5", "--output", "json"]);
        says(&story, 0, &[]);
        let told: Value = serde_json::from_str(&story.out).unwrap();
        assert_eq!((&told["stale"], &told["replaced"], &told["serving_min"]), (&4.into(), &4.into(), &4.into()));
        for id in ids(&made["groups"][0]["instances"]) {
            assert!(story.out.contains(&format!("retire {id} (stale, 25h")), "{id}: {story}");
        }
        assert!(story.out.contains("new-4 is serving") && !story.out.contains("new-5"), "{story}");
        assert!(story.out.contains("new-1 (the group's image) serves in its place"), "{story}");
        assert!(!story.out.contains("ami-0000"), "an image is made up: {story}");
        let image = made["image"].as_str().unwrap();
        assert!(image.starts_with("ami-0") && story.out.contains(image), "{image}: {story}");

        let done = real("full", &["--set", "max_surge=1"]);
        says(&done, 0, &["full: desired 3 (min 3, max 3) in 2 zones, 1 target group", "rule for full; and --set"]);
        says(&done, 0, &["note    max size is raised from 3 to 4 for the regeneration"]);
        assert_eq!(line(&done, "most members").split_whitespace().collect::<Vec<_>>(), ["4", "4", "4"]);
        // More time would not help where there is no room.
        let done = real("full", &["--set", "raise_max_size=false", "--set", "window=1h"]);
        says(
            &done,
            3,
            &["It does not fit: 0 of 20 runs", "no room for a surplus: desired capacity 3, max size 3; set"],
        );
        assert!(!done.out.contains("longer window"), "{done}");

        let done = real("dated", &["--seed", "1"]);
        says(
            &done,
            0,
            &["no target group", "LaunchInstances cannot be used", "desired capacity is raised: Auto Scaling launches"],
        );
        let done = real("guarded", &[]);
        says(
            &done,
            3,
            &[
                "not replaced: 2 instances, protected from scale-in",
                "20  incomplete: 2 of 2 stale instances not replaced",
            ],
        );
        let done = real("held", &["--set", "window=1h"]);
        says(
            &done,
            3,
            &["note    would not start now: process Launch is suspended", "incomplete: process Launch is suspended"],
        );
        says(&real("none", &[]), 0, &["none: desired 0", "It fits: there is nothing to replace."]);

        says(&real("wbe", &[]), 2, &["there is no Auto Scaling group `wbe` in default/eu-west-1: did you mean `web`?"]);
        says(&real("*", &[]), 2, &["* matches 6 groups: dated (default, eu-west-1), ", "…; name one of them"]);
        says(&real("web", &["--target-groups", "3"]), 2, &["cannot be used with"]);

        // Nothing was meant to be changed, there or here.
        assert!(endpoint.mutations().is_empty(), "{:?}", endpoint.mutations());
        let calls = endpoint.calls();
        assert!(calls.as_object().unwrap().keys().all(|action| action.starts_with("Describe")), "{calls}");
        assert!(calls["DescribeTargetHealth"].as_u64() >= Some(2), "{calls}");
        assert!(!regend.state_dir().exists());
    }

    #[test]
    fn who_may_not_look_is_told_why() {
        let endpoint = Endpoint::faithful(&[]);
        endpoint.seed(&["--size", "2", "--age", "90000"]);
        let regend = Regend::new(&endpoint, "");
        let mut command = binary();
        command.args(["simulate", "--group-from-aws", "web", "--state-dir"]).arg(regend.state_dir());
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", endpoint.port)).env("AWS_REGION", "eu-west-1");
        let done = Done::from(command.output().unwrap());
        says(&done, 4, &["default in eu-west-1: no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID"]);
        for action in ["DescribeAutoScalingGroups", "DescribeTargetHealth"] {
            endpoint.refuse(action, Some("AccessDenied"));
            says(&rehearse(&regend, "web", &[]), 4, &["is not authorized to perform", action]);
            endpoint.refuse(action, None);
        }
        says(&rehearse(&regend, "web", &[]), 0, &["It fits"]);
        assert!(endpoint.mutations().is_empty());
    }

    #[test]
    fn what_the_journal_has_measured_is_what_is_played() {
        let endpoint = Endpoint::faithful(&["--boot", "1", "--healthy-after", "0.3", "--drain", "0.3"]);
        endpoint.seed(&["--size", "2", "--age", "90000"]);
        let config =
            "[aws]\npoll_interval = \"1s\"\n[policy]\nmax_surge = 2\nwarmup = \"8s\"\n[[groups]]\nname = \"web\"\n";
        let regend = Regend::configured(endpoint.port, config);
        let done = regend.run(&["run", "web", "--yes"]);
        assert_eq!(done.code, 0, "{done}");
        endpoint.forget();
        let entries = regend.audit(&[]);
        let done = rehearse(&regend, "web", &[]);
        says(&done, 0, &["(measured in this group)", "warmup 8s"]);
        // How long it boots does not depend on the warmup that is tried.
        let pace = line(&done, "pace").to_owned();
        for warmup in ["0s", "5m"] {
            let tried = rehearse(&regend, "web", &["--set", &format!("warmup={warmup}")]);
            says(&tried, 0, &[&format!("warmup {warmup}")]);
            assert_eq!(line(&tried, "pace"), pace, "{tried}");
        }
        assert!(pace.starts_with("boot 1s–2s, "), "a boot of a second is rehearsed as {pace}");
        let done = rehearse(&regend, "web", &["--boot", "5m"]);
        says(&done, 0, &["boot 5m, ", "(as described)"]);
        assert!(endpoint.mutations().is_empty(), "{:?}", endpoint.mutations());
        assert_eq!(regend.audit(&[]), entries, "a rehearsal is not recorded");
    }

    #[test]
    fn a_group_that_is_half_way_is_played_without_its_owners_surplus() {
        let endpoint = Endpoint::faithful(&["--boot", "600"]);
        endpoint.seed(&["--size", "2", "--min", "2", "--max", "2", "--age", "90000"]);
        let regend = Regend::new(&endpoint, "max_surge = 1");
        let mut running = regend.start(&["run", "web", "--yes"]);
        wait_until("a launch", || running.said().contains("AWS launches"));
        running.signal(Signal::KILL);
        running.ends_within(std::time::Duration::from_secs(5));
        endpoint.forget();
        // On its own host and on another one.
        for rehearsed in [rehearse(&regend, "web", &[]), rehearse(&Regend::new(&endpoint, "max_surge = 1"), "web", &[])]
        {
            says(
                &rehearsed,
                0,
                &["web: desired 3 (min 2, max 3)", "would not start now: leased by daemon ", "It fits: all 20 runs"],
            );
            assert!(line(&rehearsed, "lowest serving, of 2").starts_with('2'), "{rehearsed}");
        }
        // Its owner is dead: what it left is undone, and what it launched is fresh.
        let left: Lease = endpoint.group("web")["tags"][TAG].as_str().unwrap().parse().unwrap();
        endpoint.retag("web", TAG, &Lease { until: Utc::now() - TimeDelta::minutes(3), ..left }.to_string());
        let story = rehearse(&Regend::new(&endpoint, "max_surge = 1"), "web", &["--seed", "1"]);
        says(&story, 0, &["max size is restored", "replaced 2 of 2", "most members 3", "every promise kept"]);
        assert!(endpoint.mutations().is_empty(), "{:?}", endpoint.mutations());
    }
}
