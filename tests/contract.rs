//! What every store must do: one suite of facts, which each store's test binary runs over its own.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use regend::domain::action::{Action, Receipt};
use regend::domain::group::{GroupKey, InstanceId, Zone};
use regend::domain::journal::{Entry, Event, InstanceJudged, Kind, Member, Opened, VERSION};
use regend::domain::regeneration::Regeneration;
use regend::domain::span::Time;
use regend::engine::lookup::{self, Unanswered};
use regend::engine::ports::{Field, Filter, History, Journal};
use uuid::Uuid;

use crate::sample;

mod executor;

/// A place for entries that is empty at first.
pub(crate) trait Store {
    type Journal: Journal;

    fn new() -> Self;

    /// As a new process opens it.
    fn open(&mut self) -> Self::Journal;
}

/// Runs every fact over a store.
macro_rules! contract {
    ($store:ty: $($fact:ident,)*) => {
        $(
            #[test]
            fn $fact() {
                crate::contract::$fact::<$store>();
            }
        )*
    };
    ($store:ty) => {
        crate::contract::contract! { $store:
            an_entry_is_stamped_and_comes_back_as_it_was_written,
            each_start_is_a_new_boot_of_the_same_writer,
            entries_of_callers_that_wait_at_the_same_time_keep_each_callers_order,
            what_was_opened_and_not_closed_is_recovered_in_order,
            the_scheduler_learns_when_a_group_was_regenerated,
            entries_are_read_from_any_position_on,
            many_entries_are_listed_page_by_page_and_in_order,
            each_part_of_a_filter_restricts,
            an_instance_is_found_in_whatever_role_an_entry_names_it,
            the_beginning_of_an_id_is_enough_where_it_is_of_one_thing,
        }
    };
}

pub(crate) use contract;
pub(crate) use executor::{together, wait};

pub(crate) fn at(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

pub(crate) fn minutes(count: i64) -> Time {
    at("2026-11-22T03:00:00Z") + TimeDelta::minutes(count)
}

pub(crate) fn some(kind: Kind) -> Entry {
    Entry::new(sample::event(kind), minutes(0), "schedule")
}

pub(crate) fn of(kind: Kind, regeneration: Uuid) -> Entry {
    Entry { regeneration: Some(regeneration), ..some(kind).about(&key("prod", "web")) }
}

pub(crate) fn opened(regeneration: Uuid) -> Entry {
    let (instance, zone) = (InstanceId::new("i-1"), Zone::new("eu-west-1a"));
    let member = Member { instance, zone, weight: 1.into(), born: None, image: None };
    let (cutoff, window_ends) = (at("2026-11-22T03:00:00.123456Z"), at("2026-11-22T07:00:00Z"));
    let firing = Some("2026-11-22T04:00:00".to_owned());
    let opened = Opened { cutoff, window_ends, firing, members: vec![member], ..sample::opened() };
    Entry { event: Event::RegenerationOpened(Box::new(opened)), ..of(Kind::RegenerationOpened, regeneration) }
}

pub(crate) fn closed(regeneration: Uuid) -> Entry {
    of(Kind::RegenerationClosed, regeneration)
}

fn key(account: &str, group: &str) -> GroupKey {
    GroupKey { account: account.to_owned(), region: "eu-west-1".to_owned(), name: group.to_owned() }
}

/// Instances that a launch brought.
fn launched(ids: &[&str], regeneration: Uuid) -> Entry {
    let launch = Action::Launch { count: 1, zone: None, token: String::new() };
    let receipt = Receipt { instances: ids.iter().map(|id| InstanceId::new(*id)).collect(), ..Receipt::default() };
    Entry { event: Event::done(&launch, Uuid::nil(), 0, receipt), ..of(Kind::LaunchAccepted, regeneration) }
}

fn serving(id: &str, regeneration: Uuid) -> Entry {
    let event = Event::InstanceServing(InstanceJudged { instance: sample::facts(id), targets: vec![] });
    Entry { event, ..of(Kind::InstanceServing, regeneration) }
}

fn id(journal: &impl Journal) -> Uuid {
    journal.new_id(minutes(0))
}

/// Every entry with its position.
pub(crate) fn entries(history: &impl History) -> Vec<(u64, Entry)> {
    let stored = wait(history.since(0, u64::MAX)).unwrap();
    stored.iter().map(|stored| (stored.seq, history.parse(stored).unwrap())).collect()
}

fn write(journal: &impl Journal, entries: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry| wait(journal.append(entry)).unwrap()).collect()
}

