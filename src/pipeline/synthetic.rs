//! Passes of imagined engines, for tests: kernel sequences of the model
//! families that the search must hold for, in the words that SGLang and vLLM
//! use for them.
//!
//! A kernel is written `name`, `name#2` for the same kernel with another
//! grid, and `name@2` for one on a second stream.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One forward pass as kernels in order, and what is right about it.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub name: &'static str,
    pub kernels: Vec<String>,
    pub layers: usize,
    /// Type of each layer, as a letter.
    pub types: String,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Puts a pass together: a kind is a letter and the kernels of a layer.
fn family(
    name: &'static str,
    prologue: &str,
    pattern: &str,
    kinds: &[(char, String)],
    epilogue: &str,
) -> Family {
    let mut kernels = words(prologue);
    for letter in pattern.chars() {
        let kind = kinds.iter().find(|kind| kind.0 == letter);
        kernels.extend(words(&kind.expect("a kind for each letter").1));
    }
    kernels.extend(words(epilogue));
    Family {
        name,
        kernels,
        layers: pattern.len(),
        types: pattern.to_owned(),
    }
}

/// Replaces the kernels of the first layer, as the first fused norm does.
fn first_differs(mut family: Family, pairs: &[(&str, &str)]) -> Family {
    for (usual, first) in pairs {
        if let Some(kernel) = family.kernels.iter_mut().find(|kernel| kernel == usual) {
            *kernel = (*first).to_owned();
        }
    }
    family
}

const SGL_META: &str = "multi_tensor_apply _fused_metadata prepare_varlen fill#9";
const SGL_META_EAGER: &str = "multi_tensor_apply copy#1 copy#2 copy#1 copy#2 copy#1 scan_init scan fill#3 gather copy#1 copy#3 fill#9";
const VLLM_META: &str = "apply_write apply_write apply_write apply_write arange fill#8 prepare_pos combine_sampled gather_blocks slot_mapping prepare_varlen fill#9";
const SGL_HEAD: &str = "nvjet_lm_head unrolled_copy index#7 index#8 argmax";
const VLLM_HEAD: &str = "index#7 nvjet_lm_head index#8 unrolled_copy gumbel_sample reduce_f scatter fill#8 num_sampled post_update";

const SGL_ATTN: &str = "nvjet_a qknorm_warp rope store_kvcache elementwise_copy FlashAttnFwd FlashAttnFwdCombine nvjet_splitk splitk_reduce";
const SGL_DENSE: &str =
    "FusedAddRMSNorm nvjet_gate_up act_and_mul nvjet_splitk splitk_reduce FusedAddRMSNorm";
const SGL_MOE: &str = "FusedAddRMSNorm nvjet_router topkGatingSoftmax moe_align_block_size count_and_sort_expert_tokens fused_moe_kernel#1 act_and_mul fused_moe_kernel#2 moe_sum_reduce FusedAddRMSNorm";
const SGL_MLA: &str = "nvjet_qkv_a RMSNorm#1 RMSNorm#2@2 nvjet_q_b bmm_absorb#1 rotary set_mla_kv cat_copy FlashAttnFwdMla MlaCombine bmm_absorb#2 nvjet_splitk splitk_reduce";
const SGL_MLA_PREFILL: &str = "nvjet_qkv_a RMSNorm#1 RMSNorm#2 nvjet_q_b nvjet_kv_b rotary set_mla_kv elementwise_copy#1 elementwise_copy#2 cat_copy BatchPrefillRagged nvjet_o";
const SGL_MLA_MOE: &str = "FusedAddRMSNorm router_gemm moe_fused_gate nvjet_shared_up@2 act_and_mul#2@2 nvjet_shared_down@2 moe_align_block_size count_and_sort_expert_tokens fused_moe_kernel#1 act_and_mul fused_moe_kernel#2 moe_sum_reduce vectorized_add FusedAddRMSNorm";

