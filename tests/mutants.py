#!/usr/bin/env python3
"""Breaks the production code in one place at a time, and sees whether the core's tests notice.

Usage: tests/mutants.py [WORD…]     only the mutants whose file, text or reason holds one of these words

It works in a copy of the tree, so the tree itself is never touched. Each mutant is a text of a file that is replaced by
another; a text that is not there exactly once any more stops everything at once. Exit status: 0 all caught, 1 some
survived, 2 it could not be tried. `KNOWN` are equivalent ones, with the reason.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPIED = ["Cargo.toml", "Cargo.lock", "src", "tests", "benches", "config", "docs", "README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
# Quick ones first: most mutants do not live to see the others.
STAGES = [["--skip", "crashes::", "--skip", "seeds::"], ["crashes::"], ["seeds::"]]
# A mutant that makes something endless is caught, too.
PATIENCE_S = 600

RECONCILE, FLEET, QUEUE = "src/engine/reconcile.rs", "src/engine/fleet.rs", "src/engine/fleet/queue.rs"
DECIDE, OBSTACLES = "src/domain/decision.rs", "src/domain/decision/preconditions.rs"
REPLACE, FINISH = "src/domain/decision/replace.rs", "src/domain/decision/finish.rs"
HOLD, MEMORY = "src/domain/action/hold.rs", "src/domain/regeneration/state.rs"
ZONES, CAUSES = "src/domain/decision/zones.rs", "src/engine/reconcile/causes.rs"
NUMBERS, EFFECT = "src/domain/regeneration/numbers.rs", "src/domain/regeneration/effect.rs"
FOLD, NOTICE, LEASE = "src/domain/regeneration.rs", "src/domain/change_detection.rs", "src/domain/lease.rs"
VETO, WATCH, PLAN = "src/domain/veto.rs", "src/domain/health_tracker.rs", "src/domain/plan.rs"
ACTIVITY = "src/domain/activity.rs"

# What is broken; where; the text; what it becomes.
MUTANTS = [
    ("the fold knows before the journal does", RECONCILE,
     "let entry = self.journal.append(entry)?;\n        active.regeneration.apply(&entry)?;",
     "active.regeneration.apply(&entry)?;\n        let entry = self.journal.append(entry)?;"),
    ("the veto is not asked", RECONCILE,
     "match veto(now, &group, &active.regeneration, &action) {",
     "match veto(now, &group, &active.regeneration, &action).or(Ok::<(), crate::domain::veto::Veto>(())) {"),
    ("a lost answer is taken for done", RECONCILE,
     "Answer::Unknown { error } => Entry { error: Some(error), ..about(Conclusion::Unknown) },",
     "Answer::Unknown { error } => Entry { error: Some(error), ..about(Conclusion::Done) },"),
    ("a lost answer is taken for refused", RECONCILE,
     "Answer::Unknown { error } => Entry { error: Some(error), ..about(Conclusion::Unknown) },",
     "Answer::Unknown { error } => about(Conclusion::Refused).refused(intent, &action, Refusal { code: \"Lost\".into(), "
     "message: error, request: None, kind: crate::domain::action::RefusalKind::Busy }),"),
    ("a repeat that is turned away ends the intent", RECONCILE,
     "if repeats && !kind.disproves_earlier_launch() =>", "if false && repeats && !kind.disproves_earlier_launch() =>"),
    ("the outcome is not recorded", RECONCILE,
     "        self.record(active, entry)?;\n        Ok(())\n    }\n\n    fn intended",
     "        active.regeneration.apply(&entry)?;\n        Ok(())\n    }\n\n    fn intended"),
    ("news are not taken note of", RECONCILE,
     "if let Some(hold) = self.take_note(active, &group).await? {", "if let Some(hold) = None::<Hold> {"),
    ("holds are not recorded", RECONCILE,
     "            self.note_holds(active, &holds)?;\n", "            let _ = Self::note_holds;\n"),
    ("a restart takes nothing up", FLEET,
     "self.start(regeneration, now);\n        }\n        Ok(())\n    }\n\n    fn start", "}\n        Ok(())\n    }\n\n    fn start"),
    ("a group is gone at the first look that lacks it", FLEET, "if slot.absent < 2 {", "if slot.absent < 1 {"),
    ("failures do not break the fleet", QUEUE, "self.failed >= self.limits.max_failed.max(1)", "self.failed > self.limits.max_failed.max(1)"),
    ("stages do not wait", QUEUE, "Some(queued.request.policy.stage) == stage && queued", "stage.is_some() && queued"),
    ("an open intent does not come first", DECIDE,
     "None.or_else(|| self.intent())\n            .or_else", "None.or_else"),
    ("another daemon's lease is ignored", DECIDE, "            .or_else(|| self.taken_away())\n", ""),
    ("a lease is never renewed", DECIDE, "            .or_else(|| self.renew())\n", ""),
    ("nothing is held by others' doings", DECIDE, "            .or_else(|| self.interference())\n", ""),
    ("no lease is taken", DECIDE, "            .or_else(|| self.lease())\n", ""),
    ("failures do not end it", DECIDE, "            .or_else(|| self.too_many_failures())\n", ""),
    ("the surplus is not given back", DECIDE, "            .or_else(|| self.return_surplus())\n", ""),
    ("a failed one stays", DECIDE, "            .or_else(|| self.retire_failed())\n", ""),
    ("warm a moment too early", DECIDE, "|| warmup.after(since) <= group.seen", "|| since <= group.seen"),
    ("one retirement below the floor", REPLACE,
     "if serving < self.floor && !self.is_already_replaced(first) {",
     "if serving + 1 < self.floor && !self.is_already_replaced(first) {"),
    ("it launches one more than max_surge", REPLACE,
     "let room = self.surge.saturating_sub(above)", "let room = (self.surge + 1).saturating_sub(above)"),
    ("all launches have one token", REPLACE, "known.launches + 1)", "0)"),
    ("who takes over reuses tokens", REPLACE, "known.opened_at.timestamp_micros()", "0"),
    ("desired capacity is never taken down", REPLACE,
     "decrement: counts && slot", "decrement: false && counts && slot"),
    ("desired capacity is always taken down", REPLACE,
     "decrement: counts && slot == Slot::Removed && is_surplus", "decrement: true"),
    ("a dry zone is tried again", ZONES, ".filter(|(_, zone)| !dry.contains(zone))", ".filter(|(_, _)| dry.len() < 99)"),
    ("a batch starts after the window", REPLACE, "if self.now > ends {\n            return 0;", "if false && self.now > ends {\n            return 0;"),
    ("the canary is not waited for", REPLACE, "canary.saturating_sub(started).saturating_sub(missing)", "u32::MAX"),
    ("the surplus is taken back while it comes", FINISH,
     "if !is_short || settled.is_some_and(|at| self.group.seen < at) {", "if false && (!is_short || settled.is_some_and(|at| self.group.seen < at)) {"),
    ("the surplus is taken back after one look", FINISH, ".is_some_and(|since| SETTLE.after(since) <= self.group.seen);", ".is_some();"),
    ("max size is put back under desired capacity", FINISH,
     "if group.desired <= before {", "if group.desired <= before + 1 {"),
    ("max size is not put back", FINISH, "if let Some(before) = known.max_to_restore() {\n            if", "if let Some(before) = known.max_to_restore().filter(|_| false) {\n            if"),
    ("the lease stays", FINISH, "if known.lease.is_some() || self.is_left_over() {", "if false && (known.lease.is_some() || self.is_left_over()) {"),
    ("it closes while instances drain", FINISH, "known.draining().filter(|(id, r)| !overdue(r) && ", "known.draining().filter(|(id, r)| false && !overdue(r) && "),
    ("there is no bake", FINISH, ".filter(|until| self.now < *until);", ".filter(|_| false);"),
    ("a dead lease that is left over stays", FINISH, "l.is_of(self.me.daemon) || l.is_dead(self.now)", "l.is_of(self.me.daemon)"),
    ("what a dead owner left is not taken over", OBSTACLES, "(left != LeftBehind::default()).then_some(left)",
     "(false && left != LeftBehind::default()).then_some(left)"),
    ("an old token is trusted for ever", OBSTACLES, "if self.now <= TOKEN_LIFE.after(intent.at) =>", "if intent.at <= self.now =>"),
    ("a stale look is not settled", OBSTACLES, "if known.is_settling(group) {", "if false && known.is_settling(group) {"),
    ("a suspended process is ignored", HOLD, 'let blocking = ["Launch", "Terminate", "AddToLoadBalancer"];', 'let blocking = ["Launched"];'),
    ("a busy AWS is asked again at once", OBSTACLES, "if self.now >= until {\n            return None;", "if self.now >= last {\n            return None;"),
    ("one failure too many", OBSTACLES, "|| failures <= max {", "|| failures <= max + 1 {"),
    ("a warm pool that takes old ones back is used", HOLD, "let reuse = group.reuses.then_some", "let reuse = (false && group.reuses).then_some"),
    ("a pause is ignored", OBSTACLES, "if known.paused {", "if false && known.paused {"),
    ("max size is put back below min size", NUMBERS, "self.max_before.map(|before| before.max(min))", "self.max_before"),
    ("a launch is not counted as surplus", EFFECT, "self.raised = self.raised.saturating_add(came);\n", ""),
    ("a retirement does not consume the surplus", EFFECT,
     "self.expect(intent.desired.saturating_sub(1), entry.t, Vec::new());\n                    self.raised = self.raised.saturating_sub(1);",
     "self.expect(intent.desired.saturating_sub(1), entry.t, Vec::new());"),
    ("a person's wish does not absorb the surplus", NUMBERS, "Some([_, to]) => to,", "Some([_, to]) => to.saturating_sub(raised),"),
    ("a max size that others set is restored over", NUMBERS, "self.max = max;\n            self.max_before = None;", "self.max = max;"),
    ("a refused launch without permission has no other way", MEMORY, "Some(RefusalKind::Forbidden) if launches => Some(RefusalKind::NotOffered),", ""),
    ("a retired one is not remembered", EFFECT, "self.retired.insert(instance.clone(), retirement);", "let _ = retirement;"),
    ("an effect is not remembered", FOLD, "        self.last_effect = Some(entry.t);\n", ""),
    ("a failure is not counted", EFFECT, "                self.failures += 1;\n", ""),
    ("what has to be put back is forgotten", EFFECT, "            Action::RaiseMaxSize { from, to } => {\n                self.max_before.get_or_insert(*from);", "            Action::RaiseMaxSize { from: _, to } => {"),
    ("a restart ends an operator's pause", FOLD, 'Some("restarted") => self.restarted(entry.t),', 'Some("restarted") => self.paused = false,'),
    ("an instance born at the cutoff is stale", FOLD, "Some(born >= cutoff)", "Some(born > cutoff)"),
    ("an open intent may be covered by another", FOLD, 'if self.intent.is_some() {\n                    return Err(illegal("another intent is still open"));\n                }', ""),
    ("a lost effect is never seen", NOTICE, "        if seen {\n", "        if seen && false {\n"),
    ("a lost effect is given up at once", NOTICE, "        overdue.then(|| {", "        (overdue || true).then(|| {"),
    ("the launches of the group are taken for ours", NOTICE, "                    0 => THEIRS,\n", "                    u32::MAX => THEIRS,\n"),
    ("one look that lacks it says that it was retired", NOTICE, "None if watch.is_gone(instance, group.seen) => true,", "None => true,\n                    #[cfg(any())]"),
    ("other people's changes are not seen", NOTICE, "(change != Change::default()).then(||", "(change != Change::default() && false).then(||"),
    ("nobody is lost who is not seen", NOTICE, "None => watch.is_gone(id, self.group.seen).then(|| self.gone(Kind::InstanceLost, id)),", "None => None,"),
    ("launch_timeout is missed at its end", NOTICE, "_ if now > policy.launch_timeout.after(newcomer.since) => {", "_ if now > newcomer.since => {"),
    ("gone at the first look that lacks it", WATCH, "*self.absent.entry(id.clone()).or_insert(seen) < seen", "*self.absent.entry(id.clone()).or_insert(seen) <= seen"),
    ("a gap between looks does not matter", WATCH, "if blind {", "if false && blind {"),
    ("a lease is dead a moment too late", LEASE, "self.expires() <= now ||", "self.expires() < now ||"),
    ("whose lease it is does not matter", LEASE, "self.daemon == word(daemon)", "!word(daemon).is_empty()"),
    ("the veto does not count who serves", VETO, "if serving < floor && !keeps_capacity", "if false && serving < floor && !keeps_capacity"),
    ("the veto allows a retirement twice", VETO, "if regeneration.retired.contains_key(&victim.id) {", "if false && regeneration.retired.contains_key(&victim.id) {"),
    ("the veto does not ask for the lease", VETO, "if changes_the_group && ", "if false && changes_the_group && "),
    ("a regeneration taken over gets a new cutoff", PLAN, "map_or(asked, |lease| lease.cutoff.min(asked))", "map_or(now, |_| now)"),
    ("a dead owner's surplus is not inherited", PLAN, "Inherited { raised: surplus,", "Inherited { raised: surplus.min(0),"),
    ("what is beyond a dead owner's surge is its surplus", LEASE, "None if excess <= self.surge => excess,", "None if true => excess.min(self.surge),"),
    ("what min size asks for is a dead owner's surplus", LEASE, "self.wanted.max(min.unwrap_or(group.min))", "self.wanted"),
    ("any higher max size is a dead owner's", LEASE, "self.max < group.max && group.max <= self.max_allowed", "self.max < group.max"),
    ("a schedule opens in spite of a live lease", PLAN, "leased(now, group, &opener.daemon).or_else(|| Hold::tags_full(group)),",
     "Hold::tags_full(group),"),
    ("a person waits as well", PLAN, "opener.trigger != Trigger::Manual && now <= opener.window_ends", "now <= opener.window_ends"),
    ("whoever waits waits beyond its window", PLAN, "&& now <= opener.window_ends && !group.deleting", "&& !group.deleting"),
    ("a lost regeneration is gone on with for ever", PLAN, "&& now <= policy.window.after(lease.cutoff);", ";"),
    ("what another launched is not watched", FOLD, "member.born.is_some_and(|born| born >= opened.cutoff);",
     "false && member.born.is_some_and(|born| born >= opened.cutoff);"),
    ("a lease that died is only renewed", EFFECT, "is_none_or(|lease| lease.is_dead(entry.t))", "is_none()"),
    ("that it waits is recorded again and again", QUEUE, "if queued.retry_at.is_none() {", "if true || queued.retry_at.is_none() {"),
    ("waiting uses the firing up", QUEUE, "Entry { firing: None, ..entry }", "entry"),
    ("whoever waited gets a cutoff of when it opens", QUEUE, "plan::open(now, queued.requested_at, group", "plan::open(now, now, group"),
    ("what is ours is theirs as well", OBSTACLES, "        surplus = surplus.saturating_sub(known.raised);\n", ""),
    ("what was left over our lease is not taken over", OBSTACLES, " || self.left_behind().is_some()) && !is_refused", ") && !is_refused"),
    ("a look just after our lease shows theirs", OBSTACLES, "let is_pending = known.lease.is_some() && !self.is_settled();", "let is_pending = false;"),
    ("it is handed over on a bad look", OBSTACLES,
     "if let Some(wait) = self.lacks_members() {\n                        return Some(wait);\n                    }\n                    let why",
     "let why"),
    ("a surplus that hangs is waited for without end", FINISH, "is_short || patience < self.now;", "is_short || patience < patience;"),
    ("a slow look is written over others' numbers", RECONCILE, "if action.may_undo() && self.has_changed", "if action.may_undo() && false && self.has_changed"),
    ("throttled, it asks once more all the same", RECONCILE, "is_fresh || active.regeneration.refusals.in_a_row > 0", "is_fresh"),
    ("the look that shows an effect is acted upon", RECONCILE, "if active.regeneration.last_effect > effect.max(Some(group.seen)) {", "if effect > effect {"),
    ("why an instance went is not recorded", CAUSES, "error.push_str(why);", ""),
    ("a group that cannot launch is asked at each look", CAUSES, "is_none_or(|(asked, _)| ASK_AGAIN.after(*asked) <= now)", "is_none_or(|(asked, _)| *asked <= now)"),
    ("a policy's step is taken for a number that a person wants", NUMBERS,
     "if change.relative =>", "if change.relative && false =>"),
    ("fewer are wanted than others' min size", NUMBERS, "wanted.min(max).max(min)", "wanted.min(max)"),
    ("min size is not raised with the surplus", REPLACE, ".filter(|min| *min > group.min)", ".filter(|min| *min > group.min && false)"),
    ("the surplus is retired under a raised min size", REPLACE, "|before: &u32| decrements && ", "|before: &u32| false && decrements && "),
    ("a surplus that others take comes again at once", REPLACE, "if in_a_row == 0 {", "if true || in_a_row == 0 {"),
    ("a place is refilled during a scale-in", REPLACE, "if keeps_surplus && live > self.group.desired {", "if false && keeps_surplus && live > self.group.desired {"),
    ("a zone without capacity is emptied", ZONES, "is_dry && self.keeps_zones()", "false && is_dry && self.keeps_zones()"),
    ("a raised min size shows a surplus that is not out", LEASE, "(group.min - min).min(excess)", "group.min - min"),
    ("limits stay raised without a surplus", DECIDE, "            .or_else(|| self.fit_limits())\n", ""),
    ("a policy that fills the room above max size is put up with", FINISH,
     "= self.shrink_at_once() {", "= self.shrink_at_once().filter(|_| false) {"),
    ("it closes while what Auto Scaling chose drains", FINISH,
     "if let Some(wait) = self.await_scale_in() {", "if let Some(wait) = self.await_scale_in().filter(|_| false) {"),
    ("a launch tells why its instance went", ACTIVITY, "true => Some((activity, activity.failure.as_deref()?)),", "true => Some((activity, activity.cause.as_str())),"),
]

# Mutants that change nothing that can be seen, by what they are called, and why.
KNOWN = {}


def main():
    words = sys.argv[1:]
    chosen = [m for m in MUTANTS if not words or any(w in " ".join(m[:3]) for w in words)]
    missing = [f"{file}: {(ROOT / file).read_text().count(old)} times, not once: {old!r}\n    ({what})"
               for what, file, old, _ in MUTANTS if (ROOT / file).read_text().count(old) != 1]
    if missing:
        print("These texts changed; bring tests/mutants.py up to date:\n" + "\n".join(missing), file=sys.stderr)
        return 2
    if not chosen:
        print("no mutant holds such a word", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="regend-mutants-") as folder:
        tree = pathlib.Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, tree / name)
        verdict, says = judge(tree)
        if verdict != "survived":
            print(f"unchanged, the tests already fail: {says}", file=sys.stderr)
            return 2
        return try_all(tree, chosen)


def try_all(tree, chosen):
    survivors = []
    for n, (what, file, old, new) in enumerate(chosen, 1):
        path = tree / file
        whole = path.read_text()
        path.write_text(whole.replace(old, new))
        started = time.monotonic()
        verdict, says = judge(tree)
        path.write_text(whole)
        if verdict == "broken":
            print(f"{file}: {what}: it does not compile:\n{says}", file=sys.stderr)
            return 2
        if verdict == "survived" and what in KNOWN:
            verdict, says = "equivalent", KNOWN[what]
        elif verdict == "survived":
            survivors.append(what)
        print(f"{n:3}/{len(chosen)} {verdict:10} {time.monotonic() - started:4.0f}s  {file}: {what}: {says}", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught or equivalent")
    return 1 if survivors else 0


def judge(tree):
    """Whether the tests catch what is in the tree, and which first."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(tree / "target"), CARGO_INCREMENTAL="1", CARGO_PROFILE_TEST_DEBUG="0",
               CARGO_PROFILE_DEV_DEBUG="0", RUST_BACKTRACE="0", RUSTFLAGS="-A warnings")
    cargo = ["cargo", "test", "--quiet", "--locked", "--no-default-features", "--test", "core"]
    built = subprocess.run(cargo + ["--no-run"], cwd=tree, env=env, text=True, capture_output=True)
    if built.returncode:
        return "broken", built.stderr[-3000:]
    for stage in STAGES:
        command = [word for word in cargo if word != "--quiet"] + ["--"] + stage
        # A group of its own: what a mutant makes endless is a child of cargo.
        process = subprocess.Popen(command, cwd=tree, env=env, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        first, ended = None, time.monotonic() + PATIENCE_S
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.alarm(PATIENCE_S)
        for line in process.stdout:
            failed = re.match(r"test (\S+) \.\.\. FAILED", line)
            if failed:
                first = failed[1]
                break
        if first:
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        signal.alarm(0)
        if first:
            return "caught", first
        if status:
            return "caught", "it never ends" if time.monotonic() >= ended - 1 else f"exit status {status}"
    return "survived", "no test fails"


if __name__ == "__main__":
    sys.exit(main())
