//! A generated knowledge folder in the published layout: families with
//! overlapping words, cards in English and Chinese, 25 MB.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::random::Random;

/// Family folders, in the spellings that published folders use.
pub const FAMILIES: [&str; 60] = [
    "qwen3-core",
    "qwen3-coder",
    "qwen3-next",
    "qwen35",
    "qwen36",
    "qwen-vlm-omni-asr",
    "qwen25",
    "qwen2",
    "qwen-image",
    "deepseek-v3-r1",
    "deepseek-v31",
    "deepseek-v32",
    "deepseek-v4",
    "deepseek-v2",
    "deepseek-ocr",
    "deepseek-vl2",
    "llama31",
    "llama33-70b",
    "llama4",
    "llama2",
    "llama32-vision",
    "glm45",
    "glm-46-47",
    "glm5-glm51",
    "glm4",
    "glm-vlm-ocr",
    "kimi-k2",
    "kimi-linear",
    "kimi-vl",
    "minimax-m2",
    "minimax-text-01",
    "gpt-oss",
    "gemma3",
    "gemma2",
    "gemma4",
    "gemma3n",
    "mistral-small-4",
    "mistral-small-3",
    "mistral-large-3",
    "mixtral",
    "mistral-7b",
    "phi4",
    "phi3",
    "phi4-multimodal",
    "nemotron-super",
    "nemotron-h",
    "ernie45",
    "hunyuan-a13b",
    "intern-s1",
    "internvl35",
    "step35",
    "mimo-v2-flash",
    "ling25",
    "ring25",
    "exaone4",
    "granite4",
    "olmo3",
    "seed-oss",
    "longcat-flash",
    "falcon-h1",
];

pub struct Known {
    pub framework: &'static str,
    pub pr: u64,
    pub title: String,
    pub chinese: Option<String>,
}

