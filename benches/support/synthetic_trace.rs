//! Writes a trace of any size with the shape of real ones: a dense model under
//! two-way tensor parallelism, one in eight steps an eager prefill with Python
//! stacks, the others decode steps that replay one CUDA graph. Two million events
//! are 640 MB, a fifth of them kernels.

use std::io::{self, Write};

const LAYERS: u32 = 28;
/// Frames of the scheduler's own Python work around each step.
const SCHEDULER_FRAMES: u32 = 280;
const BASE_US: f64 = 4_643_977_800_000.0;

/// What a layer launches, with its usual length in microseconds; the names are
/// as long as real ones.
const LAYER_KERNELS: [(&str, f64); 16] = [
    (
        "void flashinfer::norm::FusedAddRMSNormKernel<8u, __nv_bfloat16>(__nv_bfloat16*, __nv_bfloat16*, __nv_bfloat16*, unsigned int, unsigned int, unsigned int, float, float)",
        2.6,
    ),
    ("nvjet_sm90_tst_64x8_64x16_4x1_v_bz_TNT", 11.0),
    (
        "void (anonymous namespace)::fused_qknorm_warp<128l, true, __nv_bfloat16>((anonymous namespace)::QKNormParams)",
        1.5,
    ),
    (
        "void (anonymous namespace)::fused_rope_kernel<true, 128l, true, __nv_bfloat16, long, 16u>((anonymous namespace)::FusedRopeParams)",
        1.7,
    ),
    (
        "void (anonymous namespace)::store_kvcache<2048l, 4, true, long>((anonymous namespace)::StoreKVCacheParams)",
        1.5,
    ),
    (
        "void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda()#12}::operator()() const::{lambda(c10::BFloat16)#1}>(at::TensorIteratorBase&, at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda()#12}::operator()() const::{lambda(c10::BFloat16)#1} const&)::{lambda(int)#1}>(int, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda()#12}::operator()() const::{lambda(c10::BFloat16)#1}>(at::TensorIteratorBase&, at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda()#12}::operator()() const::{lambda(c10::BFloat16)#1} const&)::{lambda(int)#1})",
        1.6,
    ),
    (
        "void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<flash::CollectiveMainloopFwdSm90<2, cute::tuple<cute::C<1>, cute::C<1>, cute::C<1> >, cute::tuple<cute::C<64>, cute::C<128>, cute::C<128> >, 128, cutlass::bfloat16_t, float, cutlass::arch::Sm90, true, false, false, true, true, false, false, false, true, true, true, false, false, cutlass::bfloat16_t, false, 1>, flash::CollectiveEpilogueFwd<cute::tuple<cute::C<64>, cute::C<128>, cute::C<128> >, cute::tuple<cute::C<1>, cute::C<1>, cute::C<1> >, cutlass::bfloat16_t, cutlass::arch::Sm90, 128, true, true, false, false>, flash::VarlenDynamicPersistentTileScheduler<64, 128, 128, 128, false, true, true, true, true, true> > > >(flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<flash::CollectiveMainloopFwdSm90<2, cute::tuple<cute::C<1>, cute::C<1>, cute::C<1> >, cute::tuple<cute::C<64>, cute::C<128>, cute::C<128> >, 128, cutlass::bfloat16_t, float, cutlass::arch::Sm90, true, false, false, true, true, false, false, false, true, true, true, false, false, cutlass::bfloat16_t, false, 1>, flash::CollectiveEpilogueFwd<cute::tuple<cute::C<64>, cute::C<128>, cute::C<128> >, cute::tuple<cute::C<1>, cute::C<1>, cute::C<1> >, cutlass::bfloat16_t, cutlass::arch::Sm90, 128, true, true, false, false>, flash::VarlenDynamicPersistentTileScheduler<64, 128, 128, 128, false, true, true, true, true, true> > >::Params)",
        7.0,
    ),
    (
        "void cutlass::device_kernel<flash::FlashAttnFwdCombine<cute::tuple<cute::C<8>, cute::C<128> >, 5, 256, 1, false, true, cutlass::bfloat16_t, float, cutlass::arch::Sm90> >(flash::CombineParams)",
        1.1,
    ),
    ("nvjet_sm90_tst_64x8_64x16_2x1_v_bz_splitK_TNT", 8.0),
    (
        "void cublasLt::splitKreduce_kernel<32, 16, int, float, __nv_bfloat16, float, __nv_bfloat16, false, float, __nv_bfloat16, __nv_bfloat16, true, false, false, false>(cublasLt::cublasSplitKParams<float>, float const*, __nv_bfloat16 const*, float*, __nv_bfloat16*, float const*, float const*, __nv_bfloat16 const*, float const*, __nv_bfloat16*, void*, long, float*, int*, float*, float*, float const*, float const*, float const*, float const*, float const*)",
        1.8,
    ),
    (
        "void sglang::cross_device_reduce_1stage<__nv_bfloat16, 2>(RankData*, RankSignals, Signal*, __nv_bfloat16*, int, int)",
        5.0,
    ),
    (
        "void flashinfer::norm::FusedAddRMSNormKernel<8u, __nv_bfloat16>(__nv_bfloat16*, __nv_bfloat16*, __nv_bfloat16*, unsigned int, unsigned int, unsigned int, float, float)",
        2.6,
    ),
    ("nvjet_sm90_tst_192x8_64x8_2x1_v_bz_TNT", 36.0),
    (
        "void (anonymous namespace)::act_and_mul_kernel<__nv_bfloat16, ((anonymous namespace)::ActivationKind)0, true, false>((anonymous namespace)::ActivationParams)",
        1.6,
    ),
    ("nvjet_sm90_tst_64x8_64x12_2x1_v_bz_TNT", 19.0),
    (
        "void sglang::cross_device_reduce_1stage<__nv_bfloat16, 2>(RankData*, RankSignals, Signal*, __nv_bfloat16*, int, int)",
        5.0,
    ),
];

