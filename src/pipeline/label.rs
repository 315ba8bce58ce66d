//! Names for layer types, and the check against the configuration.

use std::collections::HashMap;

use super::config::ModelConfig;
use super::record::ConfigCheck;
use crate::trace::KernelCategory;

/// What a layer's kernels do, as far as that tells types apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Traits {
    pub attention: bool,
    pub linear: bool,
    pub moe: bool,
    /// A kernel's name speaks of latent attention.
    pub latent: bool,
}

/// Whether a kernel is one of latent attention (MLA), by its name:
/// `flash_fwd_mla_combine_kernel`, `concat_and_cache_mla`, `BatchMLAPaged...`.
pub(super) fn is_latent(kernel: &str) -> bool {
    ["mla", "MLA", "Mla"].iter().any(|word| {
        kernel.match_indices(word).any(|(at, _)| {
            let before = kernel[..at].chars().next_back();
            // Part of a longer word such as `gemmla` it is not.
            before.is_none_or(|c| !c.is_ascii_lowercase()) || !word.starts_with('m')
        })
    })
}

/// A kernel's category and name.
pub(super) type Kernel<'a> = (KernelCategory, &'a str);

/// A layer has a trait when it has at least this part of the kernels that show
/// it in the layer with most of them: noise brings a stray one into others.
const PART: usize = 2;

/// The traits of each layer, by its kernels.
pub(super) fn traits(layers: &[Vec<Kernel<'_>>]) -> Vec<Traits> {
    let has = |shows: &dyn Fn(&Kernel<'_>) -> bool| -> Vec<bool> {
        let counts: Vec<usize> = layers
            .iter()
            .map(|kernels| kernels.iter().filter(|kernel| shows(kernel)).count())
            .collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        counts
            .into_iter()
            .map(|count| count > 0 && PART * count >= most)
            .collect()
    };
    let of = |wanted: KernelCategory| has(&|&(category, _)| category == wanted);
    let (attention, linear) = (
        of(KernelCategory::Attention),
        of(KernelCategory::LinearAttention),
    );
    let (moe, latent) = (of(KernelCategory::Moe), has(&|(_, name)| is_latent(name)));
    (0..layers.len())
        .map(|layer| Traits {
            attention: attention[layer],
            linear: linear[layer],
            moe: moe[layer],
            latent: latent[layer],
        })
        .collect()
}

/// Types of which no layer is a mixture of experts and another is not, or has
/// linear attention and another has not; numbered in order of appearance.
pub(super) fn told_apart(types: &[usize], traits: &[Traits]) -> Vec<usize> {
    let mut known: Vec<(usize, bool, bool)> = Vec::new();
    types
        .iter()
        .zip(traits)
        .map(|(&kind, traits)| {
            let key = (kind, traits.moe, traits.linear);
            known
                .iter()
                .position(|other| *other == key)
                .unwrap_or_else(|| {
                    known.push(key);
                    known.len() - 1
                })
        })
        .collect()
}

impl Traits {
    fn feed_forward(self) -> &'static str {
        if self.moe { "moe" } else { "dense" }
    }

    fn attention(self) -> &'static str {
        match (self.linear, self.attention) {
            (true, _) => "linear_attention",
            (false, true) => "full_attention",
            (false, false) => "no_attention",
        }
    }
}

/// Names the types of the layers by the configuration where it agrees with
/// what was found, and else by what their kernels do.
pub(super) fn names(
    types: &[usize],
    traits: &[Traits],
    config: Option<&ModelConfig>,
) -> (Vec<String>, Option<ConfigCheck>) {
    let Some(config) = config else {
        return (by_kernels(types, traits), None);
    };
    let named = config.names(types.len());
    let disagreements = disagreements(types, traits, config, &named);
    let agrees = disagreements.is_empty();
    let mut notes: Vec<String> = match agrees {
        true => refinement(types, &named).into_iter().collect(),
        false => Vec::new(),
    };
    if agrees && config.latent && !traits.iter().any(|traits| traits.latent) {
        notes.push("kv_lora_rank is set, but no kernel's name shows latent attention".to_owned());
    }
    let check = ConfigCheck {
        path: config.path.clone(),
        model_type: config.model_type.clone(),
        layers: config.layers.len() as u32,
        types: grouped(&config.layers),
        agrees,
        disagreements,
        notes,
    };
    let names = match agrees {
        true => named,
        false => by_kernels(types, traits),
    };
    (names, Some(check))
}

