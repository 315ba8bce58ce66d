//! Which prompt prefixes the KV cache still holds.

use std::collections::{HashSet, VecDeque};

/// Tokens of one cached block.
pub const BLOCK_TOKENS: u32 = 64;

/// A set of prefix blocks, the oldest dropped first.
#[derive(Debug, Default)]
pub struct PrefixCache {
    known: HashSet<u64>,
    age: VecDeque<u64>,
    capacity: usize,
}

/// Hashes of the prompt's whole blocks; each covers everything before it too.
pub fn blocks(prompt: &[u32]) -> Vec<u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    prompt
        .chunks_exact(BLOCK_TOKENS as usize)
        .map(|block| {
            for token in block {
                hash = mix(hash ^ u64::from(*token));
            }
            hash
        })
        .collect()
}

/// One round of the SplitMix64 finalizer (Steele, Lea and Flood, 2014).
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl PrefixCache {
    /// A cache of up to `tokens` tokens; 0 caches nothing.
    pub fn new(tokens: u32) -> Self {
        Self {
            capacity: (tokens / BLOCK_TOKENS) as usize,
            ..Self::default()
        }
    }

    /// Tokens of the prompt that are cached; never the whole prompt, whose last
    /// token must be computed to get an output.
    pub fn cached_tokens(&self, blocks: &[u64], prompt_tokens: u32) -> u32 {
        let hits = blocks.iter().take_while(|block| self.known.contains(block));
        let cached = hits.count() as u32 * BLOCK_TOKENS;
        cached.min(prompt_tokens.saturating_sub(1) / BLOCK_TOKENS * BLOCK_TOKENS)
    }

    /// Remembers the blocks of a computed prompt.
    pub fn insert(&mut self, blocks: &[u64]) {
        for block in blocks {
            if self.capacity > 0 && self.known.insert(*block) {
                self.age.push_back(*block);
            }
            if self.age.len() > self.capacity
                && let Some(oldest) = self.age.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.known.clear();
        self.age.clear();
    }
}
