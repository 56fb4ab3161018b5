//! What is wrong in a configuration is told at once, with its place and a hint.

use expect_test::expect;

use super::check;

#[test]
fn every_problem_is_reported_at_once_and_in_order() {
    check(
        &[r#"
[policy]
timezone = "Europe/Berln"
schedule = "0 0 31 2 *"
window = "8d"
warmup = "30"
max_surge = "5000%"

[daemon]
max_failed_groups = "1"
max_concurent_groups = 3

[[groups]]
name = "web"
acount = "prod"
"#],
        expect![[r#"
            regend.toml:3:12: policy.timezone: "Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?
            regend.toml:4:12: policy.schedule: "0 0 31 2 *" never fires; write a day that exists in that month
            regend.toml:5:10: policy.window: 8d is out of range; write more than "0s" and at most "7d"
            regend.toml:6:10: policy.warmup: "30" has no unit; write for example "30s"
            regend.toml:7:13: policy.max_surge: "5000%" exceeds 1000%; write for example "10%"
            regend.toml:10:21: daemon.max_failed_groups: "1" is not a count; write a whole number, for example 2
            regend.toml:11:1: daemon.max_concurent_groups: unknown key; did you mean "max_concurrent_groups"?
            regend.toml:15:1: groups.acount: unknown key; did you mean "account"?
        "#]],
    );
}

#[test]
fn what_is_not_toml_is_reported_with_its_place_and_the_rest_still_read() {
    check(
        &[
            "[policy]\nwarmup = \"30s\nbake = \"1\"\n",
            "[policy\nbake = \"1s\"\n",
            "[policy]\nwarmup = \nbake = 5\n",
            "[policy]\nbake = \"1s\"\nbake = \"2s\"\n",
            "[policy]\nbake = 1\n[daemon\nstate_dir = \"\"\nbake = 2",
            "[policy]\n[policy]\n",
        ],
        expect![[r#"
            regend.toml:2:14: invalid basic string, expected `"`; correct the TOML syntax
            regend.toml:3:8: policy.bake: "1" has no unit; write for example "1s"

            regend.toml:1:8: unclosed table, expected `]`; correct the TOML syntax

            regend.toml:2:10: string values must be quoted, expected literal string; correct the TOML syntax
            regend.toml:3:8: policy.bake: 5 has no unit; write for example "5s"

            regend.toml:3:1: duplicate key; correct the TOML syntax

            regend.toml:2:8: policy.bake: 1 has no unit; write for example "1s"
            regend.toml:3:8: unclosed table, expected `]`; correct the TOML syntax

            regend.toml:2:2: duplicate key; correct the TOML syntax
        "#]],
    );
}

#[test]
fn unknown_keys_are_refused_with_what_may_have_been_meant() {
    check(
        &[
            "polcy = 1",
            "[policy]\nwarmpu = \"30s\"",
            "[policy]\nmaxsurge = 1\nfrobnicate = 1",
            "[daemon]\nstate-dir = \"/tmp\"",
            "[aws]\nregion = \"eu-west-1\"",
            "[[aws.accounts]]\nname = \"a\"\nregions = [\"r\"]\nrole = \"arn\"",
            "[[blackouts]]\nform = \"2026-12-24\"\nto = \"2026-12-25\"\nreason = \"x\"",
            "[[groups]]\nname = \"a\"\ntag = { a = \"b\" }",
        ],
        expect![[r#"
            regend.toml:1:1: polcy: unknown key; did you mean "policy"?

            regend.toml:2:1: policy.warmpu: unknown key; did you mean "warmup"?

            regend.toml:2:1: policy.maxsurge: unknown key; did you mean "max_surge"?
            regend.toml:3:1: policy.frobnicate: unknown key; known keys: bake, canary, canary_bake, drain_timeout, health_timeout, launch_timeout, max_age, max_failures, max_surge, max_unavailable, min_age, protected, raise_max_size, schedule, stage, standby, target_not_in_use, timezone, vpc_lattice, warmup, window, zone_without_capacity

            regend.toml:2:1: daemon.state-dir: unknown key; did you mean "state_dir"?

            regend.toml:2:1: aws.region: unknown key; known keys: accounts, poll_interval

            regend.toml:4:1: aws.accounts.role: unknown key; known keys: external_id, name, regions, role_arn

            regend.toml:1:1: blackouts.from: is missing; write for example from = "2026-12-24"
            regend.toml:2:1: blackouts.form: unknown key; did you mean "from"?

            regend.toml:3:1: groups.tag: unknown key; did you mean "tags"?
        "#]],
    );
}

#[test]
fn what_is_done_without_a_verdict_is_hold_or_accept() {
    check(
        &["[policy]\ntarget_not_in_use = \"wait\"\nvpc_lattice = true"],
        expect![[r#"
            regend.toml:2:21: policy.target_not_in_use: "wait" is unknown; write "hold" or "accept"
            regend.toml:3:15: policy.vpc_lattice: true is not a string; write it in quotes
        "#]],
    );
}

#[test]
fn durations_have_units() {
    check(
        &[
            "[policy]\nwarmup = \"30\"",
            "[policy]\nwarmup = 30",
            "[policy]\n  bake = \"-5m\"\n  min_age = \"1 day\"\n  max_age = 1.5",
            "[aws]\npoll_interval = \"0s\"",
        ],
        expect![[r#"
            regend.toml:2:10: policy.warmup: "30" has no unit; write for example "30s"

            regend.toml:2:10: policy.warmup: 30 has no unit; write for example "30s"

            regend.toml:2:10: policy.bake: "-5m" is negative; write "0s" or more
            regend.toml:3:13: policy.min_age: "1 day" has an unknown unit; units are d, h, m and s, for example "1h30m"
            regend.toml:4:13: policy.max_age: 1.5 is not a duration; write for example "15m"

            regend.toml:2:17: aws.poll_interval: 0s is not an interval; write for example "15s"
        "#]],
    );
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    check(
        &[
            "[policy]\nschedule = 3\ntimezone = true\nmax_surge = 1.5\nmax_unavailable = -1\nmax_failures = \"1\"\n\
         canary = 99999999999\nprotected = \"maybe\"\nraise_max_size = \"yes\"\nstage = []\n",
            "policy = 1\ndaemon = []\nblackouts = {}\naws = { accounts = 3 }\ngroups = [1]\n",
            "[[policy]]\nstage = 1\n[groups]\nname = \"a\"",
            "[[groups]]\nname = \"a\"\ntags = { a = 1, b = \"x\" }",
            "[[groups]]\nname = \"a\"\ntags = \"x\"",
            "[daemon]\nmax_concurrent_groups = 0\nmax_failed_groups = 0\nstate_dir = 1\n",
        ],
        expect![[r#"
            regend.toml:2:12: policy.schedule: 3 is not a string; write it in quotes
            regend.toml:3:12: policy.timezone: true is not a string; write it in quotes
            regend.toml:4:13: policy.max_surge: 1.5 is neither a count nor a percentage; write for example 2 or "10%"
            regend.toml:5:19: policy.max_unavailable: -1 is not a count; write a whole number, for example 2
            regend.toml:6:16: policy.max_failures: "1" is not a count; write a whole number, for example 2
            regend.toml:7:10: policy.canary: 99999999999 is not a count; write a whole number, for example 2
            regend.toml:8:13: policy.protected: "maybe" is unknown; write "skip" or "replace"
            regend.toml:9:18: policy.raise_max_size: "yes" is neither true nor false; write true or false
            regend.toml:10:9: policy.stage: a list is not a count; write a whole number, for example 2

            regend.toml:1:10: policy: 1 is not a table; write [policy]
            regend.toml:2:10: daemon: a list is not a table; write [daemon]
            regend.toml:3:13: blackouts: a table is not a list of tables; write [[blackouts]]
            regend.toml:4:20: aws.accounts: 3 is not a list of tables; write [[aws.accounts]]
            regend.toml:5:10: groups: 1 is not a list of tables; write [[groups]]

            regend.toml:1:1: policy: a list is not a table; write [policy]
            regend.toml:3:1: groups: a table is not a list of tables; write [[groups]]

            regend.toml:3:14: groups.tags.a: 1 is not a string; write it in quotes

            regend.toml:3:8: groups.tags: "x" is not a table; write [groups.tags]

            regend.toml:2:25: daemon.max_concurrent_groups: 0 would prevent every regeneration; write at least 1
            regend.toml:3:21: daemon.max_failed_groups: 0 would prevent every regeneration; write at least 1
            regend.toml:4:13: daemon.state_dir: 1 is not a string; write it in quotes
        "#]],
    );
}

#[test]
fn a_zone_is_found_by_similar_names_or_by_its_city() {
    check(
        &[
            "[policy]\ntimezone = \"Europe/Berln\"",
            "[policy]\ntimezone = \"berlin\"",
            "[policy]\ntimezone = \"Middle Earth\"",
        ],
        expect![[r#"
            regend.toml:2:12: policy.timezone: "Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?

            regend.toml:2:12: policy.timezone: "berlin" is not a time zone; did you mean "Europe/Berlin"?

            regend.toml:2:12: policy.timezone: "Middle Earth" is not a time zone; write for example "Europe/Berlin" or "UTC"
        "#]],
    );
}

#[test]
fn impossible_windows_and_schedules_are_refused() {
    check(
        &[
            "[policy]\nwindow = \"0s\"",
            "[policy]\nwindow = \"169h\"",
            "[policy]\nschedule = \"0 0 31 2 *\"",
            "[policy]\nschedule = \"61 3 * * *\"",
        ],
        expect![[r#"
            regend.toml:2:10: policy.window: 0s is out of range; write more than "0s" and at most "7d"

            regend.toml:2:10: policy.window: 7d1h is out of range; write more than "0s" and at most "7d"

            regend.toml:2:12: policy.schedule: "0 0 31 2 *" never fires; write a day that exists in that month

            regend.toml:2:12: policy.schedule: "61" is not a minute; write 0-59, or lists, ranges and steps of these
        "#]],
    );
}

#[test]
fn impossible_combinations_are_reported_where_they_are_set() {
    check(
        &[
            "[policy]\nmax_surge = 0\n[[groups]]\nname = \"a\"",
            "[[groups]]\nname = \"a\"\nmax_surge = 0",
            "[policy]\nmax_surge = 0\nmax_unavailable = 1\n[[groups]]\nname = \"a\"\nmax_unavailable = 0",
            "[[groups]]\nname = \"a\"\nmax_unavailable = \"101%\"\nlaunch_timeout = \"0s\"",
        ],
        expect![[r#"
            regend.toml:2:13: policy.max_surge: max_surge 0 and max_unavailable 0 together prevent every replacement; set at least one of them to 1 or more

            regend.toml:3:13: groups.max_surge: max_surge 0 and max_unavailable 0 together prevent every replacement; set at least one of them to 1 or more

            regend.toml:4:1: groups.max_surge: max_surge 0 and max_unavailable 0 together prevent every replacement; set at least one of them to 1 or more

            regend.toml:3:19: groups.max_unavailable: 101% exceeds the size of the group; write at most "100%"
            regend.toml:4:18: groups.launch_timeout: 0s would fail every replacement immediately; write for example "15m"
        "#]],
    );
}

#[test]
fn warnings_have_their_place_too() {
    check(
        &[
            "[policy]\nmax_age = \"24h\"\n[[groups]]\nname = \"a\"\ncanary_bake = \"5m\"\n[[groups]]\nname = \"b\"\nwarmup = \"1h\"",
        ],
        expect![[r#"
            warning: regend.toml:2:11: policy.max_age: 24h is too short for a schedule whose runs are up to 25h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 25h
            warning: regend.toml:5:15: groups.canary_bake: 5m has no effect while canary is 0; set canary to at least 1
            warning: regend.toml:6:1: groups.health_timeout: 10m is shorter than warmup (1h); write at least as much as warmup, plus the time to become healthy
        "#]],
    );
}

#[test]
fn accounts_have_names_and_regions_of_their_own() {
    check(
        &[
            "[[aws.accounts]]\n",
            "[[aws.accounts]]\nname = \"prod\"\nregions = []",
            "[[aws.accounts]]\nname = \"prod\"\nregions = \"eu-west-1\"",
            "[[aws.accounts]]\nname = \"prod\"\nregions = [\"a\"]\n[[aws.accounts]]\nname = \"prod\"\nregions = [\"b\"]",
        ],
        expect![[r#"
            regend.toml:1:1: aws.accounts.name: is missing; write for example name = "prod"
            regend.toml:1:1: aws.accounts.regions: is missing; write for example regions = ["eu-west-1"]

            regend.toml:3:11: aws.accounts.regions: the list is empty; write for example ["eu-west-1"]

            regend.toml:3:11: aws.accounts.regions: "eu-west-1" is not a list; write for example ["eu-west-1"]

            regend.toml:5:8: aws.accounts.name: "prod" is already the name of the account in line 1; give each account its own name
        "#]],
    );
}

#[test]
fn rules_select_groups_that_can_exist() {
    let account = "[[aws.accounts]]\nname = \"prod\"\nregions = [\"eu-west-1\"]\n";
    check(
        &[
            &format!("{account}[[groups]]\naccount = \"prd\""),
            "[[groups]]\naccount = \"prod\"",
            "[[groups]]\nstage = 2",
            "[[groups]]\nname = \"web\"\n[[groups]]\nname = \"api\"\n[[groups]]\nname = \"web\"\nstage = 2",
            "[[groups]]\nname = \"web\"\ntags = { a = \"b\" }\n[[groups]]\nname = \"web\"",
        ],
        expect![[r#"
            regend.toml:5:11: groups.account: "prd" is not a configured account; did you mean "prod"?

            regend.toml:2:11: groups.account: "prod" is not a configured account; add [[aws.accounts]] with name = "prod"

            regend.toml:1:1: groups.name: is missing; write which groups the rule matches; name = "*" matches all

            regend.toml:6:8: groups.name: the rule in line 5 matches the same groups as the one in line 1; only the first rule applies; remove one of them

            warning: regend.toml:1:1: policy.max_age: 24h is too short for a schedule whose runs are up to 25h apart, plus the time to launch a replacement and to drain the instance; run more often, for example schedule = "@every 20h", or set max_age above 25h
        "#]],
    );
}

#[test]
fn blackouts_begin_before_they_end() {
    check(
        &[
            "[[blackouts]]\n",
            "[[blackouts]]\nfrom = \"2026-12-27\"\nto = \"2026-12-24\"\nreason = \"x\"",
            "[[blackouts]]\nfrom = \"yesterday\"\nto = 2026-12-24T00:00:00Z\nreason = \"x\"",
        ],
        expect![[r#"
            regend.toml:1:1: blackouts.from: is missing; write for example from = "2026-12-24"
            regend.toml:1:1: blackouts.to: is missing; write for example to = "2026-12-27"
            regend.toml:1:1: blackouts.reason: is missing; write for example reason = "year-end freeze"

            regend.toml:2:8: blackouts.from: "2026-12-27" to "2026-12-24" ends before it begins; swap the two values

            regend.toml:2:8: blackouts.from: "yesterday" to "2026-12-24T00:00:00Z" is not a range of dates or instants; write two dates such as "2026-12-24", or two instants such as "2026-12-24T18:00:00+01:00"
        "#]],
    );
}
