//! Words of prose and of code, in English and Chinese, as search terms.
//!
//! A word is a run of ASCII letters, digits and `_`, or a run of other letters.
//! An identifier counts whole and in its parts (`fused_qk_norm`, `FusedMoE`), a
//! word that ends in digits also without them (`qwen3` gives `qwen`), and Chinese
//! as overlapping pairs of characters. `#12345` is the term `12345`.

/// Longest word kept; longer runs are data, not words.
const LONGEST: usize = 64;

/// One word of a text, with the parts that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word in lower case, `_` kept.
    pub whole: String,
    /// The parts of an identifier in lower case; empty for a plain word.
    pub parts: Vec<String>,
}

/// Calls `emit` with every term of `text` in lower case, duplicates included.
pub fn for_each_term(text: &str, mut emit: impl FnMut(&str)) {
    let mut lower = String::with_capacity(LONGEST);
    for_each_raw(text, |raw| match raw {
        Raw::Ascii(word) => {
            lower.clear();
            lower.extend(word.chars().map(|c| c.to_ascii_lowercase()));
            emit(&lower);
            let mut piece = String::new();
            for part in parts_of(word) {
                piece.clear();
                piece.extend(part.chars().map(|c| c.to_ascii_lowercase()));
                emit(&piece);
            }
        }
        Raw::Other(run) => {
            let folded = run.to_lowercase();
            pairs(&folded, &mut emit);
        }
    });
}

/// The words of `text` in order.
pub fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    for_each_raw(text, |raw| match raw {
        Raw::Ascii(word) => found.push(Word {
            whole: word.to_ascii_lowercase(),
            parts: parts_of(word).map(str::to_ascii_lowercase).collect(),
        }),
        Raw::Other(run) => pairs(&run.to_lowercase(), &mut |pair: &str| {
            found.push(Word {
                whole: pair.to_owned(),
                parts: Vec::new(),
            });
        }),
    });
    found
}

enum Raw<'a> {
    Ascii(&'a str),
    Other(&'a str),
}

fn for_each_raw<'a>(text: &'a str, mut emit: impl FnMut(Raw<'a>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if is_word(byte) {
            let end = run_end(bytes, at, is_word);
            let word = text[at..end].trim_matches('_');
            if !word.is_empty() && word.len() <= LONGEST {
                emit(Raw::Ascii(word));
            }
            at = end;
        } else if byte >= 0x80 {
            let end = run_end(bytes, at, |b| b >= 0x80);
            for run in text[at..end].split(|c: char| !c.is_alphanumeric()) {
                if !run.is_empty() {
                    emit(Raw::Other(run));
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// End of the run of `wanted` bytes from `from`. All runs begin and end beside
/// an ASCII byte or an end of the text, so on character boundaries.
fn run_end(bytes: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    bytes[from..]
        .iter()
        .position(|&b| !wanted(b))
        .map_or(bytes.len(), |length| from + length)
}

fn pairs(run: &str, emit: &mut impl FnMut(&str)) {
    let mut starts = run.char_indices().map(|(at, _)| at).chain([run.len()]);
    let Some(mut first) = starts.next() else {
        return;
    };
    let Some(mut second) = starts.next() else {
        return;
    };
    let mut any = false;
    for third in starts {
        emit(&run[first..third]);
        any = true;
        (first, second) = (second, third);
    }
    if !any {
        emit(&run[first..second]);
    }
}

/// The parts of an identifier: between `_`, at changes of case, and a word
/// without its closing digits. Nothing for a plain word.
fn parts_of(word: &str) -> impl Iterator<Item = &str> {
    let cased = word.split('_').filter(|piece| !piece.is_empty());
    let mut parts: Vec<&str> = Vec::new();
    for piece in cased {
        camel(piece, &mut parts);
    }
    if parts.len() == 1 && parts[0].len() == word.len() {
        parts.clear();
    }
    let stems: Vec<&str> = [word]
        .into_iter()
        .chain(parts.iter().copied())
        .filter_map(without_digits)
        .collect();
    parts.extend(stems);
    parts.into_iter()
}

fn without_digits(word: &str) -> Option<&str> {
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.len() >= 3 && stem.len() < word.len() && !stem.contains('_')).then_some(stem)
}

/// Splits at lower-to-upper and before the last capital of a run of capitals
/// (`RMSNorm` gives `RMS`, `Norm`); a lone letter joins its neighbour
/// (`FusedMoE` gives `Fused`, `MoE`).
fn camel<'a>(piece: &'a str, parts: &mut Vec<&'a str>) {
    let bytes = piece.as_bytes();
    let is_cut = |at: &usize| {
        let (before, here) = (bytes[at - 1], bytes[*at]);
        let rises = !before.is_ascii_uppercase() && here.is_ascii_uppercase();
        let turns = before.is_ascii_uppercase()
            && here.is_ascii_uppercase()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        rises || turns
    };
    let ends: Vec<usize> = (1..bytes.len())
        .filter(is_cut)
        .chain([bytes.len()])
        .collect();
    let (mut from, mut previous) = (0, None);
    for end in ends {
        if end - from == 1 && end < bytes.len() && previous.is_none() {
            continue;
        }
        if let Some(start) = previous
            && end - from == 1
        {
            parts.pop();
            from = start;
        }
        parts.push(&piece[from..end]);
        previous = Some(from);
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for_each_term(text, |term| found.push(term.to_owned()));
        found
    }

    #[test]
    fn identifiers_count_whole_and_in_parts() {
        assert_eq!(
            terms("fused_qk_norm"),
            ["fused_qk_norm", "fused", "qk", "norm"]
        );
        assert_eq!(terms("FusedMoE"), ["fusedmoe", "fused", "moe"]);
        assert_eq!(terms("RMSNorm"), ["rmsnorm", "rms", "norm"]);
        assert_eq!(terms("MoEGate"), ["moegate", "moe", "gate"]);
        assert_eq!(terms("KVCache"), ["kvcache", "kv", "cache"]);
        assert_eq!(terms("vLLM MoE"), ["vllm", "moe"]);
        assert_eq!(terms("__init__"), ["init"]);
    }

    #[test]
    fn digits_at_the_end_may_be_left_out() {
        assert_eq!(terms("Qwen3 fp8"), ["qwen3", "qwen", "fp8"]);
        assert_eq!(terms("#12345"), ["12345"]);
    }

    #[test]
    fn paths_fall_into_their_names() {
        assert_eq!(
            terms("srt/models/qwen3_moe.py"),
            ["srt", "models", "qwen3_moe", "qwen3", "moe", "qwen", "py"]
        );
    }

    #[test]
    fn chinese_is_pairs_of_characters() {
        assert_eq!(
            terms("融合算子 MoE，优化"),
            ["融合", "合算", "算子", "moe", "优化"]
        );
        assert_eq!(terms("核"), ["核"]);
    }

    #[test]
    fn overlong_runs_are_dropped() {
        assert_eq!(terms(&"a".repeat(65)), Vec::<String>::new());
    }
}
