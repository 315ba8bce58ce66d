//! Tokens and their text: every prompt has one fixed output.

use super::prefix_cache::mix;

/// Size of the simulated vocabulary.
const VOCABULARY: u64 = 32_000;
/// Bytes of prompt text that make one token.
const BYTES_PER_TOKEN: usize = 4;

/// Texts of tokens; a token's is the one at its id modulo their number. None
/// needs escaping in JSON.
const PIECES: [&str; 32] = [
    " the", " of", " model", "ing", " token", "s", " on", " step", " a", ".", " batch", " kernel",
    " in", " cache", "ed", " and", " layer", ",", " time", " is", " head", " for", "\u{e9}e",
    " memory", "er", " with", " graph", " to", " 42", " queue", " that", "ly",
];

/// Token ids of prompt text: one for each four bytes, and at least one.
pub fn tokenize(text: &str) -> Vec<u32> {
    let mut ids: Vec<u32> = text
        .as_bytes()
        .chunks(BYTES_PER_TOKEN)
        .map(|bytes| {
            let word = bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
            (mix(word) % VOCABULARY) as u32
        })
        .collect();
    if ids.is_empty() {
        ids.push(0);
    }
    ids
}

/// The output of one prompt.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    seed: u64,
    empty_every: u32,
}

impl Output {
    /// The output that follows `prompt`. Another `salt` gives another output.
    pub fn of(prompt: &[u32], salt: u64, empty_every: u32) -> Self {
        let seed = prompt
            .iter()
            .fold(mix(salt), |seed, token| mix(seed ^ u64::from(*token)));
        Self { seed, empty_every }
    }

    /// Id of the token at `index`.
    pub fn token(&self, index: u32) -> u32 {
        (mix(self.seed ^ u64::from(index)) % VOCABULARY) as u32
    }

    /// Text of the token at `index`.
    pub fn piece(&self, index: u32) -> &'static str {
        let silent = self.empty_every > 0 && (index + 1).is_multiple_of(self.empty_every);
        if silent {
            return "";
        }
        let at = self.token(index) as usize % PIECES.len();
        PIECES.get(at).copied().unwrap_or_default()
    }

    /// Where the output would end by itself: between half and one and a half times `mean`.
    pub fn natural_length(&self, mean: u32) -> u32 {
        let spread = u64::from(mean.max(1));
        (spread / 2 + mix(self.seed ^ u64::MAX) % (spread + 1)).max(1) as u32
    }
}
