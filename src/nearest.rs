//! The known name that somebody most likely meant.

/// The closest of `known` to `name`, unless none is close enough to be meant.
///
/// Similarity is Jaro-Winkler on lower case with `-` read as `_`; 0.8 keeps
/// `num_prompt` → `num_prompts` and drops unrelated words.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| {
        text.trim_start_matches('-')
            .to_lowercase()
            .replace('-', "_")
    };
    let wanted = fold(name);
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &fold(candidate)), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let known = ["num_prompts", "input_len", "output_len"];
        assert_eq!(nearest("num_prompt", known), Some("num_prompts"));
        assert_eq!(nearest("--output-length", known), Some("output_len"));
        assert_eq!(nearest("banana", known), None);
    }
}