const PREFIXES: [&str; 16] = [
    "",
    "",
    "",
    "",
    "",
    "[Model] ",
    "[Perf] ",
    "[Bugfix] ",
    "[NVIDIA] ",
    "[AMD] ",
    "[Ascend] ",
    "[1/N] ",
    "[2/N] ",
    "feat: ",
    "fix: ",
    "[Kernel] ",
];
const VERBS: [&str; 18] = [
    "Support", "Add", "Enable", "Fix", "Optimize", "Fuse", "Refactor", "Remove", "Overlap", "Move",
    "Improve", "Speed up", "Tune", "Use", "Clean up", "Avoid", "Replace", "Unify",
];
const THINGS: [&str; 72] = [
    "fused qk norm rope",
    "qk_norm_rope kernel",
    "expert parallel load balancing",
    "EPLB",
    "DeepEP dispatch",
    "two batch overlap",
    "shared expert fusion",
    "FusedMoE triton config",
    "grouped topk",
    "router gemm",
    "MLA decode kernel",
    "FlashInfer attention backend",
    "FA3 backend",
    "sliding window attention",
    "chunked prefill",
    "radix cache eviction",
    "HiCache L2 offload",
    "FP8 KV cache write",
    "fused set kv buffer",
    "paged KV layout",
    "piecewise CUDA graph",
    "CUDA graph capture for large batch",
    "speculative decoding",
    "EAGLE3 draft model",
    "MTP layer",
    "NextN weights",
    "logits processor",
    "top_p sampling kernel",
    "penalty application",
    "all-reduce fusion",
    "custom_all_reduce",
    "reduce_scatterv",
    "DP attention padding",
    "dp lm head",
    "symmetric memory all-gather",
    "NVFP4 quantization",
    "MXFP4 weights",
    "w4afp8 expert kernel",
    "AWQ Marlin repack",
    "GPTQ int4 path",
    "blockwise FP8 gemm",
    "DeepGEMM warmup",
    "compressed_tensors scheme",
    "weight loader",
    "tied embedding weights",
    "pipeline parallelism",
    "tensor parallel sharding",
    "RMSNorm with residual",
    "silu_and_mul activation",
    "partial rotary embedding",
    "YaRN scaling",
    "mrope positions",
    "vision tower data parallel",
    "image preprocessing",
    "tool call parser",
    "reasoning parser",
    "LoRA adapters",
    "PD disaggregation transfer",
    "Mooncake transfer engine",
    "overlap scheduler",
    "batch scheduling policy",
    "preemption of long requests",
    "linear attention state cache",
    "mamba prefix cache",
    "gated delta net kernel",
    "sparse attention indexer",
    "hash topk selection",
    "dual stream execution",
    "token padding",
    "expert distribution recorder",
    "weights hot update",
    "attention sink",
];
const CIRCUMSTANCES: [&str; 30] = [
    "",
    "",
    "",
    "",
    "",
    "",
    " on Blackwell",
    " on Hopper",
    " on H20",
    " on MI300X",
    " on SM120",
    " when tp_size > 1",
    " with DP attention",
    " under CUDA graph",
    " for long context",
    " in decode",
    " in prefill",
    " for small batch sizes",
    " with expert parallelism",
    " with torch.compile",
    " on CPU",
    " for speculative decoding",
    " in the NextN path",
    " with pipeline parallelism",
    " for w8a8 checkpoints",
    " and add tests",
    " by default",
    " without host sync",
    " for bf16",
    " in disaggregated serving",
];
const CHINESE: [&str; 24] = [
    "融合 QK 归一化与旋转编码",
    "优化专家并行负载均衡",
    "修复权重加载错误",
    "支持流水线并行",
    "减少解码阶段的显存占用",
    "共享专家融合",
    "重构注意力后端",
    "启用分段 CUDA 图",
    "支持 FP8 量化缓存",
    "修复投机解码精度",
    "加速预填充",
    "合并全规约与残差归一化",
    "支持多模态输入预处理",
    "清理调试日志",
    "调整调度策略",
    "线性注意力状态缓存",
    "稀疏注意力索引内核",
    "避免主机同步",
    "修复张量并行切分",
    "支持低秩适配器",
    "新增工具调用解析",
    "拆分路由与门控",
    "双流执行优化",
    "长上下文分块预填充",
];
const FILES: [&str; 40] = [
    "srt/layers/attention/flashinfer_backend.py",
    "srt/layers/attention/flashattention_backend.py",
    "srt/layers/attention/triton_backend.py",
    "srt/layers/attention/trtllm_mha_backend.py",
    "srt/layers/attention/nsa/nsa_indexer.py",
    "srt/layers/moe/ep_moe/layer.py",
    "srt/layers/moe/fused_moe_triton/layer.py",
    "srt/layers/moe/topk.py",
    "srt/layers/moe/utils.py",
    "srt/layers/moe/token_dispatcher/deepep.py",
    "srt/layers/quantization/fp8.py",
    "srt/layers/quantization/modelopt_quant.py",
    "srt/layers/quantization/w4afp8.py",
    "srt/layers/quantization/awq.py",
    "srt/layers/layernorm.py",
    "srt/layers/rotary_embedding.py",
    "srt/layers/communicator.py",
    "srt/layers/dp_attention.py",
    "srt/layers/linear.py",
    "srt/layers/logits_processor.py",
    "srt/layers/sampler.py",
    "srt/managers/schedule_batch.py",
    "srt/managers/scheduler.py",
    "srt/managers/schedule_policy.py",
    "srt/managers/io_struct.py",
    "srt/mem_cache/radix_cache.py",
    "srt/mem_cache/memory_pool.py",
    "srt/mem_cache/hicache.py",
    "srt/model_executor/model_runner.py",
    "srt/model_executor/cuda_graph_runner.py",
    "srt/model_executor/forward_batch_info.py",
    "srt/model_loader/loader.py",
    "srt/model_loader/weight_utils.py",
    "srt/speculative/eagle_worker.py",
    "srt/server_args.py",
    "srt/distributed/parallel_state.py",
    "srt/disaggregation/prefill.py",
    "srt/lora/lora_manager.py",
    "csrc/attention/merge_state.cu",
    "csrc/moe/moe_fused_gate.cu",
];
const SYMBOLS: [&str; 36] = [
    "forward",
    "__init__",
    "load_weights",
    "forward_normal",
    "forward_deepep",
    "forward_decode",
    "forward_extend",
    "init_forward_metadata",
    "_apply_qk_norm",
    "select_experts",
    "grouped_topk",
    "fused_moe_kernel",
    "apply_fp8_linear",
    "process_weights_after_loading",
    "get_hidden_dim",
    "prepare_attn",
    "prepare_mlp",
    "capture_one_batch_size",
    "replay",
    "dispatch_a",
    "dispatch_b",
    "combine",
    "set_kv_buffer",
    "evict",
    "match_prefix",
    "insert",
    "event_loop_overlap",
    "get_next_batch_to_run",
    "sample",
    "apply_penalties",
    "all_reduce",
    "reduce_scatter",
    "quantize_kv",
    "moe_fused_gate",
    "merge_state",
    "compute_logits",
];

