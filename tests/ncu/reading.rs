use std::fs;
use std::path::{Path, PathBuf};

use sota_loop::ncu::{self, Launch, MessageKind, NcuError, Problem, Report, Value};

use crate::fixtures::{self, REPORTS, recordings};

/// Cells of a table of ncu's, as text.
fn table(path: &Path) -> Vec<Vec<String>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(path)
        .unwrap()
        .records()
        .map(|record| record.unwrap().iter().map(str::to_string).collect())
        .collect()
}

/// What one printed unit is in base units; written out, not computed, so that it checks the reader's rule.
fn factor(unit: &str) -> f64 {
    match unit {
        "us" | "Kbyte" | "Kbyte/s" | "Kbyte/cycle" | "Kbyte/block" | "%/Kbyte" | "Khz"
        | "sector/ms" => 1e3,
        "ms" | "Mbyte" | "Mbyte/s" | "Mhz" | "sector/us" => 1e6,
        "Gbyte" | "Gbyte/s" | "Ghz" | "sector/ns" => 1e9,
        "Tbyte" | "Tbyte/s" => 1e12,
        _ => 1.0,
    }
}

/// Whether a printed cell is the value, to the last digit that was printed.
fn agrees(cell: &str, unit: &str, launch: &Launch, metric: &str) -> bool {
    let Some(metric) = launch.metrics.get(metric) else {
        return false;
    };
    match &metric.value {
        None => matches!(cell, "" | "no data"),
        Some(Value::Text(text)) => cell == &**text,
        Some(value) => {
            let value = value.number().unwrap() / factor(unit);
            if value.is_nan() {
                return cell == "nan";
            }
            let digits = cell
                .split_once('.')
                .map_or(0, |(_, fraction)| fraction.len() as i32);
            let printed: f64 = cell.replace(',', "").parse().unwrap();
            (printed - value).abs() <= 0.500_001 * 10f64.powi(-digits) + value.abs() * 1e-12
        }
    }
}

fn compare_raw(report: &Path) -> usize {
    let read = ncu::read(report).unwrap();
    let rows = table(&report.with_extension("raw.csv"));
    assert_eq!(rows.len(), read.launches.len() + 2);
    let mut compared = 0;
    for (launch, row) in read.launches.iter().zip(&rows[2..]) {
        assert_eq!(row[7], dims(launch.block), "{}", report.display());
        assert_eq!(row[8], dims(launch.grid));
        assert_eq!(row[5], launch.context.to_string());
        assert_eq!(row[6], launch.stream.to_string());
        assert_eq!(
            row[10],
            format!(
                "{}.{}",
                launch.compute_capability.0, launch.compute_capability.1
            )
        );
        for (at, name) in rows[0].iter().enumerate().skip(11) {
            assert!(
                agrees(&row[at], &rows[1][at], launch, name),
                "{}: {name} is {:?} here, {:?} {:?} there",
                report.display(),
                launch.metrics.get(name).map(|metric| &metric.value),
                row[at],
                rows[1][at],
            );
            compared += 1;
        }
    }
    compared
}

fn dims([x, y, z]: [u64; 3]) -> String {
    format!("({x}, {y}, {z})")
}

/// Every rule row of the details page, as text: section, rule, type, message, speedup.
fn printed_rules(rows: &[Vec<String>], id: usize) -> Vec<String> {
    let mut rules: Vec<_> = rows[1..]
        .iter()
        .filter(|row| row[0] == id.to_string() && row.len() == 20 && !row[15].is_empty())
        .map(|row| {
            format!(
                "{}|{}|{}|{}|{}|{}",
                row[11], row[15], row[16], row[17], row[18], row[19]
            )
        })
        .collect();
    rules.sort();
    rules
}

