//! Entries that are decoded and refused before they reach the log.

use serde_json::{Map, Value, json};

use super::*;
use crate::fault::FaultCode;

fn decode(kind: LedgerKind, value: Value) -> Result<LedgerEntry, Fault> {
    let Value::Object(mut fields) = value else {
        panic!("{value}");
    };
    fields.shift_remove("kind");
    LedgerEntry::decode(kind, fields)
}

#[test]
fn every_kind_has_an_example_that_is_one() {
    for kind in LedgerKind::ALL {
        for example in kind.example().split("; later ") {
            let value: Value = serde_json::from_str(example).unwrap();
            assert_eq!(value["kind"], kind.name());
            decode(kind, value).unwrap();
        }
    }
}

#[test]
fn a_wrong_field_is_answered_with_the_kinds_fields_and_an_example() {
    let fault = decode(LedgerKind::RoundEnd, json!({"sumary": "x"})).unwrap_err();
    assert_eq!(fault.error, FaultCode::InvalidArgument);
    assert!(
        fault.message.contains("unknown field `sumary`"),
        "{}",
        fault.message
    );
    assert!(
        fault
            .hint
            .contains("fields of this kind: summary, next_patch?"),
        "{}",
        fault.hint
    );
    assert!(fault.hint.contains(LedgerKind::RoundEnd.example()));

    let fault = decode(
        LedgerKind::RejectedIdea,
        json!({"claim": "x", "reason": "y", "evidence": [{"event": 1, "table": "kernels", "row": "z"}]}),
    )
    .unwrap_err();
    assert!(
        fault.message.contains("evidence[0].table"),
        "{}",
        fault.message
    );
    assert!(LedgerEntry::decode(LedgerKind::Attempt, Map::new()).is_err());
}
