//! The messages of a report: session, string table, modules and results.
//!
//! Field numbers are those of the `.proto` files that Nsight Compute installs
//! under `extras/FileFormat`; unknown fields are skipped.

use std::sync::Arc;

use super::budget::Budget;
use super::container::ReadOptions;
use super::decode_metrics::{metric, value};
use super::decode_rules::{rule, section};
use super::error::Flaw;
use super::report::{
    Device, Launch, Metric, Names, Process, Report, ResultKind, Session, Source, SourceFile, Span,
    System,
};
use super::wire::{Field, Fields};

/// Collects a report over blocks; ids become names in [`Decoder::finish`].
pub(super) struct Decoder {
    pub report: Report,
    options: ReadOptions,
    budget: Budget,
    names: Names,
    /// Position in the file's string table to interned name.
    table: Vec<u32>,
    /// Per launch: metrics with their raw `NameId` and its offset.
    raw: Vec<Vec<(Metric, u64)>>,
}

impl Decoder {
    pub fn new(options: ReadOptions, budget: Budget) -> Self {
        Self {
            report: Report::default(),
            options,
            budget,
            names: Names::default(),
            table: Vec::new(),
            raw: Vec::new(),
        }
    }

    pub fn strings(&mut self, mut fields: Fields) -> Result<(), Flaw> {
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                let text = field.text()?;
                self.budget.take(text.len() + 64, field.offset)?;
                self.table.push(self.names.intern(text));
            }
        }
        Ok(())
    }

    pub fn session(&mut self, mut fields: Fields) -> Result<(), Flaw> {
        let session = &mut self.report.session;
        while let Some(field) = fields.next()? {
            self.budget.take(64, field.offset)?;
            match field.number {
                1 => session.process_id = field.u32()?,
                2 => session.created = field.u64()?,
                3 => session.host = Some(system(field.message()?)?),
                4 => session.target = Some(system(field.message()?)?),
                6 => merge_device(session, field.message()?, &mut self.budget)?,
                7 => session.comments.push(field.loose_text()?),
                8 => {
                    let (provider, version) = pair(field.message()?, 1, 2)?;
                    session.versions.push((provider, version));
                }
                11 => session.command = field.loose_text()?.trim().to_string(),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn source(&mut self, bytes: &[u8], offset: u64) -> Result<(), Flaw> {
        let mut source = Source::default();
        let mut fields = Fields::new(bytes, offset);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => source.reference = field.u64()?,
                4 => {
                    let (bytes, offset) = field.bytes()?;
                    source.binary = Some(Span {
                        offset,
                        length: bytes.len() as u64,
                    });
                }
                6 => source.compute_capability = capability(field.u32()?),
                8 => source_files(field.message()?, &mut source.files, &mut self.budget)?,
                9 => relocations(field.message()?, &mut source.functions, &mut self.budget)?,
                _ => {}
            }
        }
        self.budget.take(160, offset)?;
        match self
            .report
            .sources
            .iter_mut()
            .find(|known| known.reference == source.reference)
        {
            Some(known) => merge_source(known, source),
            None => self.report.sources.push(source),
        }
        Ok(())
    }

    pub fn result(
        &mut self,
        bytes: &[u8],
        offset: u64,
        kind: ResultKind,
        process: &Process,
    ) -> Result<(), Flaw> {
        let mut launch = Launch {
            kind,
            process: process.clone(),
            ..Launch::default()
        };
        let mut metrics = Vec::new();
        let numbers = Numbers::of(kind);
        let mut demangled = String::new();
        let mut fields = Fields::new(bytes, offset);
        self.budget.take(512, offset)?;
        while let Some(field) = fields.next()? {
            let number = field.number;
            if number == numbers.metrics {
                if let Some(found) = metric(field.message()?, &self.options, &mut self.budget)? {
                    metrics.push((found, field.offset));
                }
            } else if number == numbers.sections {
                if self.options.sections {
                    launch
                        .sections
                        .push(section(field.message()?, &mut self.budget)?);
                }
            } else if number == numbers.rules {
                launch.rules.push(rule(field.message()?, &mut self.budget)?);
            } else if number == numbers.context {
                launch.context = field.u32()?;
            } else if number == numbers.stream {
                launch.stream = field.u32()?;
            } else if kind == ResultKind::Kernel {
                kernel_field(&field, &mut launch, &mut demangled)?;
            } else {
                range_field(&field, &numbers, &mut launch)?;
            }
        }
        launch.name = [&demangled, &launch.function, &launch.mangled]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(&launch.name)
            .clone();
        self.report.launches.push(launch);
        self.raw.push(metrics);
        Ok(())
    }

    /// Resolves names and device facts, now that the whole file is known.
    pub fn finish(mut self) -> Result<Report, Flaw> {
        let names = Arc::new(self.names);
        for (launch, raw) in self.report.launches.iter_mut().zip(self.raw) {
            let mut entries = Vec::with_capacity(raw.len());
            for (mut metric, offset) in raw {
                metric.name = *self.table.get(metric.name as usize).ok_or_else(|| {
                    Flaw::malformed(
                        offset,
                        format!(
                            "a metric has name {}, the string table ends at {}",
                            metric.name,
                            self.table.len()
                        ),
                    )
                })?;
                entries.push(metric);
            }
            // Copies of one name agree; the last one is kept.
            entries.reverse();
            entries.sort_by_key(|metric| metric.name);
            entries.dedup_by_key(|metric| metric.name);
            launch.metrics.names = names.clone();
            launch.metrics.entries = entries;
            launch.compute_capability = launch_capability(launch, &self.report.sources);
        }
        Ok(self.report)
    }
}

