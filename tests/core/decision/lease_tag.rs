//! The text of the lease tag: read back as it was written, and told from what is no lease.

use expect_test::expect;
use regend::domain::lease::Lease;
use uuid::Uuid;

use super::table::{ID, ago, now};

pub(super) fn lease(daemon: &str) -> Lease {
    Lease {
        regeneration: ID,
        cutoff: ago("1h"),
        daemon: daemon.to_owned(),
        until: now(),
        wanted: 3.into(),
        min: None,
        surge: 1.into(),
        max: 10.into(),
        max_allowed: 10.into(),
    }
}

#[test]
fn a_lease_reads_back_as_it_was_written() {
    let value = lease("regend-eu1.example.com").to_string();
    expect!["v=1 id=01935000000070008000000000000001 cutoff=2026-11-22T11:00:00.000000Z daemon=regend-eu1.example.com until=2026-11-22T12:00:00.000000Z wanted=3 surge=1 max=10 most=10"].assert_eq(&value);
    assert_eq!(value.parse(), Ok(lease("regend-eu1.example.com")));
}

#[test]
fn a_lease_fits_into_a_tag_whatever_it_says() {
    let longest = Lease {
        regeneration: Uuid::max(),
        daemon: "d".repeat(300),
        wanted: u32::MAX.into(),
        surge: u32::MAX.into(),
        max: u32::MAX.into(),
        max_allowed: u32::MAX.into(),
        ..lease("")
    };
    let value = longest.to_string();
    assert!(value.len() <= 256, "{} characters", value.len());
    let read: Lease = value.parse().unwrap();
    assert_eq!(read, Lease { daemon: "d".repeat(48), ..longest });
    // As long as a tag may be, and a character longer.
    let full = format!("{value} {}", "x".repeat(255 - value.len()));
    assert_eq!(full.parse(), Ok(read));
    assert!(format!("{full}x").parse::<Lease>().is_err());
}

#[test]
fn a_strange_host_name_still_makes_a_lease_and_is_known_again() {
    for name in ["host name", "höst", "日本", "", "a=b c=d", "a\nb", &"d".repeat(300), "regend-eu1"] {
        let read: Lease = lease(name).to_string().parse().unwrap();
        assert!(read.is_of(name), "{name:?} became {:?}", read.daemon);
        assert!(!read.is_of("another"), "{name:?}");
    }
}

#[test]
fn a_lease_is_dead_two_minutes_after_it_says_since_clocks_differ() {
    let dead = |seconds| lease("here").is_dead(now() + chrono::TimeDelta::seconds(seconds));
    assert!(dead(120));
    assert!(!dead(119));
}

#[test]
fn what_is_no_lease_is_told_from_one() {
    let good = lease("here").to_string();
    let mut out = String::new();
    for (from, to) in [
        ("v=1", "v=2"),
        ("v=1 ", ""),
        ("id=0", "id=x"),
        ("id=", "di="),
        ("cutoff=2026", "cutoff=yesterday"),
        ("daemon=here", "daemon="),
        ("until=2026", "until=26"),
        ("wanted=3", "wanted=three"),
        ("surge=1", "surge=-1"),
        ("max=10", "max=99999999999"),
        ("max=10", ""),
        (" most=10", ""),
        ("most=10", "most="),
        ("most=10", "most=many"),
        (" ", ", "),
    ] {
        let bad = good.replacen(from, to, 20);
        match bad.parse::<Lease>() {
            Ok(lease) => out += &format!("{from} -> {to}: read as {lease:?}\n"),
            Err(error) => out += &format!("{from} -> {to}: {}\n", error.to_string().rsplit(": ").next().unwrap()),
        }
    }
    let long = format!("{good} note={}", "n".repeat(200)).parse::<Lease>().unwrap_err().to_string();
    out += &format!("{} characters: {}\n", long.len(), long.rsplit(": ").next().unwrap());
    expect![[r#"
        v=1 -> v=2: read as Lease { regeneration: 01935000-0000-7000-8000-000000000001, cutoff: 2026-11-22T11:00:00Z, daemon: "here", until: 2026-11-22T12:00:00Z, wanted: 3, surge: 1, min: None, max: 10, max_allowed: 10 }
        v=1  -> : a field is missing
        id=0 -> id=x: the id is not a UUID
        id= -> di=: a field is missing
        cutoff=2026 -> cutoff=yesterday: a time is malformed
        daemon=here -> daemon=: a field is missing
        until=2026 -> until=26: a time is malformed
        wanted=3 -> wanted=three: a number is malformed
        surge=1 -> surge=-1: a number is malformed
        max=10 -> max=99999999999: a number is malformed
        max=10 -> : a field is missing
         most=10 -> : read as Lease { regeneration: 01935000-0000-7000-8000-000000000001, cutoff: 2026-11-22T11:00:00Z, daemon: "here", until: 2026-11-22T12:00:00Z, wanted: 3, surge: 1, min: None, max: 10, max_allowed: 4 }
        most=10 -> most=: read as Lease { regeneration: 01935000-0000-7000-8000-000000000001, cutoff: 2026-11-22T11:00:00Z, daemon: "here", until: 2026-11-22T12:00:00Z, wanted: 3, surge: 1, min: None, max: 10, max_allowed: 4 }
        most=10 -> most=many: a number is malformed
          -> , : the version is malformed
        341 characters: it is longer than 256 characters
    "#]]
    .assert_eq(&out);
}
