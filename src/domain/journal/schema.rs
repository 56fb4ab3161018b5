//! The JSON Schema of every kind of entry, generated from the types.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::entry::Layout;
use super::event::Kind;

/// The schema of one entry: the envelope, and for each kind what only that kind has.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let envelope = generator.subschema_for::<Layout>();
    let kinds: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| {
            let data = kind.data_schema(&mut generator);
            json!({ "properties": { "kind": { "const": kind.as_str() }, "data": data } })
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An entry of regend's journal, version 1",
        "allOf": [envelope],
        "oneOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}