const VLLM_ATTN: &str = "nvjet_a triton_red_fused_3 triton_poi_fused_4 reshape_and_cache_flash FlashAttnFwd FlashAttnFwdCombine nvjet_splitk splitk_reduce";
const VLLM_DENSE: &str = "triton_fused_add_rms_norm_0 nvjet_gate_up triton_poi_fused_mul_silu_1 nvjet_splitk splitk_reduce triton_fused_add_rms_norm_2";
const VLLM_MOE: &str = "triton_fused_add_rms_norm_0 nvjet_router topkGatingSoftmax moe_align_block_size count_and_sort_expert_tokens fused_moe_kernel#1 act_and_mul fused_moe_kernel#2 moe_sum triton_fused_add_rms_norm_2";
const VLLM_MLA: &str = "nvjet_qkv_a triton_red_fused_3 nvjet_q_b triton_red_fused_4 bmm_absorb#1 concat_and_cache_mla triton_cat fill#5 flash_fwd_mla mla_combine bmm_absorb#2 nvjet_o";
const VLLM_MLA_MOE: &str = "triton_fused_add_rms_norm_5 router_gemm grouped_topk_fused moe_align_block_size count_and_sort_expert_tokens fused_moe_kernel#1 act_and_mul fused_moe_kernel#2 moe_sum nvjet_shared_up triton_poi_fused_mul_silu_6 nvjet_shared_down triton_fused_add_rms_norm_7";

const EAGER_ATTN: &str = "rms_norm_a nvjet_a rms_norm#1 rms_norm#2 rotary_embedding reshape_and_cache_flash FlashAttnFwd fill#6 nvjet_b";
const EAGER_DENSE: &str = "rms_norm_a nvjet_gate_up act_and_mul nvjet_b";

const LINEAR: &str = "nvjet_qkvz nvjet_ba causal_conv1d_update fused_gdn_gating gated_delta_rule rms_norm_gated nvjet_out";

fn plus(parts: &[&str]) -> String {
    parts.join(" ")
}

/// Every family, at the sizes of small and large models.
pub(crate) fn families() -> Vec<Family> {
    let mut all = Vec::new();
    all.extend(dense());
    all.extend(moe());
    all.extend(mla());
    all.extend(mixed_attention());
    all.extend(odd());
    all
}

fn dense() -> Vec<Family> {
    let sgl = [('d', plus(&[SGL_ATTN, SGL_DENSE]))];
    let vllm = [('d', plus(&[VLLM_ATTN, VLLM_DENSE]))];
    let eager = [('d', plus(&[EAGER_ATTN, EAGER_DENSE]))];
    let twelve = "d".repeat(12);
    let many = "d".repeat(36);
    let graph = |layers: &str| {
        family(
            "sglang dense graph",
            &plus(&[SGL_META, "index_select RMSNorm"]),
            layers,
            &sgl,
            SGL_HEAD,
        )
    };
    let compiled = |layers: &str| {
        first_differs(
            family(
                "vllm dense compiled",
                &plus(&[VLLM_META, "triton_embedding_rms_norm_0"]),
                layers,
                &vllm,
                VLLM_HEAD,
            ),
            &[
                ("triton_red_fused_3", "triton_red_fused_1"),
                ("triton_poi_fused_4", "triton_poi_fused_2"),
            ],
        )
    };
    vec![
        graph(&many),
        graph("dddd"),
        compiled(&many),
        compiled(&twelve),
        family(
            "vllm dense eager",
            &plus(&[VLLM_META, "gather"]),
            &many,
            &eager,
            &plus(&["rms_norm_a", VLLM_HEAD]),
        ),
        family(
            "sglang dense eager",
            &plus(&[SGL_META_EAGER, "gather RMSNorm"]),
            &twelve,
            &sgl,
            SGL_HEAD,
        ),
        family(
            "one token a name",
            "embed norm",
            &"d".repeat(60),
            &[('d', "qkv rope attn o add_norm up silu down add_norm".into())],
            "head sample",
        ),
    ]
}