pub(crate) fn an_entry_is_stamped_and_comes_back_as_it_was_written<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let precise = at("2026-11-22T03:00:00.123456Z");
    let written = write(&journal, [Entry { t: precise, ..some(Kind::DaemonStarted) }, some(Kind::DaemonStopped)]);
    let (first, second) = (&written[0], &written[1]);
    assert_eq!((first.v, first.wseq, second.wseq), (VERSION, 1, 2));
    assert_eq!((first.id.get_version_num(), first.t), (7, precise));
    assert!(first.id < second.id && first.boot == second.boot && first.rt <= second.rt);
    assert_eq!(first.writer, journal.writer());
    for (stored, entry) in wait(journal.since(0, 9)).unwrap().iter().zip(&written) {
        assert_eq!(entry.to_bytes().unwrap(), stored.body, "compact, and in the order of the fields");
    }
    assert_eq!(entries(&journal), [(0, first.clone()), (1, second.clone())]);
}

pub(crate) fn each_start_is_a_new_boot_of_the_same_writer<S: Store>() {
    let mut store = S::new();
    let first = write(&store.open(), [some(Kind::DaemonStarted)]);
    let second = write(&store.open(), [some(Kind::DaemonStarted)]);
    assert_eq!((first[0].wseq, second[0].wseq), (1, 1));
    assert_eq!(first[0].writer, second[0].writer);
    assert_ne!(first[0].boot, second[0].boot);
    assert_ne!(first[0].id, second[0].id);
}

pub(crate) fn entries_of_callers_that_wait_at_the_same_time_keep_each_callers_order<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let caller = |name: String| {
        let journal = &journal;
        async move {
            for n in 0..20 {
                let (group, reason) = (Some(name.clone()), Some(n.to_string()));
                journal.append(Entry { group, reason, ..some(Kind::RegenerationHeld) }).await.unwrap();
            }
        }
    };
    wait(together((0..10).map(|n| caller(n.to_string()))));
    let entries = entries(&journal);
    assert_eq!(entries.len(), 200);
    let mut latest: BTreeMap<_, usize> = BTreeMap::new();
    for (n, (seq, entry)) in (0..).zip(&entries) {
        assert_eq!((*seq, entry.wseq), (n, n + 1));
        let latest = latest.entry(entry.group.clone()).or_default();
        assert_eq!(entry.reason, Some(latest.to_string()));
        *latest += 1;
    }
    let in_order =
        |(before, after): (&(u64, Entry), &(u64, Entry))| before.1.rt <= after.1.rt && before.1.id < after.1.id;
    assert!(entries.iter().zip(&entries[1..]).all(in_order));
}

pub(crate) fn what_was_opened_and_not_closed_is_recovered_in_order<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    assert!(wait(journal.unfinished()).unwrap().is_empty());
    let ids: Vec<_> = (0..3).map(|_| id(&journal)).collect();
    let mut expected: BTreeMap<Uuid, Vec<Entry>> = BTreeMap::new();
    for (entry, recovered) in [
        (opened(ids[0]), false),
        (opened(ids[1]), true),
        (opened(ids[2]), false),
        (of(Kind::RegenerationHeld, ids[1]), true),
        (of(Kind::RegenerationHeld, ids[0]), false),
        (closed(ids[0]), false),
        (of(Kind::RegenerationReleased, ids[1]), true),
        (closed(ids[2]), false),
        // Taken over again from another host's lease: what counts is the latest opening.
        (opened(ids[2]), true),
        (some(Kind::DaemonStopped), false),
    ] {
        let entry = wait(journal.append(entry)).unwrap();
        if recovered {
            expected.entry(entry.regeneration.unwrap()).or_default().push(entry);
        }
    }
    drop(journal);
    let unfinished = wait(store.open().unfinished()).unwrap();
    assert_eq!(unfinished, [expected[&ids[1]].clone(), expected[&ids[2]].clone()]);
    for entries in &unfinished {
        assert!(Regeneration::recover(entries).unwrap().is_some());
    }
}

