//! Prompts of random token ids: exact lengths, no shared prefix, the same for every engine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Input, Prompt, WorkloadError};

/// Lengths in tokens, drawn evenly from `min` to `max`, both included.
///
/// Explicit bounds on purpose: the `range ratio` of two popular clients has
/// one name and opposite meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LenRange {
    pub min: u32,
    pub max: u32,
}

impl LenRange {
    /// Always the same length.
    pub fn fixed(len: u32) -> Self {
        Self { min: len, max: len }
    }
}

/// What to draw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomPrompts {
    pub num_prompts: usize,
    /// Prompt length in tokens.
    pub input_len: LenRange,
    /// Output length in tokens.
    pub output_len: LenRange,
    /// Ids are drawn below this.
    pub vocab_size: u32,
    /// Ids are drawn from this on; the lowest often are special tokens.
    pub lowest_id: u32,
    /// Further ids that are never sent, such as special tokens in the middle.
    pub excluded_ids: Vec<u32>,
    /// Seed of the plan.
    pub seed: u64,
    /// What the prompts are for, for example `chat/measured/0`. Another
    /// purpose gives other prompts, so that a warm-up, a scenario or a repeat
    /// never finds its prompts in a cache; the same gives every engine the same.
    pub purpose: String,
}

/// Draws the prompts. The result depends on the arguments alone, on every
/// machine and in every version.
pub fn random_prompts(asked: &RandomPrompts) -> Result<Vec<Prompt>, WorkloadError> {
    check(asked)?;
    let mut excluded = asked.excluded_ids.clone();
    excluded.retain(|id| (asked.lowest_id..asked.vocab_size).contains(id));
    excluded.sort_unstable();
    excluded.dedup();
    let ids = LenRange {
        min: asked.lowest_id,
        max: asked.vocab_size - 1,
    };
    if asked.vocab_size - asked.lowest_id <= excluded.len() as u32 {
        return Err(WorkloadError::NoIds {
            lowest: asked.lowest_id,
            vocab_size: asked.vocab_size,
        });
    }
    let mut rng = ChaCha8Rng::from_seed(seed_of(asked.seed, &asked.purpose));
    Ok((0..asked.num_prompts)
        .map(|_| {
            let input_len = draw(&mut rng, asked.input_len);
            let output_len = draw(&mut rng, asked.output_len);
            let prompt = std::iter::repeat_with(|| draw(&mut rng, ids))
                .filter(|id| excluded.binary_search(id).is_err())
                .take(input_len as usize)
                .collect();
            Prompt {
                input: Input::Ids(prompt),
                output_len,
            }
        })
        .collect())
}

fn check(asked: &RandomPrompts) -> Result<(), WorkloadError> {
    for (what, range) in [
        ("input_len", asked.input_len),
        ("output_len", asked.output_len),
    ] {
        if range.min > range.max {
            return Err(WorkloadError::BadRange {
                what,
                min: range.min,
                max: range.max,
            });
        }
        if range.min == 0 {
            return Err(WorkloadError::BadNumber {
                what,
                value: 0,
                rule: "a request has at least one token",
            });
        }
    }
    if asked.num_prompts == 0 {
        return Err(WorkloadError::BadNumber {
            what: "num_prompts",
            value: 0,
            rule: "there must be at least one",
        });
    }
    if asked.lowest_id >= asked.vocab_size {
        return Err(WorkloadError::NoIds {
            lowest: asked.lowest_id,
            vocab_size: asked.vocab_size,
        });
    }
    Ok(())
}

fn seed_of(seed: u64, purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(purpose.as_bytes());
    hash.finalize().into()
}

/// An even draw by multiplication: 64 random bits leave no bias that matters.
fn draw(rng: &mut ChaCha8Rng, range: LenRange) -> u32 {
    let span = u128::from(range.max - range.min) + 1;
    let offset = (u128::from(rng.next_u64()) * span) >> 64;
    range.min + offset as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::bench::workload::workload_sha256;

    fn asked() -> RandomPrompts {
        RandomPrompts {
            num_prompts: 40,
            input_len: LenRange { min: 5, max: 9 },
            output_len: LenRange::fixed(16),
            vocab_size: 32,
            lowest_id: 3,
            excluded_ids: vec![7, 31, 1000],
            seed: 1,
            purpose: "chat/measured/0".to_owned(),
        }
    }

    fn ids(prompts: &[Prompt]) -> Vec<Vec<u32>> {
        prompts
            .iter()
            .map(|prompt| match &prompt.input {
                Input::Ids(ids) => ids.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn lengths_and_ids_stay_in_range_and_use_all_of_it() {
        let prompts = random_prompts(&asked()).unwrap();
        assert_eq!(prompts.len(), 40);
        assert!(prompts.iter().all(|prompt| prompt.output_len == 16));
        let ids = ids(&prompts);
        let lengths: HashSet<usize> = ids.iter().map(Vec::len).collect();
        assert_eq!(lengths, (5..=9).collect());
        let seen: HashSet<u32> = ids.into_iter().flatten().collect();
        let allowed: HashSet<u32> = (3..31).filter(|id| *id != 7).collect();
        assert_eq!(seen, allowed);
    }

    #[test]
    fn prompts_depend_on_seed_and_purpose_alone() {
        let hash = |asked: &RandomPrompts| workload_sha256(&random_prompts(asked).unwrap());
        let same = hash(&asked());
        assert_eq!(same, hash(&asked()));
        let warmup = RandomPrompts {
            purpose: "chat/warmup/0".to_owned(),
            ..asked()
        };
        let reseeded = RandomPrompts { seed: 2, ..asked() };
        assert_eq!(
            HashSet::from([same, hash(&warmup), hash(&reseeded)]).len(),
            3
        );
    }

    #[test]
    fn prompts_of_one_workload_differ() {
        let wide = RandomPrompts {
            vocab_size: 32_000,
            input_len: LenRange::fixed(64),
            ..asked()
        };
        let prompts = ids(&random_prompts(&wide).unwrap());
        assert_eq!(prompts.iter().collect::<HashSet<_>>().len(), 40);
    }

    /// Recorded once: another value means that old and new runs do not compare.
    #[test]
    fn the_drawing_is_pinned() {
        let prompts = ids(&random_prompts(&asked()).unwrap());
        assert_eq!(prompts[0], PINNED);
    }

    const PINNED: &[u32] = &[27, 18, 10, 27, 30];

    #[test]
    fn refuses_what_cannot_be_drawn() {
        let error = |change: fn(&mut RandomPrompts)| {
            let mut bad = asked();
            change(&mut bad);
            random_prompts(&bad).unwrap_err().to_string()
        };
        assert_eq!(
            error(|bad| bad.input_len = LenRange { min: 9, max: 5 }),
            "input_len ranges from 9 down to 5"
        );
        assert_eq!(
            error(|bad| bad.output_len = LenRange::fixed(0)),
            "output_len is 0, but a request has at least one token"
        );
        assert_eq!(
            error(|bad| bad.num_prompts = 0),
            "num_prompts is 0, but there must be at least one"
        );
        let none = "no token id from 3 up to the vocabulary's end at 4 may be sent";
        assert_eq!(
            error(|bad| {
                bad.vocab_size = 4;
                bad.excluded_ids = vec![3];
            }),
            none
        );
    }
}