fn read_rules(launch: &Launch) -> Vec<String> {
    let mut rules: Vec<_> = launch
        .messages()
        .map(|(rule, item, message)| {
            let kind = match message.kind {
                MessageKind::Ok => "INF",
                MessageKind::Optimization => "OPT",
                MessageKind::Warning => "WRN",
                MessageKind::Error => "ERR",
                MessageKind::None => "",
            };
            let (scope, percent) = item.speedup.map_or_else(Default::default, |speedup| {
                (
                    format!("{:?}", speedup.scope).to_lowercase(),
                    four_digits(speedup.percent),
                )
            });
            format!(
                "{}|{}|{kind}|{}|{scope}|{percent}",
                rule.section, rule.identifier, message.text
            )
        })
        .collect();
    rules.sort();
    rules
}

/// C's `%.4g`, which is how ncu prints a speedup.
fn four_digits(value: f64) -> String {
    let exponent = format!("{value:.3e}")
        .split_once('e')
        .unwrap()
        .1
        .parse::<i32>()
        .unwrap();
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        } else {
            text.to_string()
        }
    };
    if (-4..4).contains(&exponent) {
        trim(&format!("{value:.*}", (3 - exponent) as usize))
    } else {
        let text = format!("{value:.3e}");
        let (mantissa, _) = text.split_once('e').unwrap();
        format!(
            "{}e{}{:02}",
            trim(mantissa),
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        )
    }
}

fn compare_details(report: &Path) -> (usize, usize) {
    let read = ncu::read(report).unwrap();
    let page = report.with_extension("details.csv");
    let rows = table(&page);
    let again = ncu::read_csv(&page).unwrap();
    assert_eq!(again.launches.len(), read.launches.len());
    let (mut metrics, mut rules) = (0, 0);
    for (id, (launch, printed)) in read.launches.iter().zip(&again.launches).enumerate() {
        let expected = printed_rules(&rows, id);
        assert_eq!(read_rules(launch), expected, "{}", page.display());
        rules += expected.len();
        for row in rows[1..]
            .iter()
            .filter(|row| row[0] == id.to_string() && !row[12].is_empty())
        {
            let name = launch
                .sections
                .iter()
                .filter(|section| section.title == row[11])
                .flat_map(|section| &section.header)
                .find(|cell| cell.label == row[12])
                .map(|cell| match cell.name.as_str() {
                    // ncu falls back to another metric where the chip lacks the first.
                    "profiler__pmsampler_interval_cycles" => "profiler__pmsampler_interval_time",
                    "lts__gcomp_input_sectors.sum" => "lrc__ilc_input_sectors.sum",
                    name => name,
                })
                .unwrap();
            assert!(
                agrees(&row[14], &row[13], launch, name),
                "{}: {name}",
                page.display()
            );
            assert!(
                printed.metrics.get(name).is_some(),
                "{}: {name}",
                page.display()
            );
            metrics += 1;
        }
    }
    (metrics, rules)
}

#[test]
fn every_metric_and_rule_equals_what_ncu_printed() {
    let (mut raw, mut details, mut rules) = (0, 0, 0);
    for name in REPORTS {
        let path = fixtures::path(&format!("{name}.ncu-rep"));
        raw += compare_raw(&path);
        let (metrics, messages) = compare_details(&path);
        details += metrics;
        rules += messages;
    }
    println!("compared {raw} raw cells, {details} details cells, {rules} rule messages");
    assert_eq!((raw, details, rules), (47_322, 1_877, 196));
}

#[test]
fn every_metric_of_the_whole_recordings_equals_what_ncu_printed() {
    let Some(folder) = recordings("whole recordings against ncu's CSV") else {
        return;
    };
    let mut reports: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ncu-rep")
        })
        .collect();
    reports.sort();
    assert!(!reports.is_empty());
    let (mut raw, mut details, mut rules) = (0, 0, 0);
    for path in &reports {
        raw += compare_raw(path);
        let (metrics, messages) = compare_details(path);
        details += metrics;
        rules += messages;
    }
    println!(
        "{} reports: compared {raw} raw cells, {details} details cells, {rules} rule messages",
        reports.len()
    );
    assert!(raw >= 500 * reports.len());
}

