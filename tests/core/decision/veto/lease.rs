//! Promise 3: nothing is changed without the lease, and max size is restored before the lease is released.

use expect_test::expect;
use regend::domain::veto::veto;

use super::super::Scene;
use super::super::table::{action, now};
use super::{ALL, check};

#[test]
fn promise_3_nothing_is_changed_without_the_lease() {
    check(
        "lease none, max_unavailable 1, raised 1, wanted 3, max-before 8\ni-1..i-3 serving 25h",
        &ALL,
        expect![[r#"
            take-lease 1h: yes
            release-lease: no, promise 3: the surplus of 1 is not returned yet
            raise-max 10 12: no, promise 3: the lease is not held, so another daemon could not undo this
            launch 1 a: no, promise 3: the lease is not held, so another daemon could not undo this
            grow 3 4: no, promise 3: the lease is not held, so another daemon could not undo this
            shrink 4 3: no, promise 3: the lease is not held, so another daemon could not undo this
            retire i-1 stale: no, promise 3: the lease is not held, so another daemon could not undo this
            restore-max 10 8: no, promise 3: the lease is not held, so another daemon could not undo this
        "#]],
    );
    check(
        "lease 0s, max_unavailable 1\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
            retire i-1 stale: no, promise 3: the lease is not held, so another daemon could not undo this
        "#]],
    );
    check(
        "lease 1s, max_unavailable 1\ni-1..i-3 serving 25h",
        &["retire i-1 stale"],
        expect![[r#"
        retire i-1 stale: yes
    "#]],
    );
}

#[test]
fn promise_3_nothing_is_changed_after_the_close() {
    let mut scene = Scene::read("max_unavailable 1\ni-1..i-3 serving 25h");
    scene.known.closed = Some(regend::domain::action::Outcome::Completed);
    for text in ALL {
        let action = action(&text.split_whitespace().collect::<Vec<_>>());
        let says = veto(now(), &scene.group, &scene.known, &action).unwrap_err().to_string();
        assert_eq!(says, "promise 3: the regeneration is closed", "{text}");
    }
}

#[test]
fn promise_3_the_lease_stays_while_a_surplus_is_out() {
    check(
        "raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
            release-lease: no, promise 3: the surplus of 1 is not returned yet
        "#]],
    );
    check(
        "i-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
        release-lease: yes
    "#]],
    );
    // Until it was waited for long enough.
    check(
        "window 1h, health_timeout 10m, opened 1h10m, raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
            release-lease: no, promise 3: the surplus of 1 is not returned yet
        "#]],
    );
    check(
        "window 1h, health_timeout 10m, opened 1h10m1s, raised 1, wanted 3\ni-1..i-3 serving 25h",
        &["release-lease"],
        expect![[r#"
            release-lease: yes
        "#]],
    );
}

#[test]
fn promise_3_a_lease_must_be_readable() {
    check(
        "lease none\ni-1..i-3 serving 25h",
        &["take-lease 1h", "take-lease 1h as garbage"],
        expect![[r#"
            take-lease 1h: yes
            take-lease 1h as garbage: no, promise 3: the lease "garbage" cannot be parsed
        "#]],
    );
}

#[test]
fn promise_3_max_size_is_raised_only_where_the_policy_allows_it() {
    check(
        "raise_max_size false\ni-1..i-3 serving 25h",
        &["raise-max 10 11"],
        expect![[r#"
            raise-max 10 11: no, promise 3: the policy has raise_max_size = false
        "#]],
    );
    check(
        "raise_max_size true\ni-1..i-3 serving 25h",
        &["raise-max 10 11"],
        expect![[r#"
        raise-max 10 11: yes
    "#]],
    );
    check(
        "raise_max_size false, max 3\ni-1..i-3 serving 25h",
        &["grow 3 4 max 4"],
        expect![[r#"
            grow 3 4 max 4: no, promise 3: the policy has raise_max_size = false
        "#]],
    );
    check(
        "raise_max_size true, max 3\ni-1..i-3 serving 25h",
        &["grow 3 4 max 4", "grow 3 4 max 3", "grow 3 4 max 2"],
        expect![[r#"
            grow 3 4 max 4: yes
            grow 3 4 max 3: no, promise 4: max size is already 3
            grow 3 4 max 2: no, promise 4: max size is already 3
        "#]],
    );
}

#[test]
fn promise_3_max_size_is_restored_to_what_it_was() {
    check(
        "max 6, max-before 4\ni-1..i-3 serving 25h",
        &["restore-max 6 4", "restore-max 6 5", "restore-max 6 3"],
        expect![[r#"
            restore-max 6 4: yes
            restore-max 6 5: no, promise 3: regend has not raised max size from 5
            restore-max 6 3: no, promise 3: regend has not raised max size from 3
        "#]],
    );
    check(
        "max 6\ni-1..i-3 serving 25h",
        &["restore-max 6 4"],
        expect![[r#"
            restore-max 6 4: no, promise 3: regend has not raised max size from 4
        "#]],
    );
}

#[test]
fn promise_4_a_live_lease_is_overwritten_only_where_an_operator_claimed_it() {
    for held in ["lease none", "claimed elsewhere, lease none", "claimed there"] {
        check(
            &format!("{held}, tag of another-host 1h\ni-1..i-3 serving 25h"),
            &["take-lease 1h"],
            expect![[r#"
                take-lease 1h: no, promise 4: the group is leased by daemon there until 2026-11-22 13:00:00 UTC
            "#]],
        );
    }
    check(
        "claimed there, lease none, tag of another-host 1h\ni-1..i-3 serving 25h",
        &["take-lease 1h", "launch 1 a"],
        expect![[r#"
            take-lease 1h: yes
            launch 1 a: no, promise 3: the lease is not held, so another daemon could not undo this
        "#]],
    );
}
