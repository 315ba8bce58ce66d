//! Where the cost of prompts goes that one server counts longer than the other.

use super::model::{Factor, Side};
use super::replay::{Engine, PromptScale, replay};

/// The causes that take the cost of longer prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongerPrompts {
    /// Both servers count alike.
    None,
    /// They cost most by the room that they take in the cache: the batch that
    /// they leave is what the run waits for, and room takes the whole cost.
    Room,
    /// Each cause takes what they cost through it: prefill, decode steps, room.
    Each,
}

/// The three ways in which a longer prompt costs time.
const CHANNELS: [Factor; 3] = [
    Factor::PrefillRate,
    Factor::DecodeStepTime,
    Factor::KvCapacity,
];

impl LongerPrompts {
    /// What the sides call for; None where the model does not come to an end.
    pub fn of(sides: &[Side; 2]) -> Option<Self> {
        let [target, leader] = sides;
        let (own, other) = (target.engine.prompt_scale, leader.engine.prompt_scale);
        if own == other {
            return Some(Self::None);
        }
        let with = |scale: PromptScale| {
            let mut engine = target.engine.clone();
            engine.prompt_scale = scale;
            Some(replay(&engine, &target.workload)?.wall_s)
        };
        let base = with(own)?;
        let mut effects = [0.0; CHANNELS.len()];
        for (effect, channel) in effects.iter_mut().zip(CHANNELS) {
            let mut scale = own;
            set(&mut scale, channel, other);
            *effect = (base - with(scale)?).abs();
        }
        let [prefill, context, room] = effects;
        Some(if room > prefill.max(context) {
            Self::Room
        } else {
            Self::Each
        })
    }

    /// Whether a factor takes a part of their cost.
    pub fn is_in(self, factor: Factor) -> bool {
        match self {
            Self::None => false,
            Self::Room => factor == Factor::KvCapacity,
            Self::Each => CHANNELS.contains(&factor),
        }
    }

    /// Adds the factors that take their cost to those in which the sides differ.
    pub fn add_to(self, factors: &mut Vec<Factor>) {
        for factor in CHANNELS {
            if self.is_in(factor) && !factors.contains(&factor) {
                factors.push(factor);
            }
        }
    }

    /// Gives an engine the prompts of `from`, as far as this factor takes them.
    pub fn exchange(self, engine: &mut Engine, factor: Factor, from: PromptScale) {
        match self {
            Self::Room if factor == Factor::KvCapacity => engine.prompt_scale = from,
            Self::Each => set(&mut engine.prompt_scale, factor, from),
            _ => {}
        }
    }
}

fn set(scale: &mut PromptScale, factor: Factor, from: PromptScale) {
    match factor {
        Factor::PrefillRate => scale.prefill = from.prefill,
        Factor::DecodeStepTime => scale.context = from.context,
        Factor::KvCapacity => scale.room = from.room,
        _ => {}
    }
}
