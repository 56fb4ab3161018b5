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
    assert!(out.contains("Time would suffice with `--set max_surge="), "{out}");
    let out = says(dir.path(), &["--desired", "3", "--runs", "20", "--flawed", "100%"], 3);
    assert!(out.contains("Not all complete: 0 of 20"), "{out}");
    assert!(out.contains("failed: 2 replacements failed, and max_failures allows 1"), "{out}");
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
    let story = json(&["--desired", "2", "--seed", "3"]);
    assert_eq!((&story["end"], &story["replaced"]), (&"completed".into(), &2.into()));
    assert!(story["story"].as_array().unwrap().len() > 5);
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
        (&["--set", "max_surge=0"], "nothing can ever be replaced"),
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