fn disagreements(
    types: &[usize],
    traits: &[Traits],
    config: &ModelConfig,
    named: &[String],
) -> Vec<String> {
    let mut found = Vec::new();
    if types.len() != named.len() {
        let further = match config.mtp {
            0 => String::new(),
            mtp => format!(" and {mtp} for further tokens"),
        };
        found.push(format!(
            "the trace has {} layers a pass, the configuration {}{further}: another model, a part of one \
             (pipeline parallelism), or layers that were not found",
            types.len(),
            config.layers.len()
        ));
        return found;
    }
    if !config.latent && traits.iter().any(|traits| traits.latent) {
        found.push(
            "kernels of latent attention (MLA) run, but the configuration has no kv_lora_rank"
                .to_owned(),
        );
    }
    for (layer, name) in named.iter().enumerate() {
        let expects_moe = name.ends_with("moe");
        let says = expects_moe || name.ends_with("dense");
        if says && expects_moe != traits[layer].moe {
            found.push(format!(
                "layer {layer} is {name} in the configuration, but its kernels are those of a {} layer",
                traits[layer].feed_forward()
            ));
        }
    }
    for (layer, (linear, traits)) in config.linear.iter().zip(traits).enumerate() {
        let said = match (linear, traits.linear, traits.attention) {
            (Some(true), false, true) => {
                "linear attention in the configuration, but none of its kernels"
            }
            (Some(false), true, false) => {
                "no linear attention in the configuration, but its kernels"
            }
            _ => continue,
        };
        found.push(format!("layer {layer} has {said}"));
    }
    if found.is_empty() {
        found.extend(division(types, named));
    }
    if found.len() > 4 {
        let more = found.len() - 3;
        found.truncate(3);
        found.push(format!("and {more} more layers"));
    }
    found
}

/// The first layers of one name that are of several types.
fn division(types: &[usize], names: &[String]) -> Option<String> {
    let mut type_of: HashMap<&str, (usize, usize)> = HashMap::new();
    for (layer, (&kind, name)) in types.iter().zip(names).enumerate() {
        let known = type_of.entry(name).or_insert((layer, kind));
        if known.1 != kind {
            return Some(format!(
                "layers {} and {layer} are both {name} in the configuration, but run different kernels",
                known.0
            ));
        }
    }
    None
}

/// Where the configuration tells apart what runs the same kernels.
fn refinement(types: &[usize], names: &[String]) -> Option<String> {
    let mut name_of: HashMap<usize, &str> = HashMap::new();
    for (&kind, name) in types.iter().zip(names) {
        let known = name_of.entry(kind).or_insert(name);
        if known != name {
            return Some(format!(
                "{known} and {name} layers run the same kernels; only the configuration tells them apart"
            ));
        }
    }
    None
}

/// Names by kernels; types that their kernels' categories do not tell apart
/// get letters.
fn by_kernels(types: &[usize], traits: &[Traits]) -> Vec<String> {
    let count = types.iter().max().map_or(0, |&last| last + 1);
    let representative: Vec<Traits> = (0..count)
        .map(|kind| majority(types, traits, kind))
        .collect();
    let varies = |part: fn(Traits) -> &'static str| {
        representative
            .iter()
            .any(|&traits| part(traits) != part(representative[0]))
    };
    let plain: Vec<String> = representative
        .iter()
        .map(
            |&traits| match (varies(Traits::attention), varies(Traits::feed_forward)) {
                (true, true) => format!("{}+{}", traits.attention(), traits.feed_forward()),
                (true, false) => traits.attention().to_owned(),
                (false, _) => traits.feed_forward().to_owned(),
            },
        )
        .collect();
    let named = |kind: usize| {
        let same: Vec<usize> = (0..count)
            .filter(|&other| plain[other] == plain[kind])
            .collect();
        match same.iter().position(|&other| other == kind) {
            Some(place) if same.len() > 1 => format!("{}_{}", plain[kind], letter(place)),
            _ => plain[kind].clone(),
        }
    };
    types.iter().map(|&kind| named(kind)).collect()
}

fn letter(place: usize) -> String {
    match u8::try_from(place).ok().filter(|&place| place < 26) {
        Some(place) => char::from(b'a' + place).to_string(),
        None => place.to_string(),
    }
}

fn majority(types: &[usize], traits: &[Traits], kind: usize) -> Traits {
    let mut counts: HashMap<Traits, usize> = HashMap::new();
    for (&own, &traits) in types.iter().zip(traits) {
        if own == kind {
            *counts.entry(traits).or_insert(0) += 1;
        }
    }
    let most = counts
        .into_iter()
        .max_by_key(|&(traits, count)| (count, traits.attention, traits.linear, traits.moe));
    most.map(|(traits, _)| traits).unwrap_or_default()
}

