//! The layers of a simulated model.

use serde::{Deserialize, Serialize};

/// How a block mixes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixer {
    Full,
    Sliding,
    Linear,
    /// Multi-head latent attention.
    Latent,
}

/// What follows the mixer in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mlp {
    Dense,
    Moe,
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layer {
    pub mixer: Mixer,
    pub mlp: Mlp,
    /// Whether mixer and MLP are half-blocks that begin and end with the same kernels.
    pub halves: bool,
}

impl Layer {
    fn of(mixer: Mixer, mlp: Mlp) -> Self {
        Self {
            mixer,
            mlp,
            halves: false,
        }
    }

    /// Name of the layer's type, such as `full_dense`.
    pub fn kind(&self) -> String {
        format!("{}_{}", self.mixer.name(), self.mlp.name())
    }
}

impl Mixer {
    /// Name of its kernels' block in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sliding => "sliding",
            Self::Linear => "linear",
            Self::Latent => "latent",
        }
    }
}

impl Mlp {
    /// Name of its kernels' block in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Moe => "moe",
        }
    }
}

/// Families of models whose layers repeat in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Every layer the same.
    Dense,
    /// Two dense layers, then mixtures of experts.
    Moe,
    /// Latent attention; three dense layers, then mixtures of experts.
    Mla,
    /// Five layers with sliding-window attention, then one with full attention.
    Sliding,
    /// Three layers with linear attention, then one with full attention.
    Hybrid,
    /// Layers of two half-blocks that begin and end alike: attention, then experts.
    HalfBlocks,
}

/// The layers of a model, and its ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelShape {
    pub layers: Vec<Layer>,
    /// Tensor-parallel ranks; more than one adds all-reduces.
    pub ranks: u32,
}

impl ModelShape {
    /// A model of one of the families.
    pub fn of(architecture: Architecture, layers: usize) -> Self {
        match architecture {
            Architecture::Dense => Self::dense(layers),
            Architecture::Moe => Self::moe_after_dense(layers, 2),
            Architecture::Mla => Self::latent_after_dense(layers, 3),
            Architecture::Sliding => Self::alternating(layers, Mixer::Sliding, 5),
            Architecture::Hybrid => Self::alternating(layers, Mixer::Linear, 3),
            Architecture::HalfBlocks => Self::half_blocks(layers),
        }
    }

    /// `layers` equal layers.
    pub fn dense(layers: usize) -> Self {
        Self::from(vec![Layer::of(Mixer::Full, Mlp::Dense); layers])
    }

    /// Mixtures of experts after the first `dense` layers.
    pub fn moe_after_dense(layers: usize, dense: usize) -> Self {
        let layer = |index| {
            Layer::of(
                Mixer::Full,
                if index < dense { Mlp::Dense } else { Mlp::Moe },
            )
        };
        Self::from((0..layers).map(layer).collect::<Vec<_>>())
    }

    /// Latent attention; mixtures of experts after the first `dense` layers.
    pub fn latent_after_dense(layers: usize, dense: usize) -> Self {
        let mut shape = Self::moe_after_dense(layers, dense);
        for layer in &mut shape.layers {
            layer.mixer = Mixer::Latent;
        }
        shape
    }

    /// `others` layers with another mixer before each layer with full attention.
    pub fn alternating(layers: usize, mixer: Mixer, others: usize) -> Self {
        let layer = |index| {
            let full = index % (others + 1) == others;
            Layer::of(if full { Mixer::Full } else { mixer }, Mlp::Dense)
        };
        Self::from((0..layers).map(layer).collect::<Vec<_>>())
    }

    /// Layers of two half-blocks, attention and experts, as models with several
    /// residual streams have them.
    pub fn half_blocks(layers: usize) -> Self {
        let layer = Layer {
            halves: true,
            ..Layer::of(Mixer::Full, Mlp::Moe)
        };
        Self::from(vec![layer; layers])
    }

    /// The same model on several ranks.
    #[must_use]
    pub fn with_ranks(mut self, ranks: u32) -> Self {
        self.ranks = ranks;
        self
    }
}

impl From<Vec<Layer>> for ModelShape {
    fn from(layers: Vec<Layer>) -> Self {
        Self { layers, ranks: 1 }
    }
}
