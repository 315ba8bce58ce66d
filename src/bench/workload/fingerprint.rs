//! The identity of a workload.

use sha2::{Digest, Sha256};

use super::{Input, Prompt};

/// SHA-256 over every prompt and output length, in order, as lowercase hex.
/// Two runs with one value asked their engines for exactly the same.
pub fn workload_sha256(prompts: &[Prompt]) -> String {
    let mut hash = Sha256::new();
    for prompt in prompts {
        hash.update(prompt.output_len.to_le_bytes());
        match &prompt.input {
            Input::Ids(ids) => {
                head(&mut hash, b'i', ids.len());
                for id in ids {
                    hash.update(id.to_le_bytes());
                }
            }
            Input::Text(text) => {
                head(&mut hash, b't', text.len());
                hash.update(text.as_bytes());
            }
            Input::Messages(messages) => {
                let text = messages.to_string();
                head(&mut hash, b'm', text.len());
                hash.update(text.as_bytes());
            }
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A tag and a length, so that no two workloads run together.
fn head(hash: &mut Sha256, tag: u8, len: usize) {
    hash.update([tag]);
    hash.update((len as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_part_counts() {
        let prompt = |input, output_len| vec![Prompt { input, output_len }];
        let hashes: HashSet<String> = [
            prompt(Input::Ids(vec![1, 2]), 3),
            prompt(Input::Ids(vec![1, 2]), 4),
            prompt(Input::Ids(vec![2, 1]), 3),
            prompt(Input::Text("12".to_owned()), 3),
            prompt(Input::Messages("12".into()), 3),
        ]
        .iter()
        .map(|prompts| workload_sha256(prompts))
        .collect();
        assert_eq!(hashes.len(), 5);
        let two = [
            prompt(Input::Ids(vec![1]), 3),
            prompt(Input::Ids(vec![2]), 3),
        ]
        .concat();
        assert!(!hashes.contains(&workload_sha256(&two)));
        assert_eq!(
            workload_sha256(&[]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