fn moe() -> Vec<Family> {
    let sgl = [('m', plus(&[SGL_ATTN, SGL_MOE]))];
    let vllm = [('m', plus(&[VLLM_ATTN, VLLM_MOE]))];
    let sixteen = "m".repeat(16);
    vec![
        family(
            "sglang moe graph",
            &plus(&[SGL_META, "index_select RMSNorm"]),
            &sixteen,
            &sgl,
            SGL_HEAD,
        ),
        family(
            "sglang moe eager",
            &plus(&[SGL_META_EAGER, "gather RMSNorm"]),
            &sixteen,
            &sgl,
            SGL_HEAD,
        ),
        first_differs(
            family(
                "vllm moe compiled",
                &plus(&[VLLM_META, "triton_embedding_rms_norm_0"]),
                &sixteen,
                &vllm,
                VLLM_HEAD,
            ),
            &[
                ("triton_red_fused_3", "triton_red_fused_1"),
                ("triton_poi_fused_4", "triton_poi_fused_2"),
            ],
        ),
    ]
}

fn mla() -> Vec<Family> {
    let decode = [
        ('d', plus(&[SGL_MLA, SGL_DENSE])),
        ('m', plus(&[SGL_MLA, SGL_MLA_MOE])),
    ];
    let prefill = [
        ('d', plus(&[SGL_MLA_PREFILL, SGL_DENSE])),
        ('m', plus(&[SGL_MLA_PREFILL, SGL_MLA_MOE])),
    ];
    let vllm = [
        ('d', plus(&[VLLM_MLA, VLLM_DENSE])),
        ('m', plus(&[VLLM_MLA, VLLM_MLA_MOE])),
    ];
    let mini = "ddmmmmmm";
    let large = "ddd".to_owned() + &"m".repeat(58);
    let one = "d".to_owned() + &"m".repeat(26);
    let start = plus(&[SGL_META, "index_select RMSNorm"]);
    let vllm_start = plus(&[VLLM_META, "triton_embedding_rms_norm_0"]);
    vec![
        family("sglang mla decode", &start, mini, &decode, SGL_HEAD),
        family(
            "sglang mla decode, large",
            &start,
            &large,
            &decode,
            SGL_HEAD,
        ),
        family(
            "sglang mla decode, one dense",
            &start,
            &one,
            &decode,
            SGL_HEAD,
        ),
        family(
            "sglang mla prefill",
            &plus(&[SGL_META_EAGER, "gather RMSNorm"]),
            mini,
            &prefill,
            SGL_HEAD,
        ),
        first_differs(
            family("vllm mla compiled", &vllm_start, mini, &vllm, VLLM_HEAD),
            &[("triton_red_fused_3", "triton_red_fused_1")],
        ),
        family(
            "vllm mla compiled, one dense",
            &vllm_start,
            &one,
            &vllm,
            VLLM_HEAD,
        ),
    ]
}

