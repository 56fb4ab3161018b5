//! Flags, exit codes, messages and signals: the real executable, used as an operator or a script uses it.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::endpoint::{Done, Endpoint, Regend, Running, SlowWire, binary, ids, wait_until};

const RULE: &str = "[aws]\npoll_interval = \"1s\"\n[policy]\nwarmup = \"0s\"\n[[groups]]\nname = \"*\"\n";

/// The exit code, every one of these words on stderr, and nothing on stdout.
#[track_caller]
fn assert_refused(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{done}");
    assert_eq!(done.out, "", "{done}");
    for word in words {
        assert!(done.err.contains(word), "{word:?} is missing in {done}");
    }
    assert!(!done.err.contains("panicked"), "{done}");
}

#[track_caller]
fn assert_untouched(endpoint: &Endpoint) {
    let calls = endpoint.mutations();
    assert!(calls.is_empty(), "AWS was changed: {calls:?}");
}

fn run(command: &mut Command) -> Done {
    Done::from(command.stdin(Stdio::null()).output().unwrap())
}

/// In a shell, with the binary and its arguments as "$@".
fn in_shell(script: &str, inner: &Command) -> Command {
    wrap(Command::new("sh").arg("-c").arg(script).arg("sh"), inner)
}

/// On a terminal of its own.
fn on_terminal(inner: &Command) -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    wrap(Command::new(python).arg("-c").arg(spawn), inner)
}

fn wrap(outer: &mut Command, inner: &Command) -> Command {
    let mut command = Command::new(outer.get_program());
    command.args(outer.get_args()).arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

// ── What was typed and configured ─────────────────────────────────────────────────────────────────

#[test]
fn mistakes_in_the_configuration_are_named_before_anything_is_asked_of_aws() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.set_nonblocking(true).unwrap();
    let port = nobody.local_addr().unwrap().port();
    let cases: &[(&str, &[&str])] = &[
        ("[policy]\nmax_surg = 1", &["regend.toml:2:1: policy.max_surg: unknown key", "did you mean \"max_surge\"?"]),
        ("[policy]\nwindow = 4", &["policy.window: 4 has no unit", "write for example \"4s\""]),
        ("[policy]\nwarmup = \"3 parsecs\"", &["regend.toml:2:10: policy.warmup:", "parsecs"]),
        ("[policy]\nwindow = \"0s\"", &["policy.window: 0s is out of range", "more than \"0s\""]),
        ("[policy]\nschedule = \"0 3 31 2 *\"", &["policy.schedule: \"0 3 31 2 *\" never fires"]),
        ("[policy]\ntimezone = \"Europe/Berln\"", &["is not a time zone; did you mean \"Europe/Berlin\"?"]),
        (
            "[[groups]]\nname = \"web\"\n[[groups]]\nname = \"web\"",
            &["the rule in line 3 matches the same groups as the one in line 1"],
        ),
        (
            "[[groups]]\nname = \"web\"\naccount = \"prod\"",
            &["\"prod\" is not a configured account", "[[aws.accounts]]"],
        ),
        ("[policy\nwindow = \"4h\"", &["regend.toml:1:", "TOML syntax"]),
        (
            "[policy]\nwindow = 4\nmax_surg = 1",
            &["2 mistakes in", "regend.toml:2:10: policy.window", "regend.toml:3:1: policy.max_surg"],
        ),
    ];
    for (config, words) in cases {
        let regend = Regend::configured(port, config);
        for args in
            [&["run", "web", "--yes"][..], &["plan", "web"], &["status"], &["check"], &["daemon"], &["audit", "list"]]
        {
            assert_refused(&regend.run(args), 2, words);
        }
        assert!(!regend.state_dir().exists(), "a state directory was made for a configuration that is wrong");
    }
    let regend = Regend::configured(port, RULE);
    let dir = regend.dir.path();
    std::fs::write(dir.join("latin1.toml"), b"[policy] # \xe4").unwrap();
    for (path, words) in [
        ("missing.toml", &["there is no configuration file", "missing.toml", "--config"][..]),
        ("", &["cannot read", "name a readable file"]),
        ("latin1.toml", &["cannot read", "latin1.toml", "UTF-8"]),
    ] {
        let path = dir.join(path);
        assert_refused(&regend.run(&["run", "web", "--yes", "--config", path.to_str().unwrap()]), 2, words);
    }
    assert!(nobody.accept().is_err(), "AWS was asked");
}

