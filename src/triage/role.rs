//! What a kernel does in a layer, told from its place in the order.
//!
//! A GEMM's name does not say whether it projects queries or shrinks an MLP,
//! and engines give the same work different names. What stands before and
//! behind it does: the projection out of attention follows attention with no
//! norm between, the one into it is the last before attention, and so on.

use super::record::OpClass;
use crate::trace::KernelCategory;

/// Kernels between which GEMMs get their role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Edge,
    Attention,
    Activation,
    Moe,
    Sampling,
}

fn anchor(category: KernelCategory) -> Option<Anchor> {
    match category {
        KernelCategory::Attention | KernelCategory::LinearAttention => Some(Anchor::Attention),
        KernelCategory::Activation => Some(Anchor::Activation),
        KernelCategory::Moe => Some(Anchor::Moe),
        KernelCategory::Sampling => Some(Anchor::Sampling),
        _ => None,
    }
}

/// The class of each kernel of a step, in order of start.
pub(super) fn classes(categories: &[KernelCategory]) -> Vec<OpClass> {
    let mut next = vec![Anchor::Edge; categories.len()];
    let mut coming = Anchor::Edge;
    for (at, &category) in categories.iter().enumerate().rev() {
        next[at] = coming;
        coming = anchor(category).unwrap_or(coming);
    }
    let mut before = Anchor::Edge;
    let mut normed = true;
    let mut out = Vec::with_capacity(categories.len());
    for (&category, &next) in categories.iter().zip(&next) {
        out.push(class(category, before, normed, next));
        if let Some(anchor) = anchor(category) {
            before = anchor;
            normed = false;
        }
        normed |= matches!(
            category,
            KernelCategory::Norm | KernelCategory::Communication
        );
    }
    out
}

fn class(category: KernelCategory, before: Anchor, normed: bool, next: Anchor) -> OpClass {
    match category {
        KernelCategory::Gemm => gemm_class(before, normed, next),
        KernelCategory::Attention | KernelCategory::Softmax => OpClass::Attention,
        KernelCategory::LinearAttention => OpClass::LinearAttention,
        KernelCategory::Moe => OpClass::Moe,
        KernelCategory::Activation if before == Anchor::Moe && !normed => OpClass::Moe,
        KernelCategory::Activation => OpClass::Mlp,
        KernelCategory::Norm => OpClass::Norm,
        KernelCategory::Rope => OpClass::Rope,
        KernelCategory::KvCache => OpClass::KvCache,
        KernelCategory::Embedding => OpClass::Embedding,
        KernelCategory::Sampling => OpClass::Sampling,
        KernelCategory::Communication => OpClass::Communication,
        // Compilers fuse query and key norms and the rotary embedding into
        // kernels without a telling name, always right before attention.
        KernelCategory::Reduction if next == Anchor::Attention && before != Anchor::Edge => {
            OpClass::Norm
        }
        KernelCategory::Elementwise if next == Anchor::Attention && before != Anchor::Edge => {
            OpClass::Rope
        }
        _ => OpClass::Other,
    }
}

fn gemm_class(before: Anchor, normed: bool, next: Anchor) -> OpClass {
    match (before, next) {
        (Anchor::Attention, _) if !normed => OpClass::OProj,
        (Anchor::Activation, _) if !normed => OpClass::Mlp,
        (Anchor::Moe, _) if !normed => OpClass::Moe,
        (_, Anchor::Attention) => OpClass::QkvGemm,
        (_, Anchor::Activation) => OpClass::Mlp,
        (_, Anchor::Moe) => OpClass::Moe,
        (_, Anchor::Sampling | Anchor::Edge) => OpClass::LmHead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dense_layer_and_the_head() {
        use KernelCategory::{Activation, Attention, Gemm, Norm, Rope, Sampling};
        let found = classes(&[
            Norm, Gemm, Norm, Rope, Attention, Gemm, Norm, Gemm, Activation, Gemm, Norm, Gemm,
            Attention, Gemm, Norm, Gemm, Activation, Gemm, Norm, Gemm, Sampling,
        ]);
        let gemms: Vec<OpClass> = found
            .into_iter()
            .filter(|class| !matches!(class, OpClass::Norm | OpClass::Rope | OpClass::Attention))
            .collect();
        use OpClass::{LmHead, Mlp, OProj, QkvGemm, Sampling as Sampled};
        assert_eq!(
            gemms,
            [
                QkvGemm, OProj, Mlp, Mlp, Mlp, QkvGemm, OProj, Mlp, Mlp, Mlp, LmHead, Sampled
            ]
        );
    }

    #[test]
    fn a_layer_of_experts() {
        use KernelCategory::{Activation, Attention, Gemm, Moe, Norm};
        let found = classes(&[
            Norm, Gemm, Attention, Gemm, Norm, Gemm, Moe, Moe, Activation, Moe, Norm, Gemm,
            Attention,
        ]);
        use OpClass::{Moe as Experts, OProj, QkvGemm};
        assert_eq!(found[1], QkvGemm);
        assert_eq!(found[3], OProj);
        assert_eq!(found[5..10], [Experts; 5]);
        assert_eq!(found[11], QkvGemm);
    }
}
