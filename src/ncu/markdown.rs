//! `digest.md` and `digest.json`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::error::NcuError;
use super::facts::show;
use super::record::{Comparison, DigestRecord, Hotspot, KernelDigest, NextEdit};
use super::roofline::Roofline;
use crate::disk;

/// Writes `digest.md` and `digest.json` into `folder` and notes it in the record.
pub fn write(record: &mut DigestRecord, folder: &Path) -> Result<(), NcuError> {
    record.digest_path = Some(folder.join("digest.md"));
    let json =
        serde_json::to_vec_pretty(record).map_err(|error| NcuError::Rules(error.to_string()))?;
    disk::write_atomic(&folder.join("digest.json"), &json)?;
    disk::write_atomic(&folder.join("digest.md"), markdown(record).as_bytes())?;
    Ok(())
}

/// The next free `v1`, `v2`, ... under `root`.
pub fn next_version(root: &Path) -> PathBuf {
    let taken = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix('v')?
                .parse::<u32>()
                .ok()
        })
        .max();
    root.join(format!(
        "v{}",
        taken.map_or(1, |last| last.saturating_add(1))
    ))
}

/// The record for a person: headline, evidence, and the one edit.
pub fn markdown(record: &DigestRecord) -> String {
    let mut text = String::from("# Kernel digest\n\n");
    let environment = &record.environment;
    let facts = [
        ("Device", environment.device.clone()),
        ("Compute capability", environment.compute_capability.clone()),
        ("Nsight Compute", environment.ncu_version.clone()),
        ("Driver", environment.driver_version.clone()),
        ("CUDA", environment.cuda_version.clone()),
        ("Metrics", environment.metric_set.clone()),
        (
            "Clocks",
            match environment.clocks_locked {
                Some(true) => "locked to base".to_string(),
                Some(false) => "not locked".to_string(),
                None => String::new(),
            },
        ),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        line(&mut text, &format!("- {name}: {value}"));
    }
    if let Some(edit) = &record.next_edit {
        next_edit(&mut text, edit);
    }
    if let Some(comparison) = &record.comparison {
        compared(&mut text, comparison);
    }
    kernels(&mut text, record);
    for warning in &record.warnings {
        line(&mut text, &format!("\n> Warning: {}", cell(warning)));
    }
    if !record.collect.is_empty() {
        line(&mut text, "\n## To collect what is missing\n\n```");
        line(&mut text, &record.collect.join(" "));
        line(
            &mut text,
            "```\n\nHARNESS is a program that launches this kernel alone: ncu replays kernels and cannot wrap a server of several GPUs.",
        );
    }
    line(&mut text, &format!("\nNext: {}", record.next));
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

/// Text that cannot break a table row.
fn cell(content: &str) -> String {
    content.replace('|', "\\|").replace('\n', " ")
}

fn next_edit(text: &mut String, edit: &NextEdit) {
    let _ = writeln!(
        text,
        "\n## Next edit: {}\n\n`{}`\n\n{}\n",
        if edit.stop { "none (stop)" } else { &edit.gate },
        cell(&edit.kernel),
        edit.change
    );
    line(text, "| evidence | value |\n| --- | ---: |");
    for evidence in &edit.evidence {
        let _ = writeln!(
            text,
            "| `{}` | {} {} |",
            cell(&evidence.metric),
            show(evidence.value, ""),
            evidence.unit
        );
    }
    if let Some(location) = &edit.location {
        let _ = writeln!(text, "\nWhere: {}", place(location));
    }
    let _ = writeln!(
        text,
        "\n- Expected: {}\n- Validate: {}",
        edit.expected, edit.validate
    );
    if !edit.risk.is_empty() {
        let _ = writeln!(text, "- Risk: {}", edit.risk);
    }
    if let Some(gain) = edit.gain_at_most_pct {
        let _ = writeln!(
            text,
            "- ncu's own estimate of the gain: {} of run time",
            show(gain, "%")
        );
    }
    if !edit.untested.is_empty() {
        let _ = writeln!(
            text,
            "- Not ruled out, because their metrics are missing: {}",
            edit.untested.join(", ")
        );
    }
    if !edit.skipped.is_empty() {
        let _ = writeln!(
            text,
            "- Skipped, because they were tried without effect: {}",
            edit.skipped.join(", ")
        );
    }
}

fn place(spot: &Hotspot) -> String {
    let at = match (&spot.file, spot.line) {
        (Some(file), Some(line)) => format!("`{file}:{line}`"),
        _ => format!("SASS offset {:#x}", spot.offset),
    };
    let share = if spot.samples > 0 {
        format!(
            ", {:.1} % of the stall samples, mostly {}",
            spot.pct, spot.stall
        )
    } else {
        String::new()
    };
    match &spot.text {
        Some(code) => format!("{at}{share}: `{}`", cell(code)),
        None => format!("{at}{share}"),
    }
}

fn compared(text: &mut String, comparison: &Comparison) {
    let verdict = serde_json::to_value(comparison.verdict).unwrap_or_default();
    let ratio = comparison
        .duration_ratio
        .map_or_else(|| "unknown".to_string(), |ratio| format!("{ratio:.3}"));
    let _ = writeln!(
        text,
        "\n## Comparison: {}\n\nDuration ratio (candidate / baseline) {ratio}, noise ±{:.1} %.\n",
        verdict.as_str().unwrap_or("unknown").replace('_', " "),
        comparison.noise_pct
    );
    line(
        text,
        "| metric | baseline | candidate | change |\n| --- | ---: | ---: | ---: |",
    );
    if let (Some(before), Some(after)) = (comparison.baseline_us, comparison.candidate_us) {
        let _ = writeln!(
            text,
            "| duration (us) | {} | {} | {:+.1} % |",
            show(before, ""),
            show(after, ""),
            (after / before - 1.0) * 100.0
        );
    }
    for moved in &comparison.moved {
        let change = moved
            .change_pct
            .map_or_else(|| "new".to_string(), |pct| format!("{pct:+.1} %"));
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {change} |",
            cell(&moved.metric),
            show(moved.baseline, ""),
            show(moved.candidate, "")
        );
    }
    if let Some(intended) = &comparison.intended {
        let moved = if intended.moved {
            "moved as intended"
        } else {
            "did not move"
        };
        let _ = writeln!(
            text,
            "\nThe baseline called for `{}`: `{}` {moved}.",
            intended.rule,
            cell(&intended.metric)
        );
    }
    line(text, "\n| check | result | detail |\n| --- | --- | --- |");
    for check in &comparison.checks {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            check.check,
            if check.passed { "ok" } else { "differs" },
            cell(&check.detail)
        );
    }
}