pub(crate) fn the_scheduler_learns_when_a_group_was_regenerated<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let (prod, other) = (key("prod", "web"), key("other", "web"));
    let id = id(&journal);
    assert_eq!(wait(lookup::pace(&journal, &prod)).unwrap(), None);
    assert_eq!(wait(journal.last_closed(&prod)).unwrap(), None);
    let written = write(
        &journal,
        [
            some(Kind::DaemonStarted),
            opened(id),
            Entry { t: minutes(1), ..launched(&["i-2"], id) },
            Entry { t: minutes(3), ..serving("i-2", id) },
            Entry { t: minutes(4), ..of(Kind::RetireAccepted, id) },
            Entry { t: minutes(9), ..of(Kind::InstanceTerminated, id) },
            Entry { t: minutes(10), ..closed(id) },
        ],
    );
    assert_eq!(wait(journal.last_opened(&prod)).unwrap(), Some(minutes(0)));
    assert_eq!(wait(journal.last_closed(&prod)).unwrap().as_ref(), written.last());
    assert_eq!(wait(journal.last_opened(&other)).unwrap(), None);
    assert_eq!(wait(journal.last_closed(&other)).unwrap(), None);
    let has_fired = |key, local| wait(journal.has_fired(key, local)).unwrap();
    assert!(has_fired(&prod, "2026-11-22T04:00:00"));
    assert!(!has_fired(&prod, "2026-11-23T04:00:00") && !has_fired(&other, "2026-11-22T04:00:00"));
    let pace = wait(lookup::pace(&journal, &prod)).unwrap().unwrap();
    assert_eq!((pace.launch.to_string(), pace.drain.to_string(), pace.measured), ("2m".into(), "5m".into(), true));
    let kinds = [Kind::RegenerationClosed, Kind::InstanceServing];
    assert_eq!(wait(journal.of_latest(&prod, 1, &kinds)).unwrap(), [written[3].clone(), written[6].clone()]);
}

pub(crate) fn entries_are_read_from_any_position_on<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    assert_eq!((wait(journal.size()).unwrap(), wait(journal.since(0, 5)).unwrap()), (0, vec![]));
    write(&journal, (0..5).map(|_| some(Kind::DaemonStarted)));
    let since = |position, limit| -> Vec<_> {
        wait(journal.since(position, limit)).unwrap().into_iter().map(|stored| stored.seq).collect()
    };
    assert_eq!(wait(journal.size()).unwrap(), 5);
    assert_eq!(
        (since(0, 2), since(2, 9), since(5, 9), since(u64::MAX, 1)),
        (vec![0, 1], vec![2, 3, 4], vec![], vec![])
    );
    let at: Vec<_> = wait(journal.at(&[3, 9, 0])).unwrap().into_iter().map(|stored| stored.seq).collect();
    assert_eq!(at, [3, 0]);
    assert_eq!(wait(lookup::entry_at(&journal, 4)).unwrap().seq, 4);
    let unknown = wait(lookup::entry_at(&journal, 5)).unwrap_err().to_string();
    assert_eq!(unknown, "no entry 5: the journal's entries are 0 to 4");
}

pub(crate) fn many_entries_are_listed_page_by_page_and_in_order<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let written = wait(together((0..600).map(|_| journal.append(some(Kind::DaemonStarted)))));
    assert!(written.iter().all(Result::is_ok));
    for reverse in [false, true] {
        let mut listed = wait(lookup::list(&journal, &Filter { reverse, ..Filter::default() })).unwrap();
        let seqs: Vec<_> = std::iter::from_fn(|| wait(listed.next()).unwrap()).map(|stored| stored.seq).collect();
        let mut expected: Vec<_> = (0..600).collect();
        if reverse {
            expected.reverse();
        }
        assert_eq!(seqs, expected);
        assert!(listed.is_empty());
    }
}

pub(crate) fn each_part_of_a_filter_restricts<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let (one, two) = (id(&journal), id(&journal));
    write(
        &journal,
        [
            Entry { actor: "user:anna".to_owned(), ..some(Kind::DaemonStarted) },
            opened(one),
            Entry { t: minutes(1), ..of(Kind::LaunchRefused, one) },
            Entry { group: Some("api".to_owned()), t: minutes(2), ..opened(two) },
            Entry { t: minutes(3), ..closed(one) },
        ],
    );
    let all = Filter::default;
    let set = |word: &str| Some([word.to_owned()].into());
    for (filter, expected) in [
        (all(), vec![0, 1, 2, 3, 4]),
        (Filter { since: Some(minutes(2)), ..all() }, vec![3, 4]),
        (Filter { until: Some(minutes(2)), ..all() }, vec![0, 1, 2]),
        (Filter { groups: set("api"), ..all() }, vec![3]),
        (Filter { groups: set("a*"), ..all() }, vec![]),
        (Filter { groups: Some([].into()), ..all() }, vec![]),
        (Filter { regeneration: Some(one), ..all() }, vec![1, 2, 4]),
        (Filter { kinds: Some([Kind::DaemonStarted, Kind::LaunchRefused].into()), ..all() }, vec![0, 2]),
        (Filter { actors: set("user:anna"), ..all() }, vec![0]),
        (Filter { outcomes: set("completed"), ..all() }, vec![4]),
        (Filter { outcomes: set("refused"), regeneration: Some(one), ..all() }, vec![2]),
        (Filter { limit: Some(2), ..all() }, vec![0, 1]),
        (Filter { limit: Some(2), reverse: true, groups: set("web"), ..all() }, vec![4, 2]),
    ] {
        assert_eq!(wait(journal.positions(&filter)).unwrap(), expected, "{filter:?}");
    }
    assert_eq!(wait(journal.values(Field::Group)).unwrap(), ["api", "web"]);
    assert_eq!(wait(journal.values(Field::Actor)).unwrap(), ["schedule", "user:anna"]);
    assert_eq!(wait(lookup::fitting(&journal, Field::Group, "a*")).unwrap(), ["api".to_owned()].into());
    assert_eq!(wait(lookup::near_group(&journal, "w*")).unwrap(), "");
    assert_eq!(wait(lookup::near_group(&journal, "wep")).unwrap(), "no group fits wep; did you mean web?");
}

