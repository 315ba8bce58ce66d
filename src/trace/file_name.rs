//! What the name of a file says about the trace in it.

/// Whether a file of this name may be a trace with GPU work.
pub fn is_trace_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let unpacked = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(&name);
    let other = [
        "server_args",
        "metadata",
        "config.json",
        "report.json",
        "tokenizer",
    ];
    unpacked.ends_with(".json")
        && !other.iter().any(|word| name.contains(word))
        // The front end of vLLM writes a trace of its own, without GPU work.
        && !name.contains(".async_llm.")
}

/// The rank in a name such as `1795501003.8-TP-0.trace.json.gz`,
/// `dp0_pp0_tp1_rank1.123.pt.trace.json.gz` or `bs_8_rank0.json.gz`.
pub fn rank_of(name: &str) -> Option<u32> {
    let name = name.to_lowercase();
    ["rank", "worker", "tp"]
        .iter()
        .find_map(|word| number_after(&name, word))
}

fn number_after(name: &str, word: &str) -> Option<u32> {
    name.match_indices(word).find_map(|(at, _)| {
        let boundary = name[..at]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_ascii_alphanumeric());
        let rest = name[at + word.len()..].trim_start_matches(['-', '_']);
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        if boundary {
            rest[..digits].parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_rank() {
        assert_eq!(rank_of("1795501003.8016357-TP-0.trace.json.gz"), Some(0));
        assert_eq!(
            rank_of("dp0_pp0_tp3_dcp0_ep0_rank7.178.pt.trace.json.gz"),
            Some(7)
        );
        assert_eq!(rank_of("1700-TP-2-DECODE.trace.json.gz"), Some(2));
        assert_eq!(rank_of("trace.json"), None);
        assert_eq!(rank_of("http2.json"), None);
    }

    #[test]
    fn other_files_of_a_trace_folder_are_no_traces() {
        assert!(is_trace_name("rank0.123.pt.trace.json.gz"));
        assert!(is_trace_name("trace.json.zst"));
        for other in [
            "server_args.json",
            "profiler_out_0.txt",
            "host_12.async_llm.3.pt.trace.json.gz",
        ] {
            assert!(!is_trace_name(other), "{other}");
        }
    }
}
