//! `campaign open`: a new campaign, or the one that is open already.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events::CampaignOpened;
use super::infer::{self, ModelFacts};
use super::log::NewEvent;
use super::{Campaign, CampaignError, campaigns, render};
use crate::job;

/// What a campaign is opened with. What is left out is inferred from the
/// model's `config.json` and the GPUs of this host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenRequest {
    /// Hub id or absolute folder of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// For example bf16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// For example none, fp8, awq.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Whether model code from the hub may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_remote_code: Option<bool>,
    /// Longest context in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_context: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<HardwareRequest>,
    /// Where engines run: `host`, or a container's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The framework to be made faster; default sglang.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_framework: Option<String>,
    /// Frameworks to compare with; default vllm, tensorrt-llm and tokenspeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison_frameworks: Option<Vec<String>>,
    /// Frameworks that are left out, each with its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded: Option<std::collections::BTreeMap<String, String>>,
    /// Absolute folder of the target framework's git checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout: Option<PathBuf>,
    /// Limits as in the plan's `sla`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub sla: Option<Value>,
    /// Limits on how far outputs may differ after a patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correctness: Option<Correctness>,
    /// Fairness fields that may differ between the frameworks, as
    /// `fairness[].field` of check_gap names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_differences: Option<Vec<String>>,
    /// Id of the campaign that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
}

/// How far greedy outputs may differ from those of the tree before a patch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correctness {
    /// Least share of the text before the first difference, over all prompts:
    /// 0.5 to 1; default 0.9.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.5, max = 1.0))]
    pub min_matched_share: f64,
}

impl Default for Correctness {
    /// A tenth of the text may differ: changing the order of a sum in bf16
    /// turns some later token of some prompts.
    fn default() -> Self {
        Self {
            min_matched_share: 0.9,
        }
    }
}

fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.5..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(serde::de::Error::custom(format!(
        "min_matched_share is a share from 0.5 to 1, not {share}"
    )))
}

/// The GPUs of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HardwareRequest {
    /// For example NVIDIA H100 80GB HBM3; `none` on a host without a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// Indices as the driver counts them.
    pub gpu_ids: Vec<u32>,
}

/// A campaign that an open call made or found.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    pub campaign: Campaign,
    /// Whether it was there already.
    pub resumed: bool,
    /// What the call said that the campaign was not opened with, and does not take over.
    pub warnings: Vec<String>,
}

/// Opens a campaign in the workspace, or resumes the one of the same model.
pub fn open(workspace: &Path, request: OpenRequest) -> Result<Opened, CampaignError> {
    if let Some(campaign) = same_campaign(workspace, &request)? {
        let warnings = not_taken_over(&campaign, &request)?;
        return Ok(Opened {
            campaign,
            resumed: true,
            warnings,
        });
    }
    if let Some(old) = &request.supersedes {
        // It must be there; it stays as it is.
        super::locate(workspace, Some(old))?;
    }
    let request = complete(request)?;
    let model = request.model.clone().unwrap_or_default();
    let campaign = create(workspace, &model)?;
    for folder in ["help", "benchmark", "jobs", "humanize"] {
        crate::disk::create_dir(&campaign.root.join(folder))?;
    }
    let log = campaign.log();
    log.forget_head()?;
    log.append(NewEvent::of(&CampaignOpened {
        inputs: request,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: hostname(),
    }))?;
    render::all(&campaign, &campaign.state()?)?;
    Ok(Opened {
        campaign,
        resumed: false,
        warnings: Vec::new(),
    })
}

/// The campaign that an open call resumes: the newest of the same model, or of
/// any model when none is named.
fn same_campaign(
    workspace: &Path,
    request: &OpenRequest,
) -> Result<Option<Campaign>, CampaignError> {
    if request.supersedes.is_some() {
        return Ok(None);
    }
    let wanted = request.model.as_deref().map(slug);
    let known = campaigns(workspace);
    let found = match &wanted {
        Some(slug) => known
            .iter()
            .rev()
            .find(|campaign| slug_of(&campaign.id) == Some(slug)),
        None if known.len() == 1 => known.first(),
        None => None,
    };
    Ok(found.cloned())
}