#[test]
fn what_was_mistyped_is_answered_with_what_may_have_been_meant() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["stauts"], &["unrecognized subcommand 'stauts'", "'status'"]),
        (&["plna"], &["unrecognized subcommand 'plna'", "'plan'"]),
        (&["rnu"], &["unrecognized subcommand 'rnu'", "'run'"]),
        (&["audit", "lst"], &["unrecognized subcommand 'lst'", "'list'"]),
        (&["run"], &["no group is named", "`regend run web api-*`", "`regend run --all` every group"]),
        (
            &["run", "web", "--all"],
            &["--all cannot be combined with names of groups", "`regend run --all` every group"],
        ),
        (&["run", "web", "--ye"], &["unexpected argument '--ye'", "'--yes'"]),
        (&["plan", "web", "--output", "xml"], &["invalid value 'xml'", "text, json"]),
        (
            &["run", "--all", "--yes"],
            &["--all regenerates every group that a [[groups]] rule matches, but the configuration has no such rule"],
        ),
        (&["daemon"], &["the configuration has no [[groups]]", "name = \"*\""]),
        (&["audit", "list", "--since", "tomorrowish"], &["\"tomorrowish\" is not a time", "2d"]),
    ];
    let regend = Regend::configured(1, "");
    run(regend.command(&["check"]).env_remove("AWS_REGION"));
    for (args, words) in cases {
        let done = regend.run(args);
        assert_refused(&done, 2, words);
    }
    // Without anything it says what there is.
    let done = run(&mut binary());
    assert_eq!((done.code, done.out.as_str()), (2, ""), "{done}");
    assert!(done.err.contains("Usage: regend"), "{done}");
}

const COMMANDS: [&[&str]; 13] = [
    &["run"],
    &["plan"],
    &["status"],
    &["check"],
    &["daemon"],
    &["demo"],
    &["audit"],
    &["audit", "list"],
    &["audit", "show"],
    &["audit", "instance"],
    &["generate"],
    &["generate", "man"],
    &["generate", "completions"],
];

#[test]
fn every_command_explains_itself() {
    let mut slowest = Duration::ZERO;
    for args in COMMANDS.iter().chain([&[][..]].iter()) {
        let began = Instant::now();
        let done = run(binary().args(*args).arg("--help"));
        slowest = slowest.max(began.elapsed());
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{args:?}: {done}");
        for word in ["Usage: regend", &args.join(" "), "--state-dir", "--config"] {
            assert!(done.out.contains(word), "{args:?}: {word:?} is missing in {done}");
        }
        assert!(!done.out.contains('\u{1b}'), "colours without a terminal: {done}");
    }
    let done = run(binary().arg("--version"));
    assert_eq!(done.out, format!("regend {}\n", env!("CARGO_PKG_VERSION")));
    println!("the slowest --help took {slowest:?}");
}

