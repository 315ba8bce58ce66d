//! Argument arrays as text that a POSIX shell reads back as the same array.

/// Arguments quoted for a POSIX shell. ssh joins the words of a command and
/// gives them to the shell of the user there, so that this is the only way in
/// which an array arrives as it was.
pub fn shell_words<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter()
        .map(|argument| quoted(argument.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    // zsh expands `=word`.
    if !argument.is_empty() && !argument.starts_with('=') && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::shell_words;
    use proptest::prelude::*;

    #[test]
    fn words_that_a_shell_would_split_are_quoted() {
        let argv = ["serve", "--config", "{\"a\": 1}", "it's", ""];
        assert_eq!(
            shell_words(&argv),
            r#"serve --config '{"a": 1}' 'it'\''s' ''"#
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_real_shell_reads_back_the_same_words(argv in prop::collection::vec("[^\0]{0,12}", 1..6)) {
            let script = format!("printf '%s\\0' {}", shell_words(&argv));
            let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
            let expected: String = argv.iter().map(|word| format!("{word}\0")).collect();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        }
    }
}
