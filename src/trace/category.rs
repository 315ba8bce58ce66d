//! What a kernel does, told from its name by one table.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::name::canonical;
use super::{NameId, Trace};
use crate::references::Catalogue;

/// The kind of work that a kernel does in a language model's forward pass.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum KernelCategory {
    /// Dense matrix multiplication, with the reductions that belong to it.
    Gemm,
    Attention,
    /// State-space and linear-attention layers.
    LinearAttention,
    /// Expert routing and grouped matrix multiplication.
    Moe,
    Norm,
    Rope,
    Activation,
    Softmax,
    Quantize,
    /// Writing and moving entries of the key-value cache.
    KvCache,
    Embedding,
    /// From logits to tokens.
    Sampling,
    /// Transfers and reductions between GPUs.
    Communication,
    /// Bookkeeping of requests, positions and pages.
    BatchPrep,
    /// Copies, fills, gathers and scatters.
    Memory,
    Reduction,
    Elementwise,
    #[default]
    Other,
}

impl KernelCategory {
    /// The name that the category has in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gemm => "gemm",
            Self::Attention => "attention",
            Self::LinearAttention => "linear_attention",
            Self::Moe => "moe",
            Self::Norm => "norm",
            Self::Rope => "rope",
            Self::Activation => "activation",
            Self::Softmax => "softmax",
            Self::Quantize => "quantize",
            Self::KvCache => "kv_cache",
            Self::Embedding => "embedding",
            Self::Sampling => "sampling",
            Self::Communication => "communication",
            Self::BatchPrep => "batch_prep",
            Self::Memory => "memory",
            Self::Reduction => "reduction",
            Self::Elementwise => "elementwise",
            Self::Other => "other",
        }
    }

    /// Whether the work is bound to keep the tensor cores busy, so that
    /// merging it into a neighbour is no remedy.
    pub fn is_compute(self) -> bool {
        matches!(
            self,
            Self::Gemm | Self::Attention | Self::LinearAttention | Self::Moe
        )
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    rule: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    category: KernelCategory,
    #[serde(deserialize_with = "lower_case")]
    any: Vec<String>,
    #[serde(default, deserialize_with = "lower_case")]
    all: Vec<String>,
    #[serde(default, deserialize_with = "lower_case")]
    none: Vec<String>,
}

/// Words as names are compared.
fn lower_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    Ok(words.iter().map(|word| word.to_lowercase()).collect())
}

impl Rule {
    fn matches(&self, name: &str) -> bool {
        self.any.iter().any(|word| name.contains(word))
            && self.all.iter().all(|word| name.contains(word))
            && !self.none.iter().any(|word| name.contains(word))
    }
}

pub(super) static CATEGORIES: Catalogue<Table> = Catalogue::new(
    "kernel-categories.toml",
    include_str!("../../references/kernel-categories.toml"),
);

/// The category of a kernel by its name.
pub fn categorize(name: &str) -> KernelCategory {
    let name = canonical(name).to_lowercase();
    CATEGORIES
        .table()
        .rule
        .iter()
        .find(|rule| rule.matches(&name))
        .map_or(KernelCategory::Other, |rule| rule.category)
}

/// The categories of all kernel names of a trace, each computed once.
#[derive(Debug, Default)]
pub struct CategoryColumn {
    by_name: Vec<KernelCategory>,
}

impl CategoryColumn {
    /// Classifies every name that a GPU row of the trace has.
    pub fn new(trace: &Trace) -> Self {
        let mut known = vec![None; trace.strings.len()];
        for &name in &trace.gpu.name {
            let slot = &mut known[name.row()];
            if slot.is_none() {
                *slot = Some(categorize(trace.text(name)));
            }
        }
        Self {
            by_name: known.into_iter().map(Option::unwrap_or_default).collect(),
        }
    }

    /// The category of a name of that trace.
    pub fn of(&self, name: NameId) -> KernelCategory {
        self.by_name.get(name.row()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_words_of_several_kinds_go_to_the_right_one() {
        use KernelCategory::*;
        for (name, expected) in [
            ("nvjet_sm90_tst_192x8_64x8_2x1_v_bz_TNT", Gemm),
            (
                "void cublasLt::splitKreduce_kernel<32, 16, int, float>(int)",
                Gemm,
            ),
            (
                "void cutlass::device_kernel<flash::FlashAttnFwdCombine<cute::tuple<cute::C<8> > > >(int)",
                Attention,
            ),
            (
                "void flash::flash_fwd_splitkv_combine_kernel<Flash_fwd_kernel_traits<128> >(flash::Flash_fwd_params)",
                Attention,
            ),
            ("flash_fwd_mla_combine_kernel", Attention),
            (
                "void flashinfer::norm::FusedAddRMSNormKernel<8u, __nv_bfloat16>(int)",
                Norm,
            ),
            ("triton_red_fused_fused_add_rms_norm_2", Norm),
            (
                "void vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8, true>(c10::BFloat16*)",
                Norm,
            ),
            (
                "void (anonymous namespace)::fused_rope_kernel<true, 128l>(int)",
                Rope,
            ),
            (
                "void (anonymous namespace)::fused_qknorm_warp<128l, true>(int)",
                Norm,
            ),
            (
                "void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16>(int)",
                KvCache,
            ),
            (
                "void flashinfer::BatchPrefillWithPagedKVCacheKernel<int>(int)",
                Attention,
            ),
            (
                "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(int)",
                Communication,
            ),
            (
                "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
                Communication,
            ),
            ("fused_moe_kernel", Moe),
            ("void moe_align_block_size_kernel<int>(int)", Moe),
            ("void topkGatingSoftmax<8, 128>(int)", Moe),
            (
                "void vllm::act_and_mul_kernel<c10::BFloat16>(int)",
                Activation,
            ),
            ("triton_poi_fused_mul_silu_slice_1", Activation),
            ("void deep_gemm::sm90_fp8_gemm_1d2d_impl<1, 2>(int)", Gemm),
            ("per_token_group_quant_8bit_kernel", Quantize),
            (
                "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::ArgMaxOps<float> > >(int)",
                Sampling,
            ),
            ("_gumbel_sample_kernel", Sampling),
            (
                "void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)> >(int)",
                Memory,
            ),
            ("triton_poi_fused_4", Elementwise),
            ("triton_red_fused_3", Reduction),
            ("something_unheard_of", Other),
        ] {
            assert_eq!(categorize(name), expected, "{name}");
        }
    }

    #[test]
    fn records_and_tables_call_a_category_the_same() {
        for category in [KernelCategory::KvCache, KernelCategory::LinearAttention] {
            assert_eq!(serde_json::to_value(category).unwrap(), category.as_str());
        }
    }
}