/// Frames around an eager launch, outermost first.
const STACK: [&str; 14] = [
    "sglang/srt/managers/scheduler.py(3190): run_batch",
    "sglang/srt/managers/tp_worker.py(489): forward_batch_generation",
    "sglang/srt/model_executor/model_runner.py(3001): forward",
    "sglang/srt/models/qwen3.py(512): forward",
    "nn.Module: Qwen3Model_0",
    "torch/nn/modules/module.py(1783): _call_impl",
    "sglang/srt/models/qwen2.py(351): forward",
    "nn.Module: Qwen3DecoderLayer_0",
    "torch/nn/modules/module.py(1783): _call_impl",
    "sglang/srt/models/qwen3.py(389): forward",
    "nn.Module: RowParallelLinear_0",
    "torch/nn/modules/module.py(1783): _call_impl",
    "sglang/srt/layers/linear.py(1519): forward",
    "<built-in function linear>",
];

/// Writes about `events` events; gives back how many it wrote.
pub fn write(out: &mut impl Write, events: u64) -> io::Result<u64> {
    let mut writer = Writer {
        out,
        written: 0,
        clock_us: BASE_US,
        gpu_us: BASE_US,
        correlation: 1000,
        frame: 0,
    };
    writer.head()?;
    let mut step = 0u32;
    while writer.written < events {
        if step.is_multiple_of(8) {
            writer.eager_prefill()?;
        } else {
            writer.decode_replay()?;
        }
        step += 1;
    }
    writer.tail()?;
    Ok(writer.written)
}

struct Writer<'w, W: Write> {
    out: &'w mut W,
    written: u64,
    clock_us: f64,
    gpu_us: f64,
    correlation: u32,
    frame: u64,
}