fn kernels(text: &mut String, record: &DigestRecord) {
    let _ = writeln!(
        text,
        "\n## Kernels ({} of {})\n",
        record.kernels.len(),
        record.total
    );
    line(
        text,
        "| kernel | launches | us | grid | block | bound | roof | why | top stall |\n| --- | ---: | ---: | --- | --- | --- | --- | --- | --- |",
    );
    for kernel in &record.kernels {
        let _ = writeln!(
            text,
            "| {} |",
            row(kernel).map(|content| cell(&content)).join(" | ")
        );
    }
    for kernel in record
        .kernels
        .iter()
        .filter(|kernel| !kernel.hotspots.is_empty())
    {
        let _ = writeln!(text, "\nWhere `{}` waits:\n", cell(&kernel.name));
        for spot in &kernel.hotspots {
            let _ = writeln!(text, "- {}", place(spot));
        }
    }
    for kernel in record
        .kernels
        .iter()
        .filter(|kernel| !kernel.missing.is_empty())
    {
        let _ = writeln!(
            text,
            "\nMissing for `{}`: {}",
            cell(&kernel.name),
            kernel.missing.join(", ")
        );
    }
}

/// The rate that is nearest to its roof, and how near.
fn roof(place: &Roofline) -> String {
    let pct = place.of_roof_pct();
    match &place.path {
        Some(path) if place.tops / place.peak_tops * 100.0 >= pct => {
            format!("{pct:.0} % of {path} {} TFLOP/s", show(place.peak_tops, ""))
        }
        _ => format!("{pct:.0} % of DRAM {:.2} TB/s", place.peak_dram_tbps),
    }
}

/// One kernel as table cells; the command line prints the same.
pub fn row(kernel: &KernelDigest) -> [String; 9] {
    let dims = |[x, y, z]: [u64; 3]| format!("{x}x{y}x{z}");
    let bound = serde_json::to_value(kernel.bound).unwrap_or_default();
    [
        kernel.name.clone(),
        kernel.launches.to_string(),
        kernel
            .duration_us
            .map_or_else(|| "-".to_string(), |us| format!("{us:.1}")),
        dims(kernel.grid),
        dims(kernel.block),
        bound.as_str().unwrap_or_default().to_string(),
        kernel
            .roofline
            .as_ref()
            .map_or_else(|| "-".to_string(), roof),
        kernel.bound_reason.clone(),
        kernel.stalls.first().map_or_else(
            || "-".to_string(),
            |stall| format!("{} {:.0} %", stall.reason, stall.pct),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(next_version(root.path()), root.path().join("v1"));
        std::fs::create_dir(root.path().join("v9")).unwrap();
        std::fs::create_dir(root.path().join("v10")).unwrap();
        std::fs::create_dir(root.path().join("other")).unwrap();
        assert_eq!(next_version(root.path()), root.path().join("v11"));
    }
}