/// Where the four kinds of result keep the same things.
struct Numbers {
    metrics: u32,
    sections: u32,
    rules: u32,
    context: u32,
    stream: u32,
    sources: u32,
}

impl Numbers {
    fn of(kind: ResultKind) -> Self {
        let (metrics, sections, rules, context, stream, sources) = match kind {
            ResultKind::Kernel => (13, 17, 19, 22, 23, 15),
            ResultKind::Range => (4, 7, 20, 11, 0, 15),
            ResultKind::CommandList => (4, 7, 21, 11, 12, 17),
            ResultKind::Graph => (4, 7, 22, 11, 12, 17),
        };
        Self {
            metrics,
            sections,
            rules,
            context,
            stream,
            sources,
        }
    }
}

fn kernel_field(field: &Field, launch: &mut Launch, demangled: &mut String) -> Result<(), Flaw> {
    match field.number {
        1 => launch.thread = field.u32()?,
        2 => launch.api_call = field.u64()?,
        5 => launch.mangled = field.text()?.to_string(),
        6 => launch.function = field.text()?.to_string(),
        7 => *demangled = field.text()?.to_string(),
        10 => launch.grid = triple(field.message()?)?,
        11 => launch.block = triple(field.message()?)?,
        12 => launch.comments = field.loose_text()?,
        14 => launch.created = field.u64()?,
        15 => {
            let mut fields = field.message()?;
            while let Some(inner) = fields.next()? {
                if inner.number == 1 {
                    launch.sources.push(inner.u64()?);
                }
            }
        }
        21 => launch.nvtx = true,
        25 => launch.clocks_locked = Some(clock_status(field.message()?)?),
        _ => {}
    }
    Ok(())
}

fn range_field(field: &Field, numbers: &Numbers, launch: &mut Launch) -> Result<(), Flaw> {
    if field.number == numbers.sources {
        field.numbers(&mut launch.sources)?;
    } else if launch.kind == ResultKind::CommandList && field.number == 18 {
        launch.name = field.text()?.to_string();
    }
    Ok(())
}

fn clock_status(mut fields: Fields) -> Result<(bool, bool), Flaw> {
    let mut status = (false, false);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => status.0 = field.flag()?,
            2 => status.1 = field.flag()?,
            _ => {}
        }
    }
    Ok(status)
}

pub(super) fn process(mut fields: Fields) -> Result<Process, Flaw> {
    let mut process = Process::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => process.id = field.u32()?,
            2 => process.host = field.loose_text()?,
            3 => process.name = field.loose_text()?,
            _ => {}
        }
    }
    Ok(process)
}