#[test]
fn the_man_page_and_the_completions_are_whole() {
    let page = run(binary().args(["generate", "man"]));
    assert_eq!((page.code, page.err.as_str()), (0, ""), "{page}");
    let plain = page.out.replace("\\-", "-");
    for command in COMMANDS.iter().filter(|command| command[0] != "generate") {
        let heading = match command {
            [one] => format!(".SH COMMAND: {}", one.to_uppercase()),
            nested => format!(".SS regend {}", nested.join(" ")),
        };
        assert!(plain.contains(&heading), "{heading} is missing in the man page");
    }
    for word in ["-y, --yes", "--state-dir", "possible values: text, json", "Exit codes"] {
        assert!(plain.contains(word), "{word} is missing in the man page");
    }
    let looks = |word: &&str| word.contains(":Describe");
    let permissions: Vec<_> = plain.split(|c: char| !c.is_alphanumeric() && c != ':').filter(looks).collect();
    assert!(permissions.len() >= 10, "{permissions:?}");
    for permission in permissions.iter().map(|word| word.trim_start_matches("fB")) {
        let written = include_str!("../../docs/iam-policy.md").contains(&format!("\"{permission}\""));
        assert!(written, "docs/iam-policy.md lacks {permission}");
    }
    if Path::new("/usr/bin/groff").exists() {
        let mut groff = Command::new("groff");
        let mut groff = groff.args(["-ww", "-man", "-z"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        groff.stdin.take().unwrap().write_all(page.out.as_bytes()).unwrap();
        let done = Done::from(groff.wait_with_output().unwrap());
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{done}");
    }
    for (shell, word) in [("bash", "complete -F _regend"), ("zsh", "#compdef regend"), ("fish", "complete -c regend")] {
        let made = run(binary().args(["generate", "completions", shell]));
        assert_eq!((made.code, made.err.as_str()), (0, ""), "{made}");
        assert!(made.out.contains(word) && made.out.contains("dry-run"), "{shell}: {}", made.out);
        if shell == "bash" {
            let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            bash.stdin.take().unwrap().write_all(made.out.as_bytes()).unwrap();
            let done = Done::from(bash.wait_with_output().unwrap());
            assert_eq!((done.code, done.err.as_str()), (0, ""), "{done}");
        }
    }
}

#[test]
fn colours_are_for_terminals_unless_no_color() {
    let help = |no_color: bool| {
        let mut command = binary();
        command.arg("--help").env("TERM", "xterm-256color");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        run(&mut on_terminal(&command))
    };
    assert!(help(false).out.contains('\u{1b}'));
    assert!(!help(true).out.contains('\u{1b}'));
}

// ── What is printed, and to whom ──────────────────────────────────────────────────────────────────

#[test]
fn answers_go_to_stdout_alone_and_a_closed_pipe_ends_them_quietly() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--count", "2", "--size", "2"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let state = regend.state_dir();
    let state = ["--state-dir", state.to_str().unwrap()];
    // Global options before the command; `run` puts them after it.
    let mut before = binary();
    before.args(state).args(["--config", regend.dir.path().join("regend.toml").to_str().unwrap(), "plan"]);
    let elsewhere = regend.command(&[]);
    before.envs(elsewhere.get_envs().filter_map(|(k, v)| Some((k, v?))).filter(|(k, _)| *k != "REGEND_CONFIG"));
    let (before, after) = (run(&mut before), regend.run(&["plan"]));
    assert_eq!((before.code, after.code), (0, 0), "{before}{after}");
    assert!(before.out.contains("web-02 (default, eu-west-1)") && before.err.is_empty(), "{before}");

    let lines = |done: &Done| -> Vec<Value> {
        done.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {done}"))).collect()
    };
    for args in [&["plan"][..], &["status"], &["run", "--all", "--dry-run"], &["run", "--all", "--yes"], &["status"]] {
        let done = regend.run(&[args, &["--output", "json"]].concat());
        assert_eq!(done.code, 0, "{args:?}: {done}");
        let found = lines(&done);
        assert_eq!(found.len(), 2, "{args:?}: {done}");
        assert!(found.iter().all(|line| line["group"].to_string().contains("web-0")), "{args:?}: {done}");
    }
    let nothing = Regend::configured(endpoint.port, "");
    assert_eq!(nothing.run(&["status", "--output", "json"]).out, "", "no group is no line");

    for command in [
        &["--help"][..],
        &["plan"],
        &["status"],
        &["check"],
        &["run", "--all", "--dry-run"],
        &["audit", "list"],
        &["audit", "list", "--output", "json"],
        &["generate", "man"],
        &["generate", "completions", "zsh"],
    ] {
        let done = run(&mut in_shell("{ \"$@\"; echo \"ended with $?\" >&2; } | :", &regend.command(command)));
        assert_eq!(done.err, "ended with 0\n", "{command:?}: {done}");
    }
    // Nobody reads what it says: that is no reason to leave a group half-way.
    let started = regend.audit(&["--kind", "regeneration.closed"]).len();
    let done = run(&mut in_shell("\"$@\" 2>&1 >/dev/null | :", &regend.command(&["run", "web-01", "--yes", "-v"])));
    assert_eq!(done.code, 0, "{done}");
    wait_until("the run whose reader left has closed", || {
        regend.audit(&["--kind", "regeneration.closed", "--outcome", "completed"]).len() == started + 1
    });
}

#[test]
fn it_asks_on_a_terminal_and_refuses_to_guess_without_one() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let done = regend.run(&["run", "web"]);
    assert_refused(
        &done,
        2,
        &["replace 2, ", "nothing was changed: confirmation needs a terminal; without one, pass --yes"],
    );
    for (answer, code, word) in [("n\n", 3, "nothing was changed"), ("\n", 3, "nothing was changed")] {
        let mut asked = on_terminal(&regend.command(&["run", "web"]));
        let mut asked = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        asked.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let done = Done::from(asked.wait_with_output().unwrap());
        assert_eq!(done.code, code, "{done}");
        assert!(done.out.contains("Replace 2 instances in 1 group? [y/N]") && done.out.contains(word), "{done}");
    }
    assert_untouched(&endpoint);
    let mut asked = on_terminal(&regend.command(&["run", "web"]));
    let mut asked = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    asked.stdin.take().unwrap().write_all(b"y\n").unwrap();
    let done = Done::from(asked.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{done}");
    assert!(done.out.contains("web: completed, 2 replaced"), "{done}");
}

// ── AWS ───────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn who_may_not_or_cannot_ask_aws_is_told_what_is_missing() {
    let endpoint = Endpoint::faithful(&[]);
    endpoint.seed(&["--size", "2", "--age", "90000"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let commands = [&["run", "web", "--yes"][..], &["plan", "web"], &["status", "web"]];
    let without = |variables: &[&str], args: &[&str]| {
        let mut command = regend.command(args);
        for variable in variables {
            command.env_remove(variable);
        }
        run(&mut command)
    };
    for args in commands {
        let done = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], args);
        let says = "default in eu-west-1: no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give";
        assert_refused(&done, 4, &[says, "(no credentials found in chain)"]);
        assert!(done.err.len() < 170, "too long: {done}");
        assert_eq!(done.err.matches("no AWS credentials").count(), 1, "said twice: {done}");
        assert_refused(&without(&["AWS_REGION"], args), 4, &["no AWS region is set: set AWS_REGION"]);
        for (action, says) in [
            ("DescribeAutoScalingGroups", "no permission for autoscaling:DescribeAutoScalingGroups"),
            ("DescribeTargetHealth", "no permission for elasticloadbalancing:DescribeTargetHealth"),
        ] {
            endpoint.refuse(action, Some("AccessDenied"));
            let done = regend.run(args);
            assert_eq!(done.code, 4, "{action} {args:?}: {done}");
            assert!(done.err.contains(says), "{action} {args:?}: {done}");
            assert!(action == "DescribeAutoScalingGroups" || done.err.contains("web"), "which group? {done}");
        }
        endpoint.refuse("DescribeAutoScalingGroups", Some("ExpiredToken"));
        assert_refused(&regend.run(args), 4, &["no AWS credentials", "ExpiredToken"]);
        endpoint.refuse("", None);
        let elsewhere = run(regend.command(args).env("AWS_REGION", "us-east-1"));
        assert_refused(
            &elsewhere,
            2,
            &["there is no Auto Scaling group `web` in default/us-east-1", "check the region"],
        );
    }
    for (name, hint) in [("wbe", "did you mean `web`?"), ("zzzzzzzz", "check the region and the account")] {
        let done = regend.run(&["run", name, "--yes"]);
        assert_refused(&done, 2, &[&format!("there is no Auto Scaling group `{name}` in default/eu-west-1"), hint]);
    }
    // Nobody listens there, which is known at once.
    let deaf = Regend::configured(1, RULE);
    for args in commands {
        let began = Instant::now();
        assert_refused(&deaf.run(args), 4, &["could not reach AWS", "Connection refused", "AWS_ENDPOINT_URL"]);
        assert!(began.elapsed() < Duration::from_secs(20), "{args:?} took {:?}", began.elapsed());
    }
    assert_untouched(&endpoint);
    assert!(!regend.state_dir().join("journal.sqlite").exists() || regend.audit(&[]).is_empty());
}

