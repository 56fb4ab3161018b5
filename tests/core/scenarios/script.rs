//! The script of a scenario: every key that `config/scenario.toml` explains, and how a wrong script is refused.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use regend::adapters::config::script::parse;
use regend::cli::simulate::transcript;
use regend::sim::scaling_policy::{Kind, ScalingPolicy};

/// `config/scenario.toml`, which explains every key to its user.
fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenario.toml")).unwrap()
}

#[test]
fn the_reference_says_every_default() {
    let commented = reference();
    let is_key = |line: &&str| line.strip_prefix("# ").is_some_and(|key| key.split(' ').nth(1) == Some("="));
    let before_events = commented.lines().take_while(|line| !line.contains("[[events]]"));
    let uncomment = |line: &str| if is_key(&line) { line[2..].to_owned() } else { line.to_owned() };
    // What is only there when it is said.
    let optional = ["elb_checks", "heartbeat", "answer", "ended", "burst"];
    let is_default = |line: &String| !optional.iter().any(|key| line.starts_with(key));
    let said: Vec<_> = before_events.map(uncomment).filter(is_default).collect();
    let parsed = |source: &str| format!("{:?}", parse(Path::new("scenario.toml"), source).unwrap());
    assert_eq!(parsed(&said.join("\n")), parsed(""));
    assert_eq!(parsed(&commented), parsed(""));
}

#[test]
fn the_reference_knows_every_key_and_every_event() {
    let reference = reference();
    let sections = ["group", "group.lease", "nature", "nature.launch_hook", "faults", "faults.limit", "[events]"];
    for section in sections {
        let error = parse(Path::new("x"), &format!("[{section}]\nzzzzzzzzzzzz = 1")).unwrap_err().to_string();
        let (_, known) = error.split_once("known keys: ").expect("all keys are listed");
        for key in known.lines().next().unwrap().split(", ") {
            let said = [format!("# {key} = "), format!("[{section}.{key}]"), format!("   {key} = ")];
            let troubles = section == "[events]" && reference.contains(&format!("# {key} = \"0%\""));
            assert!(troubles || said.iter().any(|said| reference.contains(said)), "{section}: {key}");
        }
    }
    let (_, events) = reference.split_once("# [[events]]\n").unwrap();
    for line in events.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = ")) {
        let event = line.split("  ").next().unwrap();
        let is_event = !["at", "for"].contains(&event.split(' ').next().unwrap()) && !line.starts_with(' ');
        if is_event {
            parse(Path::new("x"), &format!("[[events]]\nat = \"1m\"\n{event}")).unwrap();
        }
    }
}

#[test]
fn the_reference_explains_every_key_of_a_policy_with_its_default() {
    let reference = reference();
    let (_, after) = reference.split_once("# [[policies]]\n").unwrap();
    let lines = after.lines().map_while(|line| line.strip_prefix("#   "));
    let lines: Vec<_> = lines.map(|line| line.split("  ").next().unwrap()).collect();
    let said = parse(Path::new("x"), &format!("[[policies]]\n{}", lines.join("\n"))).unwrap().behavior.policies;
    let [said] = said.as_slice() else { panic!("{said:?}") };
    let usual = ScalingPolicy::new("cpu-65", Kind::TargetTracking).needing(&[(0, 4), (1200, 6)]);
    let cooldown = ScalingPolicy::new("", Kind::Simple).cooldown;
    assert_eq!(*said, ScalingPolicy { cooldown, ..usual });
    let error = parse(Path::new("x"), "[[policies]]\nzzzzzzzzzzzz = 1").unwrap_err().to_string();
    let (_, known) = error.split_once("known keys: ").expect("all keys are listed");
    for key in known.lines().next().unwrap().split(", ") {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
    }
}

