//! Source lines of a cubin's instructions, from the line table that
//! `nvcc -lineinfo` (or Triton) leaves in it.

use std::borrow::Cow;

use gimli::{AttributeValue, DebugLine, DebugLineOffset, EndianSlice, LittleEndian};

/// Offsets in one function and the line that each starts at, sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LineTable {
    rows: Vec<(u64, u32)>,
    lines: Vec<(String, u32)>,
}

/// Addresses in the table are given a section number in these high bits.
const SECTION_SHIFT: u32 = 40;
/// The most rows that a table may have.
const MAX_ROWS: usize = 1 << 22;

impl LineTable {
    /// The table of a function, or `None` when the cubin has no usable one.
    pub fn of(cubin: &[u8], mangled: &str) -> Option<Self> {
        let elf = Elf::new(cubin)?;
        let text = elf.find(&format!(".text.{mangled}"))?;
        let section = elf.content(elf.find(".debug_line")?)?;
        let mut bytes = section.to_vec();
        elf.relocate(&mut bytes, ".rela.debug_line");
        let mut table = Self::default();
        table.read(&bytes, text as u64);
        table.rows.sort_unstable();
        (!table.rows.is_empty()).then_some(table)
    }

    /// File and line of the instruction at `offset` in the function.
    pub fn line(&self, offset: u64) -> Option<(&str, u32)> {
        let after = self.rows.partition_point(|&(start, _)| start <= offset);
        let (_, at) = self.rows.get(after.checked_sub(1)?)?;
        let (file, line) = self.lines.get(*at as usize)?;
        Some((file, *line))
    }

    fn read(&mut self, bytes: &[u8], text: u64) {
        let section = DebugLine::from(EndianSlice::new(bytes, LittleEndian));
        let mut offset = 0usize;
        while offset < bytes.len() {
            let Ok(program) = section.program(DebugLineOffset(offset), 8, None, None) else {
                return;
            };
            let header = program.header();
            let prefix = usize::from(header.format().initial_length_size());
            let Some(next) = offset
                .checked_add(prefix)
                .and_then(|at| at.checked_add(header.unit_length()))
            else {
                return;
            };
            let mut rows = program.rows();
            while let Ok(Some((header, row))) = rows.next_row() {
                if row.address() >> SECTION_SHIFT != text || row.end_sequence() {
                    continue;
                }
                let Some(line) = row.line().and_then(|line| u32::try_from(line.get()).ok()) else {
                    continue;
                };
                if self.rows.len() >= MAX_ROWS {
                    return;
                }
                let file = row
                    .file(header)
                    .map(|file| path(header, file))
                    .unwrap_or_default();
                let at = self.line_id(file, line);
                self.rows
                    .push((row.address() & ((1 << SECTION_SHIFT) - 1), at));
            }
            offset = next;
        }
    }

    fn line_id(&mut self, file: String, line: u32) -> u32 {
        let entry = (file, line);
        let at = self
            .lines
            .iter()
            .position(|known| *known == entry)
            .unwrap_or_else(|| {
                self.lines.push(entry);
                self.lines.len() - 1
            });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

fn text(value: AttributeValue<Bytes>) -> Cow<str> {
    match value {
        AttributeValue::String(bytes) => bytes.to_string_lossy(),
        _ => Cow::Borrowed(""),
    }
}

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

fn path(header: &gimli::LineProgramHeader<Bytes>, file: &gimli::FileEntry<Bytes>) -> String {
    let name = text(file.path_name());
    let folder = file.directory(header).map(text).unwrap_or_default();
    if folder.is_empty() || name.starts_with('/') {
        name.into_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The section table of a little-endian ELF64 file.
struct Elf<'a> {
    bytes: &'a [u8],
    sections: Vec<Section<'a>>,
}

struct Section<'a> {
    name: &'a [u8],
    offset: usize,
    size: usize,
}

impl<'a> Elf<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let table = usize::try_from(u64_at(bytes, 0x28)?).ok()?;
        let count = usize::from(u16_at(bytes, 0x3c)?);
        let names = usize::from(u16_at(bytes, 0x3e)?);
        let raw = |at: usize| -> Option<(usize, usize, usize)> {
            let header = table.checked_add(at.checked_mul(64)?)?;
            Some((
                u32_at(bytes, header)? as usize,
                usize::try_from(u64_at(bytes, header.checked_add(0x18)?)?).ok()?,
                usize::try_from(u64_at(bytes, header.checked_add(0x20)?)?).ok()?,
            ))
        };
        let (_, names_at, names_size) = raw(names)?;
        let names = bytes.get(names_at..names_at.checked_add(names_size)?)?;
        let sections = (0..count)
            .map(|at| {
                let (name, offset, size) = raw(at)?;
                let name = names.get(name..)?.split(|&byte| byte == 0).next()?;
                Some(Section { name, offset, size })
            })
            .collect::<Option<_>>()?;
        Some(Self { bytes, sections })
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.sections
            .iter()
            .position(|section| section.name == name.as_bytes())
    }

    fn content(&self, at: usize) -> Option<&'a [u8]> {
        let section = self.sections.get(at)?;
        self.bytes
            .get(section.offset..section.offset.checked_add(section.size)?)
    }

    /// Writes section and offset of each relocated address into its place.
    fn relocate(&self, into: &mut [u8], table: &str) -> Option<()> {
        let symbols = self.content(self.find(".symtab")?)?;
        for entry in self.content(self.find(table)?)?.chunks_exact(24) {
            let place = usize::try_from(u64_at(entry, 0)?).ok()?;
            let symbol = (u64_at(entry, 8)? >> 32) as usize;
            let addend = u64_at(entry, 16)?;
            let symbol = symbols.get(symbol.checked_mul(24)?..)?;
            let section = u64::from(u16_at(symbol, 6)?);
            let value = u64_at(symbol, 8)?.wrapping_add(addend) & ((1 << SECTION_SHIFT) - 1);
            let address = (section << SECTION_SHIFT) | value;
            if let Some(target) = into.get_mut(place..).and_then(|rest| rest.get_mut(..8)) {
                target.copy_from_slice(&address.to_le_bytes());
            }
        }
        Some(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_have_no_lines() {
        assert_eq!(LineTable::of(b"", "k"), None);
        assert_eq!(LineTable::of(b"\x7fELF\x02\x01", "k"), None);
        assert_eq!(LineTable::of(&[0x7f; 4096], "k"), None);
    }

    #[test]
    fn an_instruction_belongs_to_the_row_before_it() {
        let table = LineTable {
            rows: vec![(0, 0), (32, 1)],
            lines: vec![("k.cu".into(), 4), ("k.cu".into(), 7)],
        };
        assert_eq!(table.line(16), Some(("k.cu", 4)));
        assert_eq!(table.line(32), Some(("k.cu", 7)));
        assert_eq!(LineTable::default().line(0), None);
    }
}
