//! What is typed and configured, and what is printed to whom.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{RULE, assert_refused, assert_untouched, in_shell, on_terminal, run};
use crate::endpoint::{Done, Endpoint, Regend, binary, wait_until};

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
        let written = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/iam-policy.md"))
            .contains(&format!("\"{permission}\""));
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
    // Its output is not read: that is no reason to leave a group half-way.
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