#[test]
fn a_call_that_is_not_permitted_ends_it_and_names_the_iam_action() {
    let endpoint = Endpoint::faithful(&["--boot", "0.2", "--healthy-after", "0.2", "--drain", "0.2"]);
    for action in ["CreateOrUpdateTags", "UpdateAutoScalingGroup", "TerminateInstanceInAutoScalingGroup"] {
        let group = action.to_lowercase();
        let made = endpoint.seed(&["--group", &group, "--size", "1", "--max", "1", "--age", "90000"]);
        let originals = ids(&made["groups"][0]["instances"]);
        endpoint.refuse(action, Some("AccessDenied"));
        let regend = Regend::configured(endpoint.port, RULE);
        let done = regend.run(&["run", &group, "--yes"]);
        endpoint.refuse("", None);
        assert_eq!(done.code, 1, "{done}");
        assert!(done.out.contains(&format!("{group}: failed")), "{done}");
        assert!(done.out.contains(&format!("AWS refused autoscaling:{action}: see above (AccessDenied)")), "{done}");
        assert!(done.err.contains(&format!("no permission for autoscaling:{action} on group {group}")), "{done}");
        assert_eq!(format!("{done}").matches("no permission").count(), 1, "it is told more than once: {done}");
        let after = endpoint.show(&["--group", &group]);
        // What stays behind is told, with the way back.
        let stays = action == "TerminateInstanceInAutoScalingGroup";
        assert_eq!(done.out.contains("not restored:"), stays, "{done}");
        if stays {
            let fresh = ids(&after["instances"]).into_iter().find(|id| *id != originals[0]).unwrap();
            for words in [
                "not restored: desired capacity is 2 (wanted 1); max size is 2 (originally 1); the lease of daemon ",
                &format!("--region eu-west-1 --instance-id {fresh} --should-decrement-desired-capacity"),
                &format!("update-auto-scaling-group --region eu-west-1 --auto-scaling-group-name {group} --max-size 1"),
                &format!("ResourceId={group},ResourceType=auto-scaling-group,Key=regend:lease"),
            ] {
                assert!(done.out.contains(words), "{words:?} is missing in {done}");
            }
        }
        assert!(ids(&after["instances"]).contains(&originals[0]), "an original went: {after}");
        let refused = endpoint.log(action).iter().filter(|call| call["status"] == 403).count();
        assert!((1..=2).contains(&refused), "it insisted {refused} times");
    }
    // That it has no way back is found before there is anything to take back.
    endpoint.refuse("TerminateInstanceInAutoScalingGroup", Some("AccessDenied"));
    let check = Regend::configured(endpoint.port, RULE).run(&["check"]);
    endpoint.refuse("", None);
    assert_eq!(check.code, 4, "{check}");
    let says = "FAIL  default in eu-west-1: no permission for autoscaling:TerminateInstanceInAutoScalingGroup";
    assert!(check.out.contains(says), "{check}");
    // It can do without this one.
    endpoint.seed(&["--group", "launch", "--size", "1", "--age", "90000"]);
    endpoint.refuse("LaunchInstances", Some("AccessDenied"));
    let done = Regend::configured(endpoint.port, RULE).run(&["run", "launch", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert!(done.err.contains("no permission for autoscaling:LaunchInstances"), "{done}");
    assert!(!endpoint.log("SetDesiredCapacity").is_empty());
}

#[test]
fn a_place_that_cannot_be_listed_is_not_passed_over_in_silence() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    // moto knows no such region, and answers as AWS does not.
    let accounts = "[[aws.accounts]]\nname = \"prod\"\nregions = [\"eu-west-1\", \"mars-north-1\"]\n";
    let regend = Regend::configured(
        endpoint.port,
        &format!("{accounts}{}", RULE.replace("[aws]\npoll_interval = \"1s\"\n", "")),
    );
    for args in [&["status"][..], &["plan"], &["run", "--all", "--dry-run"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 4, "{args:?}: {done}");
        assert!(done.out.contains("web"), "what can be seen is shown: {done}");
        assert!(done.err.contains("prod/mars-north-1") && done.err.contains("could not be listed"), "{done}");
    }
    assert_refused(
        &regend.run(&["run", "db", "--yes"]),
        4,
        &["there is no Auto Scaling group `db`", "the group may exist there"],
    );
    assert_untouched(&endpoint);
}

// ── Groups that are somebody else's at the moment ─────────────────────────────────────────────────

#[test]
fn a_group_that_somebody_else_works_on_is_skipped_with_the_reason() {
    let endpoint = Endpoint::faithful(&["--boot", "0.2", "--healthy-after", "0.2", "--drain", "0.2"]);
    let until = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%S.000000Z");
    let cutoff = "2026-01-01T00:00:00.000000Z";
    let id = "01a20127-4a95-753a-a4b7-48c14eca6156";
    let lease = format!(
        "regend:lease=v=1 id={} cutoff={cutoff} daemon=other-host until={until} wanted=2 surge=1 max=4",
        id.replace('-', "")
    );
    endpoint.seed(&["--group", "leased", "--size", "2", "--age", "90000", "--tag", &lease]);
    endpoint.seed(&["--group", "refreshed", "--size", "2", "--age", "90000"]);
    endpoint.seed(&["--group", "kept", "--size", "2", "--age", "90000", "--protected"]);
    endpoint.seed(&["--group", "frozen", "--size", "2", "--age", "90000"]);
    endpoint.show(&["--group", "frozen", "--suspend", "Terminate"]);
    endpoint.set(&json!({"refreshes": {"refreshed": [{"Status": "InProgress", "InstanceRefreshId": "ir-1"}]}}));
    endpoint.forget();
    let regend = Regend::configured(endpoint.port, RULE);
    for (group, words) in [
        ("leased", &["other-host", id][..]),
        ("refreshed", &["instance refresh ir-1 is in progress"]),
        ("frozen", &["Terminate is suspended"]),
    ] {
        let before = endpoint.show(&["--group", group]);
        let plan = regend.run(&["plan", group]);
        assert_eq!(plan.code, 3, "{plan}");
        assert!(plan.out.contains("would not start now: "), "{plan}");
        let done = regend.run(&["run", group, "--yes", "--output", "json"]);
        assert_eq!(done.code, 3, "{done}");
        let result: Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!((&result["outcome"], &result["replaced"]), (&json!("skipped"), &json!(0)), "{done}");
        for word in words {
            assert!(result["why"].as_str().unwrap().contains(word), "{done}");
            assert!(done.err.contains(word) && plan.out.contains(word), "{done}{plan}");
        }
        assert_eq!(endpoint.show(&["--group", group]), before);
    }
    let skipped = regend.audit(&["--kind", "regeneration.skipped"]);
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    assert!(skipped.iter().all(|e| e["actor"].as_str().unwrap().starts_with("user:") && e["error"].is_string()));
    let done = regend.run(&["run", "kept", "--yes"]);
    assert_eq!(done.code, 3, "{done}");
    for id in ids(&endpoint.show(&["--group", "kept"])["instances"]) {
        assert!(done.out.contains(&format!("not replaced: {id}, protected from scale-in")), "{done}");
    }
    assert_untouched(&endpoint);
}

// ── The journal ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_journal_that_cannot_be_used_stops_it_before_aws_is_changed() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    let fresh = || Regend::configured(endpoint.port, RULE);
    let good = fresh();
    assert_eq!(good.run(&["run", "web", "--yes"]).code, 0);
    let bytes = std::fs::read(good.state_dir().join("journal.sqlite")).unwrap();
    endpoint.forget();
    let mut torn = bytes.clone();
    torn.truncate(bytes.len() / 2);
    for journal in [b"this is no journal, whatever its name says".as_slice(), &torn] {
        let regend = fresh();
        std::fs::create_dir(regend.state_dir()).unwrap();
        std::fs::write(regend.state_dir().join("journal.sqlite"), journal).unwrap();
        for args in
            [&["run", "web", "--yes"][..], &["daemon"], &["status", "web"], &["plan", "web"], &["audit", "list"]]
        {
            assert_refused(
                &regend.run(args),
                1,
                &["the journal", "journal.sqlite is damaged", "restore it, or move it away"],
            );
        }
        assert_eq!(regend.run(&["check"]).code, 1);
        assert_eq!(std::fs::read(regend.state_dir().join("journal.sqlite")).unwrap(), journal, "it was written to");
    }
    let regend = fresh();
    std::fs::write(regend.state_dir(), "a file").unwrap();
    for args in [&["run", "web", "--yes"][..], &["daemon"]] {
        assert_refused(
            &regend.run(args),
            4,
            &["cannot use the state directory", "it is not a directory: pass another --state-dir"],
        );
    }
    assert_untouched(&endpoint);
}

