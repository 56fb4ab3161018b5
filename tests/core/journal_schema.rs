//! The journal's JSON Schema: it is as committed, it knows every kind, and it refuses what no kind has.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use expect_test::expect_file;
use jsonschema::Validator;
use regend::domain::journal::{Entry, Kind, schema};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sample;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());

/// Fails where the schema does not describe an entry that was written.
#[track_caller]
pub(crate) fn validate(entry: &Entry) {
    let json = serde_json::from_slice(&entry.to_bytes().unwrap()).unwrap();
    if let Err(error) = VALIDATOR.validate(&json) {
        panic!("the schema does not describe {json}: {error}");
    }
}

fn written(kind: Kind) -> Value {
    let entry = Entry::new(sample::event(kind), "2026-11-22T03:00:00Z".parse().unwrap(), "schedule");
    let entry = Entry { regeneration: Some(Uuid::nil()), reason: Some("why".to_owned()), ..entry };
    serde_json::from_slice(&entry.to_bytes().unwrap()).unwrap()
}

#[test]
fn the_committed_schema_is_the_one_that_the_types_make() {
    expect_file!["../../docs/journal.schema.json"].assert_eq(&format!("{:#}\n", sorted(schema())));
}

/// With its keys in order, whatever serde_json was built for.
fn sorted(json: Value) -> Value {
    match json {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            fields.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[test]
fn every_kind_is_described_and_reads_back() {
    for kind in Kind::ALL {
        let json = written(*kind);
        assert!(VALIDATOR.is_valid(&json), "{json}");
        let read: Entry = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }
}

#[test]
fn a_foreign_field_is_refused_by_the_schema_and_by_the_reader() {
    for kind in Kind::ALL {
        for place in ["/data", ""] {
            let mut json = written(*kind);
            json.pointer_mut(place).unwrap()["foreign"] = json!(1);
            assert!(!VALIDATOR.is_valid(&json), "{json}");
            assert!(serde_json::from_value::<Entry>(json).is_err(), "{kind}");
        }
    }
}

#[test]
fn what_one_kind_has_is_refused_in_another() {
    for kind in Kind::ALL {
        let other = if *kind == Kind::GroupChanged { Kind::RegenerationHeld } else { Kind::GroupChanged };
        let mut json = written(*kind);
        json["kind"] = json!(other.as_str());
        assert!(!VALIDATOR.is_valid(&json), "{json}");
        assert!(serde_json::from_value::<Entry>(json).is_err(), "{kind}");
    }
}

#[test]
fn an_intent_of_another_resource_cannot_be_read() {
    let mut json = written(Kind::LaunchIntended);
    json["kind"] = json!("lease.intended");
    let error = serde_json::from_value::<Entry>(json).unwrap_err().to_string();
    assert_eq!(error, "lease.intended cannot intend to launch 1 in a");
}