#[test]
fn a_raw_table_gives_the_values_of_the_report() {
    for name in REPORTS {
        let report = fixtures::report(name);
        let table = ncu::read(&fixtures::path(&format!("{name}.raw.csv"))).unwrap();
        assert_eq!(table.launches.len(), report.launches.len());
        for (read, printed) in report.launches.iter().zip(&table.launches) {
            assert_eq!((read.grid, read.block), (printed.grid, printed.block));
            for metric in [
                "gpu__time_duration.sum",
                "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed",
                "launch__registers_per_thread",
            ] {
                let (a, b) = (read.value(metric).unwrap(), printed.value(metric).unwrap());
                assert!(
                    (a - b).abs() <= a.abs() * 1e-5 + 1e-6,
                    "{name} {metric}: {a} {b}"
                );
            }
        }
    }
}

#[test]
fn reads_the_values_that_are_known() {
    let report = fixtures::report("transpose_naive");
    assert_eq!(report.version, 7);
    assert_eq!(report.session.devices[0].name, "NVIDIA H100 80GB HBM3");
    assert!(report.session.command.contains("--set full"));
    let launch = &report.launches[0];
    assert_eq!(launch.name, "transpose_naive(const float *, float *, int)");
    assert_eq!((launch.grid, launch.block), ([256, 1024, 1], [32, 8, 1]));
    assert_eq!(launch.compute_capability, (9, 0));
    assert_eq!(launch.clocks_locked, Some((false, false)));
    assert_eq!(launch.value("gpu__time_duration.sum"), Some(1_192_736.0));
    let per_pc = &launch.metrics.get("inst_executed").unwrap().instances;
    assert_eq!(per_pc.len(), 25);
    assert_eq!(
        per_pc.numbers().map(|(_, value)| value).sum::<f64>(),
        52_428_800.0
    );
    assert_eq!(launch.rules.len(), 22);
    let (_, item, message) = launch
        .messages()
        .find(|(rule, ..)| rule.identifier == "UncoalescedGlobalAccess")
        .unwrap();
    assert!((item.speedup.unwrap().percent - 77.74).abs() < 0.005);
    assert!(message.text.contains("58720256 excessive sectors"));
}

#[test]
fn a_spilling_metric_that_was_not_collected_is_missing_not_zero() {
    let report = fixtures::report("spill");
    let launch = &report.launches[0];
    let metric = launch
        .metrics
        .get("sass__inst_executed_register_spilling_mem_local");
    assert_eq!(metric.unwrap().value, None);
    assert_eq!(
        launch.value("sass__inst_executed_register_spilling_mem_local"),
        None
    );
}

fn broken(bytes: &[u8]) -> ncu::Flaw {
    ncu::read_from(std::io::Cursor::new(bytes), &ncu::ReadOptions::default()).unwrap_err()
}

#[test]
fn a_file_cut_anywhere_names_the_place() {
    let whole = fixtures::bytes("conflict_basic.ncu-rep");
    let mut at = 0;
    while at < whole.len() {
        match ncu::read_from(
            std::io::Cursor::new(&whole[..at]),
            &ncu::ReadOptions::default(),
        ) {
            Err(flaw) => assert!(flaw.offset <= at as u64, "cut at {at}: {flaw}"),
            Ok(report) => assert!(
                block_ends(whole).contains(&at),
                "cut at {at}: {} launches",
                report.launches.len()
            ),
        }
        at += 97;
    }
}

/// Where a cut leaves a well-formed, shorter file.
fn block_ends(file: &[u8]) -> Vec<usize> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 8 + word(4);
    let mut ends = vec![at];
    while at < file.len() {
        let header = &file[at + 4..at + 4 + word(at)];
        at += 4 + header.len() + payload_size(header);
        ends.push(at);
    }
    ends
}

fn payload_size(header: &[u8]) -> usize {
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let byte = header[*at];
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let (mut at, mut size) = (0, 0);
    while at < header.len() {
        let tag = varint(&mut at);
        let value = varint(&mut at);
        match (tag >> 3, tag & 7) {
            (5, 0) => size = value,
            (_, 2) => at += value,
            _ => {}
        }
    }
    size
}