#[test]
fn a_state_directory_that_may_not_be_entered_is_told_whose_it_is() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    let regend = Regend::configured(endpoint.port, RULE);
    std::fs::create_dir(regend.state_dir()).unwrap();
    let dir = regend.dir.path();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(&regend.state_dir(), if is_root() { 0o700 } else { 0o000 });
    mode(dir, 0o755);
    // Nothing stops root: as root, this is asked by nobody, who cannot reach a binary in root's home.
    let copy = dir.join("regend");
    std::fs::copy(env!("CARGO_BIN_EXE_regend"), &copy).unwrap();
    let as_nobody = |args: &[&str]| {
        let command = regend.command(args);
        let mut copied = Command::new(&copy);
        copied.args(command.get_args()).env_clear();
        copied.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if is_root() {
            copied.uid(65_534).gid(65_534);
        }
        run(&mut copied)
    };
    for args in [&["run", "web", "--yes"][..], &["daemon"], &["audit", "list"]] {
        let done = as_nobody(args);
        assert_refused(
            &done,
            4,
            &["cannot use the state directory", "Permission denied", "belongs to uid", "--state-dir"],
        );
        assert_eq!(done.err.matches("Permission denied").count(), 1, "said twice: {done}");
    }
    // What AWS shows is still shown, and nobody is told that nothing runs.
    let done = as_nobody(&["status", "--output", "json"]);
    assert_eq!(done.code, 4, "{done}");
    let line: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&line["group"], &line["state"]), (&json!("web"), &json!("unknown")), "{done}");
    assert_eq!(as_nobody(&["plan", "web"]).code, 0);
    mode(&regend.state_dir(), 0o700);
    assert_untouched(&endpoint);
}