fn system(mut fields: Fields) -> Result<System, Flaw> {
    let mut system = System::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => system.os = field.loose_text()?,
            2 => system.build = field.loose_text()?,
            3 => system.processor = field.loose_text()?,
            4 => system.architecture = field.loose_text()?,
            5 => system.computer = field.loose_text()?,
            _ => {}
        }
    }
    Ok(system)
}

fn merge_device(
    session: &mut Session,
    mut fields: Fields,
    budget: &mut Budget,
) -> Result<(), Flaw> {
    let mut device = Device::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => device.id = field.u32()?,
            2 => device.name = field.text()?.to_string(),
            3 => {
                budget.take(96, field.offset)?;
                let mut attribute = (String::new(), None);
                let mut inner = field.message()?;
                while let Some(field) = inner.next()? {
                    match field.number {
                        1 => attribute.0 = field.text()?.to_string(),
                        2 => attribute.1 = value(field.message()?)?,
                        _ => {}
                    }
                }
                device.attributes.push(attribute);
            }
            _ => {}
        }
    }
    match session
        .devices
        .iter_mut()
        .find(|known| known.id == device.id)
    {
        Some(known) => {
            if !device.name.is_empty() {
                known.name = device.name;
            }
            known.attributes.append(&mut device.attributes);
        }
        None => session.devices.push(device),
    }
    Ok(())
}

fn pair(mut fields: Fields, first: u32, second: u32) -> Result<(String, String), Flaw> {
    let mut pair = (String::new(), String::new());
    while let Some(field) = fields.next()? {
        if field.number == first {
            pair.0 = field.loose_text()?;
        } else if field.number == second {
            pair.1 = field.loose_text()?;
        }
    }
    Ok(pair)
}

fn source_files(
    mut fields: Fields,
    into: &mut Vec<SourceFile>,
    budget: &mut Budget,
) -> Result<(), Flaw> {
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            let (name, content) = pair(field.message()?, 1, 2)?;
            budget.take(name.len() + content.len() + 48, field.offset)?;
            into.push(SourceFile { name, content });
        }
    }
    Ok(())
}

fn relocations(
    mut fields: Fields,
    into: &mut Vec<(String, u64)>,
    budget: &mut Budget,
) -> Result<(), Flaw> {
    while let Some(field) = fields.next()? {
        if field.number != 1 {
            continue;
        }
        let mut function = (String::new(), 0);
        let mut inner = field.message()?;
        while let Some(field) = inner.next()? {
            match field.number {
                1 => function.0 = field.text()?.to_string(),
                2 => function.1 = field.u64()?,
                _ => {}
            }
        }
        budget.take(function.0.len() + 40, field.offset)?;
        into.push(function);
    }
    Ok(())
}

fn merge_source(known: &mut Source, mut more: Source) {
    if known.binary.is_none() {
        known.binary = more.binary;
    }
    if known.compute_capability == (0, 0) {
        known.compute_capability = more.compute_capability;
    }
    if known.files.is_empty() {
        known.files = more.files;
    }
    known.functions.append(&mut more.functions);
}

fn capability(packed: u32) -> (u32, u32) {
    (packed >> 16, packed & 0xffff)
}

fn launch_capability(launch: &Launch, sources: &[Source]) -> (u32, u32) {
    let attribute = |name: &str| launch.value(name).map(|value| value as u32);
    match (
        attribute("device__attribute_compute_capability_major"),
        attribute("device__attribute_compute_capability_minor"),
    ) {
        (Some(major), Some(minor)) => (major, minor),
        _ => sources
            .iter()
            .find(|source| launch.sources.contains(&source.reference))
            .map_or((0, 0), |source| source.compute_capability),
    }
}

fn triple(mut fields: Fields) -> Result<[u64; 3], Flaw> {
    let mut triple = [0; 3];
    while let Some(field) = fields.next()? {
        if let 1..=3 = field.number {
            triple[field.number as usize - 1] = field.u64()?;
        }
    }
    Ok(triple)
}
