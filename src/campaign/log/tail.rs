//! The end of a log, read backwards, so that an append does not read all of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{Tail, chain};
use crate::campaign::CampaignError;
use crate::disk::DiskError;

const BLOCK: u64 = 16 << 10;

/// The last whole line as an event, where the whole lines end, and what is torn.
pub(super) fn read(file: &mut File, path: &Path) -> Result<Tail, CampaignError> {
    let wrap = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let length = file.seek(SeekFrom::End(0)).map_err(wrap)?;
    let mut size = BLOCK;
    loop {
        let start = length.saturating_sub(size);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(wrap)?;
        file.by_ref()
            .take(length - start)
            .read_to_end(&mut bytes)
            .map_err(wrap)?;
        let ends: Vec<usize> = memchr::memrchr_iter(b'\n', &bytes).take(2).collect();
        let first_line_is_whole = start == 0;
        let begin = match ends[..] {
            [_, before] => before + 1,
            _ if first_line_is_whole => 0,
            _ => {
                size *= 4;
                continue;
            }
        };
        let end = ends.first().map_or(begin, |end| end + 1);
        let torn = bytes.get(end..).filter(|rest| !rest.is_empty());
        let torn = torn.map(|rest| String::from_utf8_lossy(rest).into_owned());
        let line = bytes.get(begin..end.saturating_sub(1)).unwrap_or_default();
        let last = if line.is_empty() {
            None
        } else {
            Some(
                chain::parse(line).map_err(|problem| CampaignError::BrokenTail {
                    path: path.to_path_buf(),
                    offset: start + begin as u64,
                    problem,
                })?,
            )
        };
        return Ok(Tail {
            last,
            end: start + end as u64,
            torn,
        });
    }
}