fn mixed_attention() -> Vec<Family> {
    let local = SGL_ATTN.replace("FlashAttnFwd ", "FlashAttnFwdLocal ");
    let sliding = [
        ('s', plus(&[&local, SGL_DENSE])),
        ('f', plus(&[SGL_ATTN, SGL_DENSE])),
    ];
    let sliding_moe = [
        ('s', plus(&[&local, SGL_MOE])),
        ('f', plus(&[SGL_ATTN, SGL_MOE])),
    ];
    let linear = [
        ('l', plus(&[LINEAR, SGL_MOE])),
        ('f', plus(&[SGL_ATTN, SGL_MOE])),
    ];
    let linear_dense = [
        ('l', plus(&[LINEAR, SGL_DENSE])),
        ('f', plus(&[SGL_ATTN, SGL_DENSE])),
    ];
    let alternate_moe = [
        ('d', plus(&[SGL_ATTN, SGL_DENSE])),
        ('m', plus(&[SGL_ATTN, SGL_MOE])),
    ];
    let no_rope = [
        ('r', plus(&[SGL_ATTN, SGL_DENSE])),
        ('n', plus(&[&SGL_ATTN.replace("rope ", ""), SGL_DENSE])),
    ];
    let start = plus(&[SGL_META, "index_select RMSNorm"]);
    vec![
        family(
            "sliding and full",
            &start,
            &"sf".repeat(12),
            &sliding,
            SGL_HEAD,
        ),
        family(
            "sliding and full, moe",
            &start,
            &"sf".repeat(12),
            &sliding_moe,
            SGL_HEAD,
        ),
        family(
            "five sliding and one full",
            &start,
            &"sssssf".repeat(8),
            &sliding,
            SGL_HEAD,
        ),
        family(
            "three linear and one full, moe",
            &start,
            &"lllf".repeat(12),
            &linear,
            SGL_HEAD,
        ),
        family(
            "three linear and one full, dense",
            &start,
            &"lllf".repeat(8),
            &linear_dense,
            SGL_HEAD,
        ),
        family(
            "seven linear and one full",
            &start,
            &"lllllllf".repeat(4),
            &linear,
            SGL_HEAD,
        ),
        family(
            "dense and moe in turn",
            &start,
            &"dm".repeat(12),
            &alternate_moe,
            SGL_HEAD,
        ),
        family(
            "three with rope and one without",
            &start,
            &"rrrn".repeat(12),
            &no_rope,
            SGL_HEAD,
        ),
    ]
}

fn odd() -> Vec<Family> {
    let halves = "mhc_pre nvjet_qkv rope FlashAttnFwd nvjet_o mhc_post mhc_pre router_gemm topkGating fused_moe_kernel#1 act_and_mul fused_moe_kernel#2 mhc_post";
    let parallel = SGL_ATTN.replace("splitk_reduce", "splitk_reduce cross_device_reduce_1stage");
    let reduced = SGL_DENSE.replace("splitk_reduce", "splitk_reduce cross_device_reduce_1stage");
    let tensor = [('d', plus(&[&parallel, &reduced]))];
    let draft = "embed#5 nvjet_fc RMSNorm#5 nvjet_a#5 qknorm_warp#5 rope#5 store_kvcache#5 FlashAttnFwd#5 nvjet_o#5 FusedAddRMSNorm#5 nvjet_gate_up#5 act_and_mul#5 nvjet_down#5 FusedAddRMSNorm#5 nvjet_lm_head#5 softmax#5 topk#5";
    let verify = [('d', plus(&[SGL_ATTN, SGL_DENSE]))];
    vec![
        family(
            "two half-blocks a layer",
            "embed expand",
            &"m".repeat(43),
            &[('m', halves.into())],
            "mhc_head rms_norm nvjet_lm_head argmax",
        ),
        family(
            "tensor parallel",
            &plus(&[SGL_META, "index_select cross_device_reduce_1stage RMSNorm"]),
            &"d".repeat(32),
            &tensor,
            &plus(&["nvjet_lm_head all_gather", "index#7 argmax"]),
        ),
        family(
            "speculative decode",
            &plus(&[
                draft,
                draft,
                draft,
                "build_tree",
                SGL_META,
                "index_select RMSNorm",
            ]),
            &"d".repeat(28),
            &verify,
            &plus(&["nvjet_lm_head verify_tree argmax", draft]),
        ),
    ]
}

/// Inserts kernels at random places: half of them unknown elsewhere, half
/// repeats of kernels of the pass. `share` is of the pass's kernels.
pub(crate) fn with_noise(family: &Family, share: f64, seed: u64) -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut kernels = family.kernels.clone();
    let count = (kernels.len() as f64 * share) as usize;
    for _ in 0..count {
        let pick = |random: &mut ChaCha8Rng, below: usize| random.next_u32() as usize % below;
        let at = pick(&mut random, kernels.len() + 1);
        let noise = match random.next_u32() % 4 {
            0 => "memcpy32_post".to_owned(),
            1 => format!("stray_{}", pick(&mut random, 5)),
            _ => family.kernels[pick(&mut random, family.kernels.len())].clone(),
        };
        kernels.insert(at, noise);
    }
    kernels
}

