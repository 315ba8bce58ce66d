//! Damaged reports: an error or a report, never a panic, a hang or a flood of memory.

use std::io::Cursor;

use proptest::prelude::*;
use sota_loop::ncu::{self, ReadOptions};

use crate::fixtures;

const LIMITS: ReadOptions = ReadOptions {
    time_series: true,
    sections: true,
    max_record: 64 << 20,
    max_memory: 256 << 20,
};

fn survives(bytes: &[u8]) {
    if let Err(flaw) = ncu::read_from(Cursor::new(bytes), &LIMITS) {
        assert!(
            flaw.offset <= bytes.len() as u64,
            "{flaw} in {} bytes",
            bytes.len()
        );
    }
    // The error, if any, is the point.
    let _ = ncu::parse_csv(bytes);
}

#[derive(Debug, Clone)]
enum Damage {
    Flip { at: f64, bit: u8 },
    Byte { at: f64, value: u8 },
    Cut { at: f64 },
    Remove { at: f64, length: usize },
    Repeat { at: f64, length: usize },
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0.0..1.0f64;
    prop_oneof![
        4 => (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        3 => (at(), any::<u8>()).prop_map(|(at, value)| Damage::Byte { at, value }),
        1 => at().prop_map(|at| Damage::Cut { at }),
        1 => (at(), 1..64usize).prop_map(|(at, length)| Damage::Remove { at, length }),
        1 => (at(), 1..64usize).prop_map(|(at, length)| Damage::Repeat { at, length }),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let place = |at: f64| ((bytes.len() as f64 * at) as usize).min(bytes.len() - 1);
    match *damage {
        Damage::Flip { at, bit } => {
            let at = place(at);
            bytes[at] ^= 1 << bit;
        }
        Damage::Byte { at, value } => {
            let at = place(at);
            bytes[at] = value;
        }
        Damage::Cut { at } => bytes.truncate(place(at)),
        Damage::Remove { at, length } => {
            let at = place(at);
            let end = (at + length).min(bytes.len());
            bytes.drain(at..end);
        }
        Damage::Repeat { at, length } => {
            let at = place(at);
            let end = (at + length).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_reports_end_in_an_error_or_a_report(damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = fixtures::bytes("conflict_basic.ncu-rep").to_vec();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        survives(&bytes);
    }

    #[test]
    fn damaged_heads_end_in_an_error_or_a_report(damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = fixtures::bytes("transpose_naive.ncu-rep")[..2_000].to_vec();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        survives(&bytes);
    }

    #[test]
    fn damaged_tables_end_in_an_error_or_a_report(damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = fixtures::bytes("conflict_basic.details.csv").to_vec();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        survives(&bytes);
    }

    #[test]
    fn noise_after_the_magic_is_survived(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"NVR\0\x02\0\0\0\x08\x07".to_vec();
        bytes.extend(noise);
        survives(&bytes);
    }
}
