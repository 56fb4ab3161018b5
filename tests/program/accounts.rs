//! Several accounts and regions at once, through a role in each.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::endpoint::{Done, Endpoint, Regend, ids};

const ACCOUNTS: [(&str, &str); 2] = [("prod", "111111111111"), ("dev", "222222222222")];
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

fn places() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ACCOUNTS.into_iter().flat_map(|(name, id)| REGIONS.map(|region| (name, id, region)))
}

#[test]
fn groups_of_one_name_in_two_accounts_and_two_regions_are_told_apart() {
    let endpoint = Endpoint::stock();
    for (size, (_, id, region)) in (1..).zip(places()) {
        let size = size.to_string();
        endpoint.seed(&["--group", "web", "--size", &size, "--account", id, "--region", region]);
    }
    let look = |id: &str, region: &str| endpoint.show(&["--account", id, "--region", region]);
    let before: Vec<_> = places().map(|(_, id, region)| look(id, region)).collect();
    let mut config =
        "[aws]\npoll_interval = \"1s\"\n[policy]\nwarmup = \"0s\"\n[[groups]]\nname = \"web\"\n".to_owned();
    for (name, id) in ACCOUNTS {
        config.push_str(&format!(
            "[[aws.accounts]]\nname = \"{name}\"\nregions = {REGIONS:?}\nrole_arn = \"arn:aws:iam::{id}:role/regend\"\n"
        ));
    }
    let regend = Regend::configured(endpoint.port, &config);
    endpoint.forget();

    let lines =
        |done: &Done| -> Vec<Value> { done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let place = |of: &Value| (of["account"].as_str().unwrap().to_owned(), of["region"].as_str().unwrap().to_owned());
    let all: BTreeSet<_> = places().map(|(name, _, region)| (name.to_owned(), region.to_owned())).collect();
    for command in ["plan", "status"] {
        let done = regend.run(&[command]);
        assert_eq!(done.code, 0, "{done}");
        for (name, region) in &all {
            let shown =
                |line: &str| line.contains("web") && line.contains(name.as_str()) && line.contains(region.as_str());
            assert!(done.out.lines().any(shown), "{name} in {region} is missing in {done}");
        }
        let done = regend.run(&[command, "--output", "json"]);
        let found: BTreeSet<_> =
            lines(&done).iter().map(|line| place(if command == "plan" { &line["group"] } else { line })).collect();
        assert_eq!(found, all, "{done}");
    }
    let check = regend.run(&["check"]);
    for (name, id) in ACCOUNTS {
        assert!(check.out.contains(&format!("credentials for {name}")) && check.out.contains(id), "{check}");
    }
    assert!(endpoint.mutations().is_empty());

    let done = regend.run(&["run", "--all", "--yes", "--output", "json"]);
    assert_eq!(done.code, 0, "{done}");
    let results = lines(&done);
    assert_eq!(results.iter().map(place).collect::<BTreeSet<_>>(), all, "{done}");
    let closed = regend.audit(&["--kind", "regeneration.closed"]);
    assert_eq!(closed.len(), 4);
    for (before, (name, id, region)) in before.iter().zip(places()) {
        let here = |of: &&Value| place(of) == (name.to_owned(), region.to_owned());
        let originals = ids(&before["instances"]);
        let result = results.iter().find(here).unwrap();
        assert_eq!(
            (&result["outcome"], result["replaced"].as_u64()),
            (&"completed".into(), Some(originals.len() as u64))
        );
        assert_eq!(closed.iter().find(here).unwrap()["data"]["outcome"], "completed");
        let after = look(id, region);
        let fresh = ids(&after["instances"]);
        assert!(
            fresh.len() == originals.len() && fresh.iter().all(|id| !originals.contains(id)),
            "{name} {region}: {after}"
        );
        // Whose instance it was, the journal says, too.
        let life = regend.audit(&["--instance", &originals[0], "--kind", "retire.intended"]);
        assert_eq!(life.iter().filter(here).count(), life.len(), "{life:?}");
        assert_eq!(life.iter().filter(|e| e["data"]["instance"]["id"] == originals[0].as_str()).count(), 1, "{life:?}");
    }
}

#[test]
fn a_role_that_may_not_be_assumed_is_named_and_the_other_account_is_still_shown() {
    let endpoint = Endpoint::stock();
    endpoint.seed(&["--group", "web", "--size", "1"]);
    let rule = "[[groups]]\nname = \"*\"\n[[aws.accounts]]\nname = \"here\"\nregions = [\"eu-west-1\"]\n";
    let role = "arn:aws:iam::333333333333:role/regend";
    let config = format!("{rule}[[aws.accounts]]\nname = \"there\"\nregions = {REGIONS:?}\nrole_arn = \"{role}\"\n");
    let regend = Regend::configured(endpoint.port, &config);
    endpoint.refuse("AssumeRole", Some("AccessDenied"));
    for args in [&["status"][..], &["plan"]] {
        let done = regend.run(args);
        assert_eq!(done.code, 4, "{done}");
        assert!(done.out.contains("web"), "{done}");
        for word in [
            &format!(
                "there in eu-west-1, there in us-east-1: no AWS credentials: cannot assume role {role} of account there; "
            ),
            "check role_arn and external_id in [[aws.accounts]], and the role's trust policy",
            "AccessDenied",
            "AssumeRole",
        ] {
            assert!(done.err.contains(word), "{word} is missing in {done}");
        }
        assert_eq!(done.err.matches("cannot assume role").count(), 1, "said for each region: {done}");
    }
}