/// Whether a kernel mixes tokens, by its name here.
pub(crate) fn mixes(kernel: &str) -> bool {
    [
        "FlashAttn",
        "flash_fwd",
        "BatchPrefill",
        "gated_delta",
        "causal_conv",
        "Combine",
        "attn",
    ]
    .iter()
    .any(|word| kernel.contains(word))
}

/// How the passes of a written trace are marked and launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `step[DECODE bs=4]`, every kernel launched by itself.
    SglangEager,
    /// `step[DECODE bs=4]`, kernels between prologue and sampling in one graph.
    SglangGraph,
    /// `execute_context_0(0)_generation_4(4)`, attention between graph pieces.
    VllmPiecewise,
    /// No annotation, eager: only sampling kernels tell where a pass ends.
    Bare,
    /// No annotation, one graph a pass.
    BareGraph,
}

/// Writes passes as a Kineto trace. A kernel lasts 2 to 40 us by its name, so
/// that equal kernels last equally long.
pub(crate) fn trace_json(passes: &[Vec<String>], style: Style) -> String {
    let mut events =
        vec![r#"{"ph":"i","s":"t","name":"begin","pid":"Traces","tid":0,"ts":1000}"#.to_owned()];
    let mut clock = 2_000;
    let mut correlation = 0;
    for kernels in passes {
        let begin = clock;
        let mut graph = None;
        for (at, kernel) in kernels.iter().enumerate() {
            let inside = at >= 2 && at + 2 < kernels.len();
            let joins = match style {
                Style::SglangEager | Style::Bare => false,
                Style::SglangGraph | Style::BareGraph => inside,
                Style::VllmPiecewise => inside && !mixes(kernel),
            };
            if !joins {
                graph = None;
            }
            let launch = match graph.filter(|_| joins) {
                Some(launch) => launch,
                None => {
                    correlation += 1;
                    let call = if joins {
                        "cudaGraphLaunch"
                    } else {
                        "cudaLaunchKernel"
                    };
                    events.push(format!(
                        r#"{{"ph":"X","cat":"cuda_runtime","name":"{call}","pid":9,"tid":9,"ts":{clock},"dur":1,"args":{{"correlation":{correlation}}}}}"#
                    ));
                    graph = joins.then_some(correlation);
                    correlation
                }
            };
            clock += 2;
            clock += write_kernel(&mut events, kernel, clock, launch);
        }
        let name = match style {
            Style::SglangEager | Style::SglangGraph => Some("step[DECODE bs=4]"),
            Style::VllmPiecewise => Some("execute_context_0(0)_generation_4(4)"),
            Style::Bare | Style::BareGraph => None,
        };
        events.extend(name.map(|name| {
            format!(
                r#"{{"ph":"X","cat":"user_annotation","name":"{name}","pid":9,"tid":9,"ts":{begin},"dur":{},"args":{{"External id":{correlation}}}}}"#,
                clock - begin
            )
        }));
        clock += 300;
    }
    format!("{{\"traceEvents\": [\n{}\n]}}", events.join(",\n"))
}

/// Writes one kernel and gives back how long it lasts.
fn write_kernel(events: &mut Vec<String>, kernel: &str, at: usize, launch: usize) -> usize {
    let (name, stream) = match kernel.split_once('@') {
        Some((name, _)) => (name, 23),
        None => (kernel, 7),
    };
    let (name, grid) = name.split_once('#').unwrap_or((name, "0"));
    let lasts = 2 + name.bytes().map(usize::from).sum::<usize>() % 39;
    events.push(format!(
        r#"{{"ph":"X","cat":"kernel","name":"{name}","pid":0,"tid":{stream},"ts":{at},"dur":{lasts},"args":{{"device":0,"stream":{stream},"correlation":{launch},"grid":[{},1,1],"block":[128,1,1]}}}}"#,
        grid.parse::<u32>().unwrap_or(0) + 4
    ));
    lasts
}