/// Writes the corpus and gives back every pull request in it.
pub fn write(root: &Path, bytes: usize, seed: u64) -> Vec<Known> {
    let mut random = Random(seed);
    let mut known = Vec::new();
    let mut titles = HashSet::new();
    let mut pr = 4000;
    let places: Vec<(&'static str, &str)> = FAMILIES
        .iter()
        .enumerate()
        .flat_map(|(at, family)| {
            let both = at % 2 == 0;
            [Some(("sglang", *family)), both.then_some(("vllm", *family))]
        })
        .flatten()
        .collect();
    let share = bytes / places.len() / 2;
    for (framework, family) in places {
        let mut english = header(framework, family);
        let mut chinese = header(framework, family);
        while english.len() < share || chinese.len() < share {
            pr += 1 + random.below(9) as u64;
            let title = title(&mut random, family, &mut titles);
            let translated = random.chance(12).then(|| {
                let text = random.pick(&CHINESE);
                let place = random.pick(&CIRCUMSTANCES);
                format!("{}：{text}{place} {}", stem(family), random.below(90))
            });
            let mut at = Random(random.next());
            let seed = at.next();
            card(
                &mut english,
                &mut Random(seed),
                framework,
                family,
                pr,
                &title,
                false,
            );
            let shown = translated.as_ref().unwrap_or(&title);
            card(
                &mut chinese,
                &mut Random(seed),
                framework,
                family,
                pr,
                shown,
                true,
            );
            known.push(Known {
                framework,
                pr,
                title,
                chinese: translated,
            });
        }
        let folder = root.join(framework).join(family);
        fs::create_dir_all(&folder).expect("a folder for the corpus");
        fs::write(folder.join("README.en.md"), english).expect("a file of the corpus");
        fs::write(folder.join("README.zh.md"), chinese).expect("a file of the corpus");
    }
    known
}

fn header(framework: &str, family: &str) -> String {
    format!(
        "# {framework} {family} Model PR Optimization History\n\n## Implementation File Coverage\n\n\
         | File | Git-traced PRs |\n| --- | --- |\n| `python/{framework}/srt/models/{}.py` | - |\n\n\
         ## Per-PR Diff Audit Cards\n\n",
        stem(family)
    )
}

fn stem(family: &str) -> String {
    family.replace('-', "_")
}

fn name(random: &mut Random, family: &str) -> String {
    let base = family.split('-').next().unwrap_or(family);
    match random.below(5) {
        0 => family.to_uppercase(),
        1 => format!("{}MoE", base.to_uppercase()),
        2 => base.to_owned(),
        3 => format!("{} models", base),
        _ => stem(family),
    }
}

fn title(random: &mut Random, family: &str, titles: &mut HashSet<String>) -> String {
    loop {
        let verb = random.pick(&VERBS);
        let thing = random.pick(&THINGS);
        let second = match random.below(4) {
            0 => format!(" and {}", random.pick(&THINGS)),
            _ => String::new(),
        };
        let whose = match random.below(5) {
            0 => String::new(),
            1 => format!(" of {}", name(random, family)),
            _ => format!(" for {}", name(random, family)),
        };
        let place = random.pick(&CIRCUMSTANCES);
        let title = format!(
            "{}{verb} {thing}{second}{whose}{place}",
            random.pick(&PREFIXES)
        );
        if titles.insert(title.clone()) {
            return title;
        }
    }
}

fn card(
    out: &mut String,
    random: &mut Random,
    framework: &str,
    family: &str,
    pr: u64,
    title: &str,
    zh: bool,
) {
    let state = random.pick(&["merged", "merged", "merged", "open", "closed"]);
    let date = format!(
        "202{}-{:02}-{:02}",
        4 + random.below(3),
        1 + random.below(12),
        1 + random.below(28)
    );
    let mut files = vec![format!("python/{framework}/srt/models/{}.py", stem(family))];
    for _ in 0..=random.below(3) {
        files.push(format!("python/{framework}/{}", random.pick(&FILES)));
    }
    let (status, motive, how, details, read, risk) = if zh {
        (
            "状态/时间",
            "动机: 标题",
            "实现要点",
            "代码 diff 细节",
            "已读文件",
            "验证与风险",
        )
    } else {
        (
            "Status/date",
            "Motivation: Title",
            "Key implementation",
            "Code diff details",
            "Reviewed files",
            "Risk and verification",
        )
    };
    let mut text = format!(
        "### PR #{pr} - {title}\n\n- Link: https://github.com/x/{framework}/pull/{pr}\n- {status}: {state} / {date}\n\
         - {motive}: \"{title}\"; model line: {family}; main diff: `{}`; {}\n- {how}: ",
        files[0],
        sentence(random, zh),
    );
    for file in &files {
        let _ = write!(
            text,
            "`{file}` modified +{}/-{}; symbols: {}, {}; ",
            random.below(400),
            random.below(90),
            random.pick(&SYMBOLS),
            random.pick(&SYMBOLS)
        );
    }
    let _ = writeln!(text, "\n- {details}:");
    for file in &files {
        let _ = writeln!(
            text,
            "  - `{file}` modified; hunks: -{0},6 +{0},7",
            random.below(900)
        );
    }
    text.push_str("- Key code excerpts:\n\n```diff\n");
    for file in &files {
        let _ = writeln!(text, "diff -- {file}");
        for _ in 0..2 + random.below(3) {
            let _ = writeln!(
                text,
                "@@ -{0},6 +{0},9 @@ def {1}(",
                random.below(900),
                random.pick(&SYMBOLS)
            );
            for _ in 0..2 + random.below(5) {
                let thing = random.pick(&THINGS).replace([' ', '-'], "_").to_lowercase();
                let _ = writeln!(
                    text,
                    "+        self.{thing} = {}(config.{}, v{})",
                    random.pick(&SYMBOLS),
                    random.pick(&SYMBOLS),
                    random.below(3000)
                );
            }
        }
    }
    let _ = writeln!(
        text,
        "```\n\n- {read}:\n  - runtime: `{}`\n- {risk}: {}\n",
        files.join("`, `"),
        sentence(random, zh)
    );
    out.push_str(&text);
}

/// Prose that speaks of other changes too, as real cards do.
fn sentence(random: &mut Random, zh: bool) -> String {
    if zh {
        format!(
            "参考 {} 与 {}，{}；需复跑精度与启动测试。",
            random.pick(&THINGS),
            random.pick(&THINGS),
            random.pick(&CHINESE)
        )
    } else {
        format!(
            "follows the work on {} and {}; regression risk is {}, {} and parser output",
            random.pick(&THINGS),
            random.pick(&THINGS),
            random.pick(&THINGS),
            random.pick(&THINGS)
        )
    }
}