pub(crate) fn an_instance_is_found_in_whatever_role_an_entry_names_it<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let (one, two) = (id(&journal), id(&journal));
    let i = |id: &str| InstanceId::new(id);
    write(
        &journal,
        [
            opened(one),
            launched(&["i-2", "i-3"], one),
            serving("i-2", one),
            of(Kind::RetireAccepted, one),
            serving("i-9", two),
        ],
    );
    let named = |id: &str| {
        let filter = Filter { instance: Some(i(id)), ..Filter::default() };
        wait(journal.positions(&filter)).unwrap()
    };
    assert_eq!((named("i-1"), named("i-2"), named("i-3"), named("i-9")), (vec![0, 3], vec![1, 2], vec![1], vec![4]));
    assert!(named("i-").is_empty());
    let around: Vec<_> = wait(journal.around(&i("i-3"))).unwrap().into_iter().map(|stored| stored.seq).collect();
    assert_eq!(around, [0, 1, 2, 3], "with all that happened in its regeneration");
    assert_eq!(wait(journal.values(Field::Instance)).unwrap(), ["i-1", "i-2", "i-3", "i-9"]);
    assert_eq!(wait(lookup::instance(&journal, "i-9")).unwrap(), i("i-9"));
    assert!(matches!(wait(lookup::instance(&journal, "i-")), Err(Unanswered::Malformed(_))));
    assert!(matches!(wait(lookup::instance(&journal, "i-4")), Err(Unanswered::Unknown(_))));
}

pub(crate) fn the_beginning_of_an_id_is_enough_where_it_is_of_one_thing<S: Store>() {
    let mut store = S::new();
    let journal = store.open();
    let (one, two) = (id(&journal), id(&journal));
    let written = write(&journal, [opened(one), opened(two), opened(one), some(Kind::DaemonStopped)]);
    for (seq, entry) in (0..).zip(&written) {
        assert_eq!(wait(lookup::entry_by_id(&journal, &entry.id.to_string())).unwrap().seq, seq);
    }
    for id in [one, two] {
        assert_eq!(wait(lookup::regeneration(&journal, &id.simple().to_string())).unwrap(), id);
    }
    let year = &written[0].id.to_string()[..4];
    let several = wait(lookup::entry_by_id(&journal, year)).unwrap_err();
    assert!(matches!(&several, Unanswered::Malformed(says) if says.starts_with("several ids begin with")), "{several}");
    let several = wait(lookup::regeneration(&journal, &one.to_string()[..4])).unwrap_err().to_string();
    let (low, high) = (one.min(two), one.max(two));
    assert!(several.ends_with(&format!("{low}, {high}")), "{several}");
    assert!(matches!(wait(lookup::entry_by_id(&journal, "f")), Err(Unanswered::Unknown(_))));
    assert!(matches!(wait(lookup::entry_by_id(&journal, "x")), Err(Unanswered::Malformed(_))));
    let hint = wait(lookup::entry_by_id(&journal, &one.to_string())).unwrap_err().to_string();
    assert!(hint.ends_with(&format!("that is a regeneration: `regend audit list --regeneration {one}`")), "{hint}");
    let inside = written[1].id..=written[2].id;
    assert_eq!(wait(journal.ids_beside(inside)).unwrap(), [written[0].id, written[3].id]);
    assert!(wait(journal.ids_beside(Uuid::nil()..=Uuid::max())).unwrap().is_empty());
}