#[test]
fn a_full_disk_is_told_before_anything_is_done() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "1"]);
    let regend = Regend::configured(endpoint.port, RULE);
    std::fs::create_dir(regend.state_dir()).unwrap();
    let mount = format!("mount -t tmpfs -o size=64k tmpfs {} && exec \"$@\"", regend.state_dir().display());
    let inner = in_shell(&mount, &regend.command(&["run", "web", "--yes"]));
    let mut alone = Command::new("unshare");
    let done = run(&mut wrap(alone.args(["--user", "--map-root-user", "--mount", "--"]), &inner));
    if done.err.starts_with("unshare") || done.err.starts_with("mount") {
        println!("not tested, for want of a mount of our own: {done}");
        return;
    }
    assert_refused(&done, 4, &["cannot write the journal", "the disk is full", "Nothing more is done to AWS"]);
    assert_untouched(&endpoint);
}

#[test]
fn a_disk_that_fills_up_half_way_stops_it_and_room_lets_it_go_on() {
    let endpoint = Endpoint::stock();
    let made = endpoint.seed(&["--size", "3", "--max", "3"]);
    let originals = ids(&made["groups"][0]["instances"]);
    let before = endpoint.show(&[]);
    endpoint.forget();
    let regend = Regend::configured(endpoint.port, RULE);
    // A file may not grow beyond this many blocks of 512 bytes, and the signal that tells so is ignored.
    let limited = "trap '' XFSZ; ulimit -f \"$BLOCKS\"; exec \"$@\"";
    let mut stops = 0;
    for blocks in [200, 240, 280, 320] {
        let done = run(in_shell(limited, &regend.command(&["run", "web", "--yes"])).env("BLOCKS", blocks.to_string()));
        if done.code == 0 {
            break;
        }
        assert_eq!(done.code, 4, "{done}");
        assert!(
            done.err.contains("cannot write the journal") && done.err.contains("Nothing more is done to AWS"),
            "{done}"
        );
        // Each call that was made has its intent on the disk.
        let intents = regend.audit(&["--kind", "*.intended"]).len();
        // A launch whose answer could not be written down is repeated under the same intent and the same token.
        let launches = endpoint.log("LaunchInstances");
        let tokens: BTreeSet<_> = launches.iter().map(|call| call["params"]["ClientToken"].to_string()).collect();
        let calls = endpoint.mutations().len() - (launches.len() - tokens.len());
        assert!(calls <= intents, "{calls} calls, {intents} intents: {:?}", endpoint.mutations());
        stops += usize::from(calls > 0);
    }
    assert!(stops > 0, "it never stopped half-way: choose other limits");
    let done = regend.run(&["run", "web", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    let after = endpoint.show(&[]);
    assert!(ids(&after["instances"]).iter().all(|id| !originals.contains(id)), "{after}");
    assert_eq!(
        (&after["desired"], &after["max"], &after["tags"]),
        (&before["desired"], &before["max"], &before["tags"])
    );
    assert_eq!(regend.audit(&["--kind", "regeneration.opened"]).len(), 1);
}

// ── While it runs ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn whoever_comes_second_is_told_who_was_first() {
    let endpoint = Endpoint::faithful(&["--boot", "600"]);
    endpoint.seed(&["--size", "2", "--age", "90000"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let mut first = regend.start(&["run", "web", "--yes", "--reason", "the first"]);
    wait_until("a launch", || !endpoint.log("LaunchInstances").is_empty());
    endpoint.forget();
    let pid = format!("pid {}", first.pid());
    for args in [&["run", "web", "--yes"][..], &["daemon"]] {
        let words =
            ["regend run web --yes --reason the first", &pid, "holds the state directory", "wait until it ends"];
        assert_refused(&regend.run(args), 4, &words);
    }
    // To look is allowed to everybody.
    for args in [&["status"][..], &["plan", "web"], &["check"], &["audit", "list"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 0, "{args:?}: {done}");
    }
    let status = regend.run(&["status"]);
    assert!(status.out.contains("regenerating: 0 of 2 replaced since"), "{status}");
    let plan = regend.run(&["plan", "web"]);
    assert!(plan.out.contains("is open: a run resumes it") && plan.out.contains("replace 2,"), "{plan}");
    assert_untouched(&endpoint);
    // It waits for an instance to boot: a signal ends the wait.
    let began = Instant::now();
    first.signal(Signal::TERM);
    let done = first.ends_within(Duration::from_secs(5));
    println!("ended {:?} after SIGTERM", began.elapsed());
    assert_eq!(done.code, 3, "{done}");
    assert!(done.out.contains("web: stopped, 0 replaced: `regend run web` resumes it"), "{done}");
}

#[test]
fn a_signal_lets_the_call_in_flight_finish_and_the_next_start_resumes() {
    let endpoint = Endpoint::stock();
    for (signal, action) in [(Signal::TERM, "LaunchInstances"), (Signal::INT, "TerminateInstanceInAutoScalingGroup")] {
        let group = action.to_lowercase();
        let made = endpoint.seed(&["--group", &group, "--size", "3"]);
        let originals = ids(&made["groups"][0]["instances"]);
        let before = endpoint.show(&["--group", &group]);
        let wire = SlowWire::new(&endpoint, &format!("Action={action}"), Duration::from_millis(1500));
        let regend = Regend::configured(wire.port, RULE);
        let mut running = regend.start(&["run", &group, "--yes"]);
        wait_until("the call", || wire.has_seen());
        running.signal(signal);
        let done = running.ends_within(Duration::from_secs(5));
        assert_eq!(done.code, 3, "{done}");
        assert!(done.out.contains(&format!("{group}: stopped")), "{done}");
        assert!(done.err.contains("stopping after the call in flight; a second signal stops at once"), "{done}");
        let entries = regend.audit(&[]);
        let last = entries.last().unwrap();
        assert!(last["intent"].is_string() && !last["kind"].as_str().unwrap().ends_with(".unknown"), "{last}");
        let regend = regend.through(endpoint.port);
        let done = regend.run(&["run", &group, "--yes"]);
        assert_eq!(done.code, 0, "{done}");
        assert!(done.err.contains("resuming regeneration") && done.out.contains("completed, 3 replaced"), "{done}");
        let after = endpoint.show(&["--group", &group]);
        assert!(ids(&after["instances"]).iter().all(|id| !originals.contains(id)), "{after}");
        assert_eq!(
            (&after["desired"], &after["max"], &after["tags"]),
            (&before["desired"], &before["max"], &before["tags"])
        );
        assert_eq!(regend.audit(&["--kind", "regeneration.opened"]).len(), 1);
    }
}

#[test]
fn a_signal_ends_it_in_time_though_aws_does_not_answer() {
    let endpoint = Endpoint::faithful(&["--boot", "600"]);
    for group in ["web", "next"] {
        endpoint.seed(&["--group", group, "--size", "2", "--max", "4", "--age", "90000"]);
    }
    let long = Duration::from_secs(60);
    let one_by_one =
        RULE.replace("[policy]\n", "[daemon]\nmax_concurrent_groups = 1\n[policy]\nschedule = \"@every 1h\"\n");
    // A look has no effect, so it is dropped.
    for (args, code) in [(&["run", "web", "next", "--yes"][..], 3), (&["daemon"], 0)] {
        let wire = SlowWire::later(&endpoint, "Action=DescribeTargetHealth", long);
        let regend = Regend::configured(wire.port, &one_by_one);
        let mut running = regend.start(args);
        wait_until("a launch", || running.said().contains("AWS launches"));
        wire.arm();
        wait_until("a look that hangs", || wire.has_seen());
        running.signal(Signal::TERM);
        let done = running.ends_within(Duration::from_secs(5));
        assert_eq!(done.code, code, "{done}");
        assert!(!regend.audit(&["--kind", "launch.accepted"]).is_empty());
        if code == 3 {
            for words in
                ["next: stopped, 0 replaced: `regend run next` resumes", "web: not begun: `regend run web` starts"]
            {
                assert!(done.out.contains(words), "{words:?} is missing in {done}");
            }
        }
        // Whatever it was about, its lease must not be in the way of what follows.
        endpoint.show(&["--group", "next", "--tag", "regend:lease="]);
    }
    // A call in flight has had its time, and then nobody knows.
    endpoint.seed(&["--group", "late", "--size", "1", "--max", "2", "--age", "90000"]);
    let wire = SlowWire::new(&endpoint, "Action=LaunchInstances", long);
    let regend = Regend::configured(wire.port, RULE);
    let mut running = regend.start(&["run", "late", "--yes"]);
    wait_until("the call", || wire.has_seen());
    running.signal(Signal::INT);
    let done = running.ends_within(Duration::from_secs(5));
    assert_eq!(done.code, 3, "{done}");
    let last = regend.audit(&[]).pop().unwrap();
    assert_eq!((&last["kind"], last["intent"].is_string()), (&json!("launch.unknown"), true), "{last}");
    assert!(last["error"].as_str().unwrap().contains("regend was told to stop"), "{last}");
    endpoint.set(&json!({"boot": 0.2, "healthy_after": 0.2, "drain": 0.2}));
    let done = regend.through(endpoint.port).run(&["run", "late", "--yes"]);
    assert_eq!(done.code, 0, "{done}");
    assert_eq!(endpoint.show(&["--group", "late"])["desired"], 1);
}

#[test]
fn a_signal_at_the_question_ends_it() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let regend = Regend::configured(endpoint.port, RULE);
    let mut asked = on_terminal(&regend.command(&["run", "web"]));
    let mut asked = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(asked.stdout.take().unwrap());
    let mut text = Vec::new();
    std::io::BufRead::read_until(&mut said, b'?', &mut text).unwrap();
    asked.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let began = Instant::now();
    while asked.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(5) {
            asked.kill().unwrap();
            panic!("it still asks: {}", String::from_utf8_lossy(&text));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_untouched(&endpoint);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--size", "2"]);
    let wire = SlowWire::new(&endpoint, "Action=CreateOrUpdateTags", Duration::from_secs(8));
    let regend = Regend::configured(wire.port, RULE);
    let mut running: Running = regend.start(&["run", "web", "--yes"]);
    wait_until("the call", || wire.has_seen());
    running.signal(Signal::INT);
    wait_until("the answer to the first signal", || running.said().contains("stopping after the call in flight"));
    running.signal(Signal::INT);
    let done = running.ends_within(Duration::from_secs(2));
    assert_eq!(done.code, 3, "{done}");
}