impl<W: Write> Writer<'_, W> {
    fn head(&mut self) -> io::Result<()> {
        write!(
            self.out,
            "{{\n  \"schemaVersion\": 1,\n  \"deviceProperties\": [\n    {{\"id\": 0, \"name\": \"NVIDIA H100 80GB HBM3\", \"computeMajor\": 9, \"computeMinor\": 0, \"numSms\": 132}}\n  ],\n  \"with_stack\": 1,\n  \"distributedInfo\": {{\"backend\": \"nccl\", \"rank\": 0, \"world_size\": 2}},\n  \"displayTimeUnit\": \"ms\",\n  \"baseTimeNanoseconds\": 1790857026000000000,\n  \"traceEvents\": [\n"
        )
    }

    fn tail(&mut self) -> io::Result<()> {
        write!(
            self.out,
            "  {{\n    \"name\": \"Record Window End\", \"ph\": \"i\", \"s\": \"g\",\n    \"pid\": \"\", \"tid\": \"\", \"ts\": {:.3}\n  }}\n  ],\n  \"traceName\": \"trace.json\"\n}}\n",
            self.clock_us
        )
    }

    fn eager_prefill(&mut self) -> io::Result<()> {
        let begun = self.clock_us;
        self.scheduler_frames()?;
        for _ in 0..LAYERS {
            for (name, us) in LAYER_KERNELS {
                let launched = self.clock_us;
                self.stack(launched, 9.0)?;
                self.span("cpu_op", "aten::mm", launched + 1.0, 6.0)?;
                self.correlation += 1;
                self.call("cudaLaunchKernelExC", launched + 2.0, 4.0)?;
                self.kernel(name, us * 3.0, true)?;
                self.clock_us += 10.0;
            }
        }
        self.span(
            "user_annotation",
            "step[EXTEND bs=1 toks=4000]",
            begun,
            self.clock_us - begun,
        )
    }

    fn decode_replay(&mut self) -> io::Result<()> {
        let begun = self.clock_us;
        self.scheduler_frames()?;
        self.correlation += 1;
        self.call("cudaGraphLaunch", self.clock_us, 900.0)?;
        self.gpu_us = self.gpu_us.max(self.clock_us + 890.0);
        for _ in 0..LAYERS {
            for (name, us) in LAYER_KERNELS {
                self.kernel(name, us, false)?;
            }
        }
        self.clock_us += 2_400.0;
        self.span(
            "user_annotation",
            "step[DECODE bs=4]",
            begun,
            self.clock_us - begun,
        )?;
        self.clock_us = self.clock_us.max(self.gpu_us - 1_500.0);
        Ok(())
    }

    fn scheduler_frames(&mut self) -> io::Result<()> {
        for nth in 0..SCHEDULER_FRAMES / 7 {
            self.stack_of(&STACK[..7], self.clock_us, 1.2)?;
            self.clock_us += if nth % 2 == 0 { 1.3 } else { 1.4 };
        }
        Ok(())
    }

    fn stack(&mut self, at: f64, length: f64) -> io::Result<()> {
        self.stack_of(&STACK, at, length)
    }

    fn stack_of(&mut self, frames: &[&str], at: f64, length: f64) -> io::Result<()> {
        for (depth, name) in frames.iter().enumerate() {
            let inset = depth as f64 * 0.04;
            self.frame += 1;
            self.begin()?;
            write!(
                self.out,
                "    \"ph\": \"X\", \"cat\": \"python_function\", \"name\": \"{name}\", \"pid\": 3196, \"tid\": 3196,\n    \"ts\": {:.3}, \"dur\": {:.3},\n    \"args\": {{\n      \"Python parent id\": {}, \"Python id\": {}, \"Ev Idx\": {}\n    }}\n  }},\n",
                at + inset,
                length - 2.0 * inset,
                self.frame - 1,
                self.frame,
                self.frame + 8865,
            )?;
        }
        Ok(())
    }

    fn span(&mut self, cat: &str, name: &str, at: f64, length: f64) -> io::Result<()> {
        self.begin()?;
        write!(
            self.out,
            "    \"ph\": \"X\", \"cat\": \"{cat}\", \"name\": \"{name}\", \"pid\": 3196, \"tid\": 3196,\n    \"ts\": {at:.3}, \"dur\": {length:.3},\n    \"args\": {{\n      \"External id\": {},\"Record function id\": 0, \"Ev Idx\": {}\n    }}\n  }},\n",
            self.correlation, self.written
        )
    }

    fn call(&mut self, name: &str, at: f64, length: f64) -> io::Result<()> {
        let correlation = self.correlation;
        self.begin()?;
        write!(
            self.out,
            "    \"ph\": \"X\", \"cat\": \"cuda_runtime\", \"name\": \"{name}\", \"pid\": 3196, \"tid\": 3196,\n    \"ts\": {at:.3}, \"dur\": {length:.3},\n    \"args\": {{\n      \"cbid\": 311, \"correlation\": {correlation}\n    }}\n  }},\n"
        )?;
        self.flow('s', "3196", at)
    }

    fn kernel(&mut self, name: &str, us: f64, eager: bool) -> io::Result<()> {
        let correlation = self.correlation;
        let at = self
            .gpu_us
            .max(if eager { self.clock_us + 4.0 } else { 0.0 });
        self.gpu_us = at + us + 0.45;
        self.begin()?;
        write!(
            self.out,
            "    \"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"{name}\", \"pid\": 0, \"tid\": 13,\n    \"ts\": {at:.3}, \"dur\": {us:.3},\n    \"args\": {{\n            "
        )?;
        if eager {
            write!(self.out, "\"External id\": {correlation}, ")?;
        }
        write!(
            self.out,
            "\"queued\": 0, \"device\": 0, \"context\": 1,      \"stream\": 13, \"correlation\": {correlation},      \"registers per thread\": 27,      \"shared memory\": 0,      \"blocks per SM\": 0.181818,      \"warps per SM\": 1.454545,      \"grid\": [24, 1, 1],      \"block\": [256, 1, 1],      \"est. achieved occupancy %\": 2\n    }}\n  }},\n"
        )?;
        self.flow('f', "0", at)
    }

    fn flow(&mut self, phase: char, pid: &str, at: f64) -> io::Result<()> {
        let correlation = self.correlation;
        self.begin()?;
        write!(
            self.out,
            "    \"ph\": \"{phase}\", \"id\": {correlation}, \"pid\": {pid}, \"tid\": 13, \"ts\": {at:.3},\n    \"cat\": \"ac2g\", \"name\": \"ac2g\", \"bp\": \"e\"\n  }},\n"
        )
    }

    fn begin(&mut self) -> io::Result<()> {
        self.written += 1;
        writeln!(self.out, "  {{")
    }
}
