//! What a plan lets foresee before hours of measuring: differences that make
//! its rows incomparable, and GPUs that nobody watches.

use super::candidate::BASELINE;
use super::lineup::Lineup;
use super::plan::{Flags, Plan};
use super::server::engine_of;
use crate::engine::Engine;
use crate::launch::GpuId;

/// Differences between the frameworks' own flags for which a gap would be
/// refused as unfair.
pub fn unfair(plan: &Plan, lineup: &Lineup) -> Vec<String> {
    let told = |of: fn(&Engine, &Flags) -> Option<bool>| -> Vec<(&str, bool)> {
        lineup
            .candidates
            .iter()
            .filter(|candidate| candidate.id == BASELINE)
            .filter_map(|candidate| {
                let framework = plan.frameworks.get(&candidate.framework)?;
                // The flags of a server that runs already are its own affair.
                if framework.url.is_some() {
                    return None;
                }
                let engine = engine_of(&candidate.framework, framework).ok()?;
                Some((&*candidate.framework, of(engine, &candidate.flags)?))
            })
            .collect()
    };
    let cache = told(|engine, flags| engine.compared.prefix_cache(flags));
    let speculative = told(|engine, flags| engine.compared.speculates(flags));
    [
        ("the prefix cache", "cache.prefix_cache_enabled", cache),
        ("speculative decoding", "spec_decode.enabled", speculative),
    ]
    .into_iter()
    .filter_map(|(what, field, told)| differs(what, field, &told))
    .collect()
}

fn differs(what: &str, field: &str, told: &[(&str, bool)]) -> Option<String> {
    let of = |wanted: bool| -> Vec<&str> {
        told.iter()
            .filter(|(_, on)| *on == wanted)
            .map(|(name, _)| *name)
            .collect()
    };
    let (on, off) = (of(true), of(false));
    (!on.is_empty() && !off.is_empty()).then(|| {
        format!(
            "{what} is on in {} and off in {}: a gap between them is refused as unfair ({field}); make it alike in base_server_flags",
            on.join(", "),
            off.join(", ")
        )
    })
}

/// Without NVML nobody sees who else uses a GPU.
pub fn unwatched(gpus: &[GpuId]) -> Option<String> {
    let indices: Vec<String> = gpus
        .iter()
        .filter(|gpu| gpu.uuid.is_none())
        .map(|gpu| gpu.index.to_string())
        .collect();
    (!indices.is_empty()).then(|| {
        format!(
            "no NVML on this host: GPU {} is locked by its index alone, and foreign processes on it are not seen",
            indices.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan;
    use serde_json::json;

    fn of(sglang: serde_json::Value, vllm: serde_json::Value) -> Vec<String> {
        let plan = plan::from_value(&json!({
            "model": {"name": "m"},
            "dataset": {},
            "frameworks": {
                "sglang": {"base_server_flags": sglang},
                "vllm": {"base_server_flags": vllm},
            },
        }))
        .unwrap();
        unfair(&plan, &Lineup::of(&plan))
    }

    #[test]
    fn unlike_prefix_caches_are_foreseen() {
        assert_eq!(
            of(json!({}), json!({"enable_prefix_caching": false})),
            [
                "the prefix cache is on in sglang and off in vllm: a gap between them is refused as unfair (cache.prefix_cache_enabled); make it alike in base_server_flags"
            ]
        );
        let off = json!({"disable_radix_cache": true});
        assert!(of(off, json!({"enable_prefix_caching": false})).is_empty());
        assert!(of(json!({}), json!({})).is_empty());
    }

    #[test]
    fn speculative_decoding_of_one_side_is_foreseen() {
        let told = of(json!({"speculative_algorithm": "EAGLE3"}), json!({}));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("spec_decode.enabled"), "{told:?}");
    }

    #[test]
    fn a_gpu_without_a_uuid_is_not_watched() {
        let gpu = |uuid: Option<&str>| GpuId {
            index: 3,
            uuid: uuid.map(str::to_owned),
            name: None,
        };
        assert_eq!(unwatched(&[gpu(Some("GPU-1"))]), None);
        assert!(unwatched(&[gpu(None)]).unwrap().contains("GPU 3"));
    }
}