#[test]
fn a_policy_of_a_script_has_a_name_a_kind_and_a_load() {
    let complete = "[[policies]]\nname = \"cpu\"\nkind = \"step\"\n";
    refused(
        &[
            "[[policies]]\nkind = \"step\"",
            "[[policies]]\nname = \"cpu\"",
            "[[policies]]\nname = \"cpu\"\nkind = \"target traking\"",
            &format!("{complete}needs = \"low\""),
            &format!("{complete}needs = [[\"0s\", 2, 3]]"),
            &format!("{complete}needs = [[0, 2]]"),
            &format!("{complete}out_after = 0"),
            &format!("{complete}warmup = \"5m\""),
            "policies = 3",
        ],
        expect![[r#"
            story.toml:1:1: policies.name: is missing; write for example name = "cpu-65"

            story.toml:1:1: policies.kind: is missing; write for example kind = "target tracking"

            story.toml:3:8: policies.kind: "target traking" is unknown; did you mean "target tracking"?

            story.toml:4:9: policies.needs: "low" is unknown; write "always low" or "always high"

            story.toml:4:9: policies.needs: this is not a list of times and numbers of instances; write for example [["0s", 2], ["20m", 5]], "always low" or "always high"

            story.toml:4:9: policies.needs: 0 has no unit; write for example "0s"

            story.toml:4:13: policies.out_after: an alarm needs at least 1 datapoint; write a number of minutes, for example 3

            story.toml:4:1: policies.warmup: unknown key; did you mean "warm_up"?

            story.toml:1:12: policies: 3 is not a list of tables; write [[policies]]
        "#]],
    );
}

#[track_caller]
fn refused(scripts: &[&str], expect: Expect) {
    let says = |script: &&str| match transcript(Path::new("story.toml"), script) {
        Ok(_) => "accepted\n".to_owned(),
        Err(error) => format!("{error}\n"),
    };
    expect.assert_eq(&scripts.iter().map(says).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest_one() {
    refused(
        &[
            "sed = 1",
            "[grup]\ndesired = 4",
            "[group]\ndesird = 4",
            "[nature]\nbot = \"40s\"",
            "[policy]\nmax_surg = 2",
            "[faults]\nlost_anser = \"5%\"",
            "[[events]]\nat = \"90s\"\nkil = \"oldest\"",
        ],
        expect![[r#"
            story.toml:1:1: sed: unknown key; did you mean "seed"?

            story.toml:1:2: grup: unknown key; did you mean "group"?

            story.toml:2:1: group.desird: unknown key; did you mean "desired"?

            story.toml:2:1: nature.bot: unknown key; did you mean "boot"?

            story.toml:2:1: policy.max_surg: unknown key; did you mean "max_surge"?

            story.toml:2:1: faults.lost_anser: unknown key; did you mean "lost_answer"?

            story.toml:3:1: events.kil: unknown key; did you mean "kill"?
        "#]],
    );
}

#[test]
fn a_wrong_value_is_refused_with_what_was_expected() {
    refused(
        &[
            "by = \"cron\"",
            "[group]\ndesired = \"four\"",
            "[group]\ndesired = 4\nmax = 3",
            "[group]\nzones = 9",
            "[group]\ntarget_groups = [\"used\"]",
            "[group]\ntarget_groups = \"two\"",
            "[nature]\nboot = \"75s-40s\"",
            "[nature]\nboot = 45",
            "[nature]\nboot = \"40\"",
            "[nature]\nflawed = 5",
            "[nature]\nflawed = \"105%\"",
            "[nature]\nimage = \"bad\"",
            "[nature]\nlaunch_instances = \"refuse\"",
            "[nature.launch_hook]\nheartbeat = \"5m\"\ndefault = \"abandoned\"",
            "[policy]\nmax_surge = 0",
        ],
        expect![[r#"
            story.toml:1:6: by: "cron" is unknown; write "schedule" or "person"

            story.toml:2:11: group.desired: "four" is not a count; write a whole number, for example 2

            story.toml:2:11: group.desired: 4 is not between min 4 and max 3; write min <= desired <= max

            story.toml:2:9: group.zones: 9 is out of range; write a number from 1 to 6

            story.toml:2:17: group.target_groups: "used" is unknown; write "in use" or "no listener"

            story.toml:2:17: group.target_groups: this is neither a count nor a list; write for example 2 or ["in use", "no listener"]

            story.toml:2:8: nature.boot: "75s-40s" ends before it begins; write the shorter first, for example "40s-75s"

            story.toml:2:8: nature.boot: 45 has no unit; write for example "45s"

            story.toml:2:8: nature.boot: "40" has no unit; write for example "40s"

            story.toml:2:10: nature.flawed: 5 is not a percentage; write for example "5%"

            story.toml:2:10: nature.flawed: "105%" is no percentage from 0% to 100%; write for example "5%"

            story.toml:2:9: nature.image: "bad" is unknown; write "good" or "never healthy" or "never in service" or "dies after 40s"

            story.toml:2:20: nature.launch_instances: "refuse" is unknown; did you mean "refused"?

            story.toml:3:11: nature.launch_hook.default: "abandoned" is unknown; did you mean "abandon"?

            story.toml:2:13: policy.max_surge: max_surge 0 and max_unavailable 0 together prevent every replacement; set at least one of them to 1 or more
        "#]],
    );
}

#[test]
fn an_event_is_one_thing_at_one_time() {
    refused(
        &[
            "[[events]]\nkill = \"oldest\"",
            "[[events]]\nat = \"90s\"",
            "[[events]]\nat = \"90s\"\nkill = \"oldest\"\nsicken = \"newest\"",
            "[[events]]\nat = \"90s\"\nkill = \"old\"",
            "[[events]]\nat = \"90s\"\nkill = 0",
            "[[events]]\nat = \"90s\"\nkill = \"oldest\"\nfor = \"5m\"",
            "[[events]]\nat = \"90s\"\nsuspend = \"launch\"",
            "[[events]]\nat = \"90s\"\nsuspend = \"Lunch\"",
            "[[events]]\nat = \"90s\"\nfail_next = \"LaunchInstance\"",
            "[[events]]\nat = \"90s\"\nfail_next = \"LaunchInstances\"\nhow = \"lost answr\"",
            "[[events]]\nat = \"90s\"\nregend = \"kiled\"",
            "[[events]]\nat = \"90s\"\nno_capacity = \"x\"",
            "[[events]]\nat = \"90s\"\nscale = \"two\"",
            "[[events]]\nat = \"90s\"\nscheduled = [4, 2, 8]",
            "[[events]]\nat = 90\nkill = \"oldest\"",
            "events = 3",
        ],
        expect![[r#"
            story.toml:1:1: events.at: is missing; write the time since the start, for example at = "90s"

            story.toml:2:6: events.at: the event has no action; write for example kill = "oldest"

            story.toml:4:10: events.sicken: an event can have only one action; write a second [[events]] for it

            story.toml:3:8: events.kill: "old" is unknown; write "oldest" or "newest"

            story.toml:3:8: events.kill: 0 is out of range; write 1 or "oldest" for the oldest

            story.toml:4:7: events.for: this event has no duration; remove the key

            story.toml:3:11: events.suspend: "launch" is unknown; did you mean "Launch"?

            story.toml:3:11: events.suspend: "Lunch" is unknown; did you mean "Launch"?

            story.toml:3:13: events.fail_next: "LaunchInstance" is unknown; did you mean "LaunchInstances"?

            story.toml:4:7: events.how: "lost answr" is unknown; did you mean "lost answer"?

            story.toml:3:10: events.regend: "kiled" is unknown; did you mean "killed"?

            story.toml:3:15: events.no_capacity: "x" is not a zone; write the letter of the zone, "a" for the first

            story.toml:3:9: events.scale: this is not a whole number; write for example 2 or -2

            story.toml:3:13: events.scheduled: this is not a list of min, desired and max; write for example [2, 4, 8]

            story.toml:2:6: events.at: 90 has no unit; write for example "90s"

            story.toml:1:10: events: 3 is not a list of tables; write [[events]]
        "#]],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    refused(
        &["[group]\ndesird = 4\nzones = 0\n[policy]\nwarmup = 3\n", "[group\ndesired = 4"],
        expect![[r#"
            story.toml:2:1: group.desird: unknown key; did you mean "desired"?
            story.toml:3:9: group.zones: 0 is out of range; write a number from 1 to 6
            story.toml:5:10: policy.warmup: 3 has no unit; write for example "3s"

            story.toml:1:7: unclosed table, expected `]`; correct the TOML syntax
        "#]],
    );
}
