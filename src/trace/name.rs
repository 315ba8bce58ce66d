//! Kernel names in a form that compares and reads well.

use std::borrow::Cow;

/// Wrappers whose first template argument is the kernel that matters.
const WRAPPERS: [&str; 5] = [
    "cutlass::device_kernel",
    "cutlass::Kernel2",
    "cutlass::Kernel",
    "flash::enable_sm90_or_later",
    "flash::enable_sm80_to_sm89",
];

/// Template arguments of PyTorch's generic kernels that say nothing of the operation.
const PLUMBING: [&str; 6] = [
    "at::native::gpu_kernel_impl",
    "at::native::gpu_kernel_impl_nocast",
    "at::native::gpu_index_kernel",
    "at::native::ReduceOp",
    "at::native::TensorListMetadata",
    "at::native::OpaqueType",
];

/// A kernel name without what varies between runs or repeats its types:
/// white space is collapsed, addresses become `0xADDR`, the return type and
/// the parameter list of a C++ signature are dropped.
pub fn canonical(name: &str) -> String {
    let mut text: Cow<'_, str> = Cow::Borrowed(name.trim());
    if text.split_whitespace().nth(1).is_some() && has_wide_space(&text) {
        text = Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if text.contains("0x") {
        text = Cow::Owned(hide_addresses(&text));
    }
    match parameter_list(&text) {
        Some(start) => without_return_type(&text[..start]).to_owned(),
        None => text.strip_prefix("void ").unwrap_or(&text).to_owned(),
    }
}

/// The function's own name, without template arguments, for a table's column:
/// `flash::FlashAttnFwdSm90` for a cutlass-wrapped flash kernel.
pub fn short(name: &str) -> String {
    let canonical = canonical(name);
    let mut text = canonical.as_str();
    while let Some((wrapper, inside)) = text.split_once('<') {
        if !WRAPPERS.contains(&wrapper) {
            break;
        }
        text = inside;
    }
    let text = text
        .strip_prefix("(anonymous namespace)::")
        .unwrap_or(text)
        .replace("(anonymous namespace)::", "");
    let text = match functor(&text) {
        Some(inner) => inner.to_owned(),
        None => text,
    };
    let end = text.find(['<', '(', ',']).unwrap_or(text.len());
    let kept = text[..end].trim_end_matches('>').trim();
    if kept.is_empty() {
        canonical
    } else {
        kept.to_owned()
    }
}

/// What PyTorch's generic element-wise, reduce and index kernels compute.
fn functor(text: &str) -> Option<&str> {
    let (outer, inside) = text.split_once('<')?;
    let generic = [
        "elementwise_kernel",
        "reduce_kernel",
        "multi_tensor_apply_kernel",
    ]
    .iter()
    .any(|word| outer.ends_with(word));
    if !outer.starts_with("at::native::") || !generic {
        return None;
    }
    inside
        .split(['<', ',', ' ', '('])
        .find(|part| part.starts_with("at::native::") && !PLUMBING.contains(part))
}

fn has_wide_space(text: &str) -> bool {
    text.contains("  ") || text.contains(['\t', '\n', '\r'])
}

fn hide_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("0x") {
        let (before, tail) = rest.split_at(at + 2);
        let digits = tail.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(before);
        if digits >= 4 {
            out.push_str("ADDR");
        } else {
            out.push_str(&tail[..digits]);
        }
        rest = &tail[digits..];
    }
    out.push_str(rest);
    out
}

/// The part of a signature behind its return type: `void f`, or the result of
/// a template such as `std::enable_if<...>::type f`.
fn without_return_type(signature: &str) -> &str {
    if let Some(rest) = signature.strip_prefix("void ") {
        return rest;
    }
    match signature.find(">::type ") {
        Some(at) => &signature[at + ">::type ".len()..],
        None => signature,
    }
}

/// Where the outermost trailing `(...)` begins, if the name ends with one
/// that follows a function's name.
fn parameter_list(text: &str) -> Option<usize> {
    if !text.ends_with(')') {
        return None;
    }
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let function = at.checked_sub(1).map(|before| text.as_bytes()[before]);
                    return function.is_some_and(|byte| byte != b' ').then_some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_lose_their_parameters_but_not_their_templates() {
        assert_eq!(
            canonical(
                "void (anonymous namespace)::store_kvcache<2048l, 4, true, long>((anonymous namespace)::StoreKVCacheParams)"
            ),
            "(anonymous namespace)::store_kvcache<2048l, 4, true, long>"
        );
        assert_eq!(
            canonical("nvjet_sm90_tst_192x8_64x8_2x1_v_bz_TNT"),
            "nvjet_sm90_tst_192x8_64x8_2x1_v_bz_TNT"
        );
        assert_eq!(
            canonical("k  <a,\n b>  at 0x7f12ab34cd"),
            "k <a, b> at 0xADDR"
        );
        assert_eq!(
            canonical("Memcpy DtoH (Device -> Pinned)"),
            "Memcpy DtoH (Device -> Pinned)"
        );
        assert_eq!(canonical("(odd)"), "(odd)");
        assert_eq!(canonical("close)"), "close)");
        assert_eq!(canonical(""), "");
    }

    #[test]
    fn short_names_say_what_runs() {
        for (name, expected) in [
            (
                "void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<flash::CollectiveMainloopFwdSm90<2, cute::tuple<cute::C<1> > > > >(int)",
                "flash::FlashAttnFwdSm90",
            ),
            (
                "void flashinfer::norm::FusedAddRMSNormKernel<8u, __nv_bfloat16>(float)",
                "flashinfer::norm::FusedAddRMSNormKernel",
            ),
            (
                "void (anonymous namespace)::act_and_mul_kernel<__nv_bfloat16, ((anonymous namespace)::ActivationKind)0, true, false>((anonymous namespace)::ActivationParams)",
                "act_and_mul_kernel",
            ),
            (
                "void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}> >(int)",
                "at::native::direct_copy_kernel_cuda",
            ),
            (
                "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::ArgMaxOps<float>, unsigned int, long, 4, 4> >(int)",
                "at::native::ArgMaxOps",
            ),
            (
                "void at::native::index_elementwise_kernel<128, 4, at::native::gpu_index_kernel<at::native::index_put_kernel_impl<at::native::OpaqueType<4> >(at::TensorIterator&)> >(int)",
                "at::native::index_put_kernel_impl",
            ),
            ("triton_red_fused_3", "triton_red_fused_3"),
            (
                "std::enable_if<(((8)>(0)))&&vllm::_typeConvert<c10::BFloat16>::exists, void>::type vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8, true>(c10::BFloat16*)",
                "vllm::fused_add_rms_norm_kernel",
            ),
        ] {
            assert_eq!(short(name), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_a_form(name in ".{0,80}") {
            let _ = canonical(&name);
            let _ = short(&name);
        }
    }
}