/// What was said at the first opening stays: other terms are refused, further
/// ones have no effect.
fn not_taken_over(campaign: &Campaign, asked: &OpenRequest) -> Result<Vec<String>, CampaignError> {
    let mut warnings = Vec::new();
    let state = campaign.state()?;
    let Some(recorded) = state.inputs().map(|inputs| json!(inputs)) else {
        return Ok(warnings);
    };
    let Value::Object(asked) = json!(asked) else {
        return Ok(warnings);
    };
    for (field, value) in asked {
        if recorded[&field].is_null() {
            warnings.push(format!(
                "`{field}` is not taken over: {} was opened without it; open a campaign that supersedes it",
                campaign.id
            ));
        } else if recorded[&field] != value {
            return Err(CampaignError::Different {
                id: campaign.id.clone(),
                recorded: recorded[&field].to_string(),
                asked: value.to_string(),
                field,
            });
        }
    }
    Ok(warnings)
}

/// Fills in what can be known, and asks for the rest.
fn complete(mut request: OpenRequest) -> Result<OpenRequest, CampaignError> {
    let mut missing = Vec::new();
    let mut ask = |name: &str, question: &str| missing.push((name.to_owned(), question.to_owned()));
    let facts = match &request.model {
        Some(model) => infer::model_facts(model),
        None => {
            ask("model", "Which model (hub id or absolute folder)?");
            ModelFacts::default()
        }
    };
    if facts.has_tokenizer {
        request.tokenizer = request.tokenizer.or_else(|| request.model.clone());
    }
    request.precision = request.precision.or(facts.precision);
    request.quantization = request.quantization.or(facts.quantization);
    request.max_context = request.max_context.or(facts.max_context);
    if request.precision.is_none() && request.model.is_some() {
        ask("precision", "Which precision, for example bf16?");
    }
    let hardware = request.hardware.take().unwrap_or_default();
    request.hardware = Some(
        match (&hardware.gpu_model, infer::gpus(&hardware.gpu_ids)) {
            (None, Some((name, ids))) => HardwareRequest {
                gpu_model: Some(name),
                gpu_ids: ids,
            },
            (None, None) => {
                ask(
                    "hardware",
                    "Which GPUs (gpu_model and gpu_ids; gpu_model `none` for a host without one)?",
                );
                hardware
            }
            (Some(_), _) => hardware,
        },
    );
    if !missing.is_empty() {
        let (missing, questions) = missing.into_iter().unzip();
        return Err(CampaignError::NeedsInput { missing, questions });
    }
    request
        .target_framework
        .get_or_insert_with(|| "sglang".to_owned());
    let target = request.target_framework.clone().unwrap_or_default();
    let excluded = request.excluded.clone().unwrap_or_default();
    request.comparison_frameworks.get_or_insert_with(|| {
        ["sglang", "vllm", "tensorrt-llm", "tokenspeed"]
            .into_iter()
            .filter(|name| *name != target && !excluded.contains_key(*name))
            .map(str::to_owned)
            .collect()
    });
    Ok(request)
}