/// Names with the ranges of layers that have them, in order of appearance.
pub(super) fn grouped(names: &[String]) -> Vec<String> {
    let mut order: Vec<&String> = Vec::new();
    for name in names {
        if !order.contains(&name) {
            order.push(name);
        }
    }
    order
        .into_iter()
        .map(|name| {
            let members = (0..names.len()).filter(|&layer| names[layer] == *name);
            format!("{name}: {}", ranges(members))
        })
        .collect()
}

/// Ascending numbers as ranges: `0-3, 7`.
pub(super) fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(range) if range.1 + 1 == number => range.1 = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |&(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENSE: Traits = Traits {
        attention: true,
        linear: false,
        moe: false,
        latent: false,
    };
    const MOE: Traits = Traits { moe: true, ..DENSE };

    fn config(layers: &[&str]) -> ModelConfig {
        ModelConfig {
            path: "config.json".into(),
            model_type: "test".into(),
            layers: layers.iter().map(|&layer| layer.to_owned()).collect(),
            linear: vec![None; layers.len()],
            mtp: 0,
            latent: false,
        }
    }

    #[test]
    fn the_configuration_names_what_it_agrees_with() {
        let (names, check) = names(
            &[0, 0, 1],
            &[DENSE, DENSE, MOE],
            Some(&config(&["dense", "dense", "moe"])),
        );
        assert_eq!(names, ["dense", "dense", "moe"]);
        assert_eq!(check.unwrap().types, ["dense: 0-1", "moe: 2"]);
    }

    #[test]
    fn another_models_configuration_names_nothing() {
        let (found, check) = names(
            &[0, 0],
            &[DENSE, DENSE],
            Some(&config(&["moe", "moe", "moe"])),
        );
        assert_eq!(found, ["dense", "dense"]);
        let check = check.unwrap();
        assert!(!check.agrees);
        assert!(check.disagreements[0].contains("2 layers a pass, the configuration 3"));

        let (_, check) = names(&[0, 0], &[DENSE, DENSE], Some(&config(&["moe", "moe"])));
        assert!(check.unwrap().disagreements[0].contains("layer 0 is moe"));

        let (_, check) = names(&[0, 1], &[DENSE, DENSE], Some(&config(&["dense", "dense"])));
        assert!(check.unwrap().disagreements[0].contains("run different kernels"));
    }

    #[test]
    fn the_configuration_may_tell_more_than_the_kernels() {
        let sliding = config(&["sliding_attention", "full_attention"]);
        let (names, check) = names(&[0, 0], &[DENSE, DENSE], Some(&sliding));
        assert_eq!(names, ["sliding_attention", "full_attention"]);
        assert!(check.unwrap().notes[0].contains("run the same kernels"));
    }

    #[test]
    fn latent_attention_is_checked_against_the_configuration() {
        for kernel in [
            "flash_fwd_mla_combine",
            "concat_and_cache_mla",
            "BatchMLAPagedAttention",
            "FlashAttnFwdMla",
        ] {
            assert!(is_latent(kernel), "{kernel}");
        }
        assert!(!is_latent("gemmlast_kernel"));
        let latent = Traits {
            latent: true,
            ..DENSE
        };
        let (_, check) = names(&[0, 0], &[latent; 2], Some(&config(&["dense", "dense"])));
        assert!(check.unwrap().disagreements[0].contains("no kv_lora_rank"));
        let mut mla = config(&["dense", "dense"]);
        mla.latent = true;
        let (_, check) = names(&[0, 0], &[latent; 2], Some(&mla));
        let check = check.unwrap();
        assert!(check.agrees && check.notes.is_empty());
        let (_, check) = names(&[0, 0], &[DENSE; 2], Some(&mla));
        assert!(check.unwrap().notes[0].contains("latent attention"));
    }

    #[test]
    fn kernels_name_types_where_no_configuration_does() {
        assert_eq!(names(&[0, 1], &[DENSE, MOE], None).0, ["dense", "moe"]);
        assert_eq!(
            names(&[0, 1, 0], &[DENSE; 3], None).0,
            ["dense_a", "dense_b", "dense_a"]
        );
    }

    #[test]
    fn ranges_are_short() {
        assert_eq!(ranges([0, 1, 2, 5, 7, 8].into_iter()), "0-2, 5, 7-8");
    }
}