#[test]
fn foreign_files_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("a.ncu-rep", &b"PK\x03\x04rest"[..]),
        ("b.ncu-rep", b""),
        ("c.csv", b"Time,Name\n1,2\n"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = ncu::read(&path).unwrap_err();
        let NcuError::Report { flaw, .. } = &error else {
            panic!("{error}");
        };
        assert!(
            matches!(flaw.problem, Problem::NotAReport { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains(name) && error.to_string().contains("at byte 0"),
            "{error}"
        );
    }
}

#[test]
fn wrong_sizes_and_ids_are_found() {
    assert_eq!(broken(b"NVR\0").offset, 4);
    assert_eq!(
        broken(b"NVR\0\x02\0\0\0\x08\x07\xff\xff\xff\xff").offset,
        10
    );
    // One result of two bytes in a block that says four bytes less.
    let flaw = broken(b"NVR\0\x02\0\0\0\x08\x07\x04\0\0\0\x10\x01\x28\x02\x02\0\0\0\x08\x01");
    assert!(matches!(flaw.problem, Problem::Malformed(_)), "{flaw}");
    // A metric named 5 in a file without strings.
    let flaw =
        broken(b"NVR\0\x02\0\0\0\x08\x07\x04\0\0\0\x10\x01\x28\x08\x04\0\0\0\x6a\x02\x08\x05");
    assert!(
        flaw.to_string().contains("the string table ends at 0"),
        "{flaw}"
    );
}

#[test]
fn a_file_cannot_ask_for_more_memory_than_allowed() {
    let options = ncu::ReadOptions {
        max_memory: 100_000,
        ..ncu::ReadOptions::default()
    };
    let input = std::io::Cursor::new(fixtures::bytes("conflict_basic.ncu-rep"));
    let flaw = ncu::read_from(input, &options).unwrap_err();
    assert!(matches!(flaw.problem, Problem::TooLarge { .. }), "{flaw}");
}

#[test]
fn broken_tables_name_the_line() {
    let at = |text: &str| ncu::parse_csv(text.as_bytes()).unwrap_err();
    assert_eq!(at("\"ID\",\"x\"\n\"0\",\"1\"\n").0, 2);
    let short = "==PROF== Connected\n\"ID\",\"Grid Size\",\"a__b\"\n\"\",\"\",\"ms\"\n\"0\",\"(1, 1, 1)\"\n";
    assert_eq!(
        at(short),
        (4, "the row has 2 cells, the header 3".to_string())
    );
    let grid = "\"ID\",\"Grid Size\",\"a__b\"\n\"\",\"\",\"ms\"\n\"0\",\"(1, 1)\",\"2\"\n";
    assert_eq!(at(grid).0, 3);
}

#[test]
fn tables_of_any_locale_and_unit_agree() {
    let read = |text: &str| -> Report { ncu::parse_csv(text.as_bytes()).unwrap() };
    let head =
        "\"ID\",\"Kernel Name\",\"Grid Size\",\"Block Size\",\"gpu__time_duration.sum\",\"x__y\"\n";
    for (unit, cell, other) in [
        ("ms", "1.192736", "0.5"),
        ("us", "1,192.736000", "0.5"),
        ("ns", "1,192,736", "0.50"),
    ] {
        let report = read(&format!(
            "{head}\"\",\"\",\"\",\"\",\"{unit}\",\"\"\n\"0\",\"k\",\"(1, 1, 1)\",\"(1, 1, 1)\",\"{cell}\",\"{other}\"\n"
        ));
        let value = report.launches[0].value("gpu__time_duration.sum").unwrap();
        assert!((value - 1_192_736.0).abs() < 1e-3, "{unit}: {value}");
    }
    let report = read(&format!(
        "{head}\"\",\"\",\"\",\"\",\"usecond\",\"\"\n\"0\",\"k\",\"(1, 1, 1)\",\"(1, 1, 1)\",\"1.192,736\",\"0,50\"\n"
    ));
    assert!(
        (report.launches[0].value("gpu__time_duration.sum").unwrap() - 1_192_736.0).abs() < 1e-3
    );
}