/// Makes the campaign's folder; a second of the same day and model is numbered.
fn create(workspace: &Path, model: &str) -> Result<Campaign, CampaignError> {
    let day: String = job::now()
        .chars()
        .filter(char::is_ascii_digit)
        .take(8)
        .collect();
    let name = format!("{day}_{}_sota_humanize", slug(model));
    let runs = workspace.join("runs");
    crate::disk::create_dir(&runs)?;
    let mut number = 1;
    loop {
        let root = runs.join(match number {
            1 => name.clone(),
            _ => format!("{name}_{number}"),
        });
        match std::fs::create_dir(&root) {
            Ok(()) => return Ok(Campaign::at(&root)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => {
                return Err(crate::disk::DiskError::Write { path: root, source }.into());
            }
        }
    }
}

/// A model's name as part of a folder's name.
pub(super) fn slug(model: &str) -> String {
    let last = model
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(model);
    let mut slug = String::new();
    for c in last.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() || c == '.' {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches(['-', '.']).to_owned()
}

/// The slug in a campaign's id.
fn slug_of(id: &str) -> Option<&str> {
    let (_, rest) = id.split_once('_')?;
    Some(rest.split_once("_sota_humanize")?.0)
}

fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> OpenRequest {
        OpenRequest {
            model: Some("Qwen/Qwen3-8B".to_owned()),
            precision: Some("bf16".to_owned()),
            hardware: Some(HardwareRequest {
                gpu_model: Some("none".to_owned()),
                gpu_ids: Vec::new(),
            }),
            ..OpenRequest::default()
        }
    }

    #[test]
    fn opening_again_resumes_and_refuses_other_terms() {
        let dir = tempfile::tempdir().unwrap();
        let Opened {
            campaign: first,
            resumed,
            ..
        } = open(dir.path(), request()).unwrap();
        assert!(!resumed);
        assert!(
            first.id.ends_with("_qwen3-8b_sota_humanize"),
            "{}",
            first.id
        );
        let manifest = std::fs::read_to_string(first.root.join("manifest.md")).unwrap();
        assert!(manifest.contains("Qwen/Qwen3-8B"));
        let again = open(dir.path(), request()).unwrap();
        assert_eq!(
            again,
            Opened {
                campaign: first.clone(),
                resumed: true,
                warnings: Vec::new()
            }
        );
        let any = open(dir.path(), OpenRequest::default()).unwrap();
        assert_eq!(any.campaign, first);
        let mut further = request();
        further.declared_differences = Some(vec!["cache".to_owned()]);
        let warnings = open(dir.path(), further).unwrap().warnings;
        assert!(
            warnings.len() == 1 && warnings[0].starts_with("`declared_differences` is not"),
            "{warnings:?}"
        );
        let mut other = request();
        other.precision = Some("fp8".to_owned());
        let error = open(dir.path(), other).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("precision \"bf16\", not \"fp8\""),
            "{error}"
        );
    }

    #[test]
    fn only_what_cannot_be_inferred_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("My Model");
        std::fs::create_dir(&model).unwrap();
        std::fs::write(
            model.join("config.json"),
            r#"{"torch_dtype": "bfloat16", "max_position_embeddings": 40960}"#,
        )
        .unwrap();
        let asked = OpenRequest {
            model: Some(model.display().to_string()),
            hardware: request().hardware,
            ..OpenRequest::default()
        };
        let campaign = open(dir.path(), asked).unwrap().campaign;
        assert!(campaign.id.contains("_my-model_"), "{}", campaign.id);
        let state = campaign.state().unwrap();
        let inputs = state.inputs().unwrap();
        assert_eq!(inputs.precision.as_deref(), Some("bf16"));
        assert_eq!(inputs.max_context, Some(40960));

        let error = complete(OpenRequest::default()).unwrap_err();
        assert!(error.to_string().contains("model"), "{error}");
    }

    #[test]
    fn a_campaign_that_is_superseded_is_no_longer_the_open_one() {
        use crate::campaign::{Found, locate};
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), request()).unwrap().campaign;
        let mut next = request();
        next.supersedes = Some("nobody".to_owned());
        assert!(open(dir.path(), next.clone()).is_err());
        next.supersedes = Some(first.id.clone());
        next.precision = Some("fp8".to_owned());
        let second = open(dir.path(), next).unwrap();
        assert!(!second.resumed);
        assert_ne!(first.id, second.campaign.id);
        assert_eq!(
            locate(dir.path(), None).unwrap(),
            Found::Campaign(second.campaign)
        );
    }

    #[test]
    fn limits_on_outputs_are_checked_when_a_campaign_is_opened() {
        let of = |limits: Value| serde_json::from_value::<Correctness>(limits);
        let given = of(json!({"min_matched_share": 0.95})).unwrap();
        assert_eq!(given.min_matched_share, 0.95);
        for (wrong, says) in [
            (json!({"min_matchd_share": 0.99}), "unknown field"),
            (json!({"min_matched_share": 0.99, "bogus": true}), "bogus"),
            (json!({"min_matched_share": 0}), "from 0.5 to 1, not 0"),
            (json!({"min_matched_share": 1.5}), "from 0.5 to 1"),
            (json!({"min_matched_share": "0.99"}), "invalid type"),
            (json!({}), "missing field"),
        ] {
            let error = of(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("deepseek-ai/DeepSeek-V3.1"), "deepseek-v3.1");
        assert_eq!(slug("/models/qwen3 8b/"), "qwen3-8b");
        assert_eq!(
            slug_of("20261124_qwen3-8b_sota_humanize_2"),
            Some("qwen3-8b")
        );
    }
}
