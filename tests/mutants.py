#!/usr/bin/env python3
"""Breaks the production code in one place at a time, and sees whether the core's tests notice.

Only what cargo-mutants cannot make (`make mutants-cargo`): statements in another order or left out, a call that is not
made, another value in the place of one.

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

# What is broken; where; the text; what it becomes.
MUTANTS = [
    ("the state changes before the journal does", "src/engine/reconcile/recorder.rs",
     'let entry = self.journal.append(entry).await?;\n        active.regeneration.apply(&entry)?;',
     'active.regeneration.apply(&entry)?;\n        let entry = self.journal.append(entry).await?;'),
    ("the veto is not asked", "src/engine/reconcile.rs",
     'match veto(now, &group, &active.regeneration, &action) {',
     'match veto(now, &group, &active.regeneration, &action).or(Ok::<(), crate::domain::veto::Veto>(())) {'),
    ("a lost answer counts as done", "src/engine/reconcile/effect.rs",
     'Event::unknown(&action, intent, unanswered(None), error, None)',
     '{ let _ = error; Event::seen(&action, intent, Vec::new()) }'),
    ("the outcome is not recorded", "src/engine/reconcile/effect.rs",
     '        self.record(active, event).await?;\n',
     '        active.regeneration.apply(&active.regeneration.entry(event, started))?;\n'),
    ("an effect does not make older observations useless", "src/domain/regeneration.rs",
     '(self.intent, self.unanswered, self.last_effect) = (None, None, Some(entry.t));',
     '(self.intent, self.unanswered) = (None, None);'),
    ("a regeneration that is taken over gets a new cutoff", "src/domain/opening.rs",
     'map_or(asked, |lease| lease.cutoff.min(asked))',
     'map_or(asked, |_| asked)'),
    ("a queued run gets the cutoff of when it opens", "src/engine/fleet/queue.rs",
     'opening::open(now, pending.requested_at, group',
     'opening::open(now, now, group'),
    ("AWS's explanation of a loss is not recorded", 'src/engine/reconcile/causes.rs',
     '        *explanation = Some(Explanation { activity_id: activity.id.clone(), cause: why.to_owned() });\n',
     '        let _ = (explanation, activity, Explanation::clone);\n'),
    ("an open intent is not settled first", "src/domain/decision.rs",
     'None.or_else(|| self.intent())\n            .or_else',
     'None.or_else'),
    ("all launches have one token", "src/domain/decision/launch.rs",
     'known.launches + 1)',
     '0)'),
    ("a takeover reuses tokens", "src/domain/decision/launch.rs",
     'known.opened_at.timestamp_micros()',
     '0'),
    ("every retirement decrements desired capacity", "src/domain/decision/retire.rs",
     'decrement: counts && slot == Slot::Removed && is_surplus',
     'decrement: true'),
    ("no canary is waited for", "src/domain/decision/launch.rs",
     'canary.saturating_sub(started).saturating_sub(self.instances(missing))',
     'u32::MAX'),
    ("an old token is trusted for ever", "src/domain/decision/preconditions.rs",
     'if self.now <= TOKEN_LIFE.after(intent.at) =>',
     'if intent.at <= self.now =>'),
    ("a throttled call is repeated at once", "src/domain/decision/preconditions.rs",
     'if self.now >= until {\n            return None;',
     'if self.now >= last {\n            return None;'),
    ("max size is restored below min size", "src/domain/regeneration/numbers.rs",
     'self.max_before.map(|before| before.max(min))',
     'self.max_before'),
    ("a launch is not counted as surplus", "src/domain/regeneration/effect.rs",
     'self.raised = self.raised.saturating_add(came);\n',
     ''),
    ("a retirement does not consume the surplus", "src/domain/regeneration/effect.rs",
     'self.expect(intent.desired.saturating_sub(weight), entry.t, Vec::new());\n                    self.raised = self.raised.saturating_sub(weight);',
     'self.expect(intent.desired.saturating_sub(weight), entry.t, Vec::new());'),
    ("a max size that others set is overwritten", "src/domain/regeneration/numbers.rs",
     'self.max = max;\n            self.max_before = None;',
     'self.max = max;'),
    ("a retirement is not remembered", "src/domain/regeneration/effect.rs",
     'self.retired.insert(instance.clone(), retirement);',
     'let _ = retirement;'),
    ("the max size to restore is forgotten", "src/domain/regeneration/effect.rs",
     '            Action::RaiseMaxSize { from, to } => {\n                self.max_before.get_or_insert(*from);',
     '            Action::RaiseMaxSize { from: _, to } => {'),
    ("regend's own surplus counts as another daemon's", 'src/domain/decision/preconditions.rs',
     '        surplus = surplus.saturating_sub(known.raised);\n',
     ''),
    ("wanted falls below the min size of others", "src/domain/regeneration/numbers.rs",
     'wanted.min(max).max(min)',
     'wanted.min(max)'),
    ("a raised min size counts as a surplus that was not launched", "src/domain/lease.rs",
     '(group.min - min).min(excess)',
     'group.min - min'),
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
