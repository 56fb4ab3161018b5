//! What cannot be found or understood, and what the message suggests.

use expect_test::expect;

use super::{History, STALE};

#[test]
fn what_cannot_be_found_or_understood_is_said_with_what_may_have_been_meant() {
    let history = History::written();
    history.check(
        &["list", "--group", "wbe"],
        expect![[r#"
        stderr: no entries: no group fits wbe; did you mean web?
    "#]],
    );
    history.check(
        &["list", "--group", "web", "--since", "1m"],
        expect![[r#"
        stderr: no entries
    "#]],
    );
    history.check(
        &["list", "--instance", "i-07da1c2b3d4e5f610"],
        expect![[r#"
        stderr: no entries: the journal names no instance i-07da1c2b3d4e5f610; did you mean i-07da1c2b3d4e5f601?
    "#]],
    );
    history.check(
        &["list", "--instance", "web"],
        expect![[r#"
        stderr: regend: "web" is no instance id: write for example i-0123456789abcdef0
        exit 2
    "#]],
    );
    history.check(
        &["list", "--instance", "i-0"],
        expect![[r#"
        stderr: regend: several instances begin with i-0: i-07da1c2b3d4e5f601, i-086a1c2b3d4e5f602, i-0b5e1c2b3d4e5f603
        exit 2
    "#]],
    );
    history.check(
        &["list", "--regeneration", "ffff"],
        expect![[r#"
        stderr: no entries: the journal knows no regeneration ffff
    "#]],
    );
    let (text, code) = history.ask(&["list", "--regeneration", "01"], None);
    assert!(text.starts_with("stderr: regend: several regenerations begin with 01: 01") && code == 2, "{text}");
    history.check(
        &["list", "--kind", "retire.intent"],
        expect![[r#"
        stderr: regend: no kind of entry fits retire.intent; did you mean retire.intended?
        exit 2
    "#]],
    );
    history.check(&["list", "--since", "soon"], expect![[r#"
        stderr: regend: "soon" is not a time; write for example 2026-11-22, 2026-11-22T03:12:44Z, 2d, 90m, today or yesterday
        exit 2
    "#]]);
    history.check(
        &["list", "--since", "1h", "--until", "2h"],
        expect![[r#"
        stderr: regend: --since 2026-11-22 02:30:00Z is not before --until 2026-11-22 01:30:00Z
        exit 2
    "#]],
    );
    history.check(
        &["show", "99"],
        expect![[r#"
        stderr: regend: no entry 99: the journal's entries are 0 to 16
        exit 1
    "#]],
    );
    history.check(
        &["show", "ffff"],
        expect![[r#"
        stderr: regend: no entry has the id ffff
        exit 1
    "#]],
    );
    history.check(
        &["show", "web"],
        expect![[r#"
        stderr: regend: "web" is no id: write for example 019a3c5e-…; its beginning is enough
        exit 2
    "#]],
    );
    history.check(
        &["show", STALE],
        expect![[r#"
        stderr: regend: i-07da1c2b3d4e5f601 is an instance: `regend audit instance i-07da1c2b3d4e5f601`
        exit 2
    "#]],
    );
    history.check(
        &["instance", "i-07da1c2b3d4e5f610"],
        expect![[r#"
        stderr: regend: the journal names no instance i-07da1c2b3d4e5f610; did you mean i-07da1c2b3d4e5f601?
        exit 1
    "#]],
    );
    history.check(
        &["instance", "07da"],
        expect![[r#"
        stderr: regend: "07da" is no instance id: write for example i-0123456789abcdef0
        exit 2
    "#]],
    );
}
