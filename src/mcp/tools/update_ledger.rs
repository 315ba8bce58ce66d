//! `update_ledger`: what was learned or is about to be done, as the gates allow it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::follow::{check_wait, follow};
use super::scope::campaign_of;
use crate::campaign::{self, CampaignError, LedgerEntry, LedgerKind, LedgerRecord};
use crate::fault::Fault;
use crate::job;
use crate::mcp::{Hints, Tool, ToolContext};
use crate::rlcr;

pub struct UpdateLedger;

#[derive(Debug, Clone, Deserialize)]
pub struct Arguments {
    pub kind: LedgerKind,
    #[serde(default)]
    pub campaign: Option<String>,
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    #[serde(default = "default_wait")]
    pub wait_s: u32,
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

fn default_wait() -> u32 {
    50
}

/// One flat object: the common arguments, and the fields of every kind, each
/// with the kinds that have it.
impl JsonSchema for Arguments {
    fn schema_name() -> Cow<'static, str> {
        "UpdateLedgerArguments".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = json!({
            "kind": generator.subschema_for::<LedgerKind>(),
            "campaign": {
                "type": ["string", "null"],
                "description": "Id or root of a campaign; default: the one open campaign of the workspace.",
            },
            "workspace": {
                "type": ["string", "null"],
                "description": "Absolute project folder; default: the one that the host named.",
            },
            "wait_s": {
                "type": "integer",
                "minimum": 0,
                "maximum": 240,
                "default": 50,
                "description": "attempt, state check: seconds to wait for the job before answering.",
            },
        });
        let mut definitions = Map::new();
        for kind in LedgerKind::ALL {
            let schema = kind.schema().to_value();
            for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
                definitions.insert(name.clone(), definition.clone());
            }
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                merge(&mut properties[name], kind, field);
            }
        }
        for (name, definition) in definitions {
            generator
                .definitions_mut()
                .entry(name)
                .or_insert(definition);
        }
        schemars::json_schema!({
            "type": "object",
            "properties": properties,
            "required": ["kind"],
            "additionalProperties": false,
        })
    }
}

/// Adds a kind's field to the flat object's property of that name.
fn merge(property: &mut Value, kind: LedgerKind, field: &Value) {
    let text = match field["description"].as_str() {
        Some(text) => format!("{}: {text}", kind.name()),
        None => format!("{}.", kind.name()),
    };
    if property.is_null() {
        property.clone_from(field);
        property["description"] = json!(text);
        return;
    }
    let known = property["description"].as_str().unwrap_or_default();
    let text = format!("{known} {text}");
    // Kinds may give one name different values, as causes of their own.
    let (mut before, mut now) = (property.clone(), field.clone());
    for schema in [&mut before, &mut now]
        .into_iter()
        .filter_map(Value::as_object_mut)
    {
        schema.shift_remove("description");
        schema.shift_remove("default");
    }
    if before != now {
        *property = json!({"anyOf": [before, now]});
    }
    property["description"] = json!(text);
}

impl Tool for UpdateLedger {
    const NAME: &'static str = "update_ledger";
    const TITLE: &'static str = "Record causes, ideas, attempts and rounds";
    const DESCRIPTION: &'static str = "Writes one entry into a campaign's log: root_cause (why the target is slower, citing rows), source_idea (code that shows a faster way), attempt (state open before the first commit, check, then done or rejected), rejected_idea, blocker (a fact that the server looks at itself), round_end. \
        Call it inside the loop, after the evidence is there; the gates refuse what it does not allow, with what is missing. Not for measurements: run_benchmark, check_gap, profile and analyze_pipeline record themselves. \
        Returns the event as recorded, the gates, and the next call. Fields depend on kind; a wrong entry is answered with that kind's fields and an example. \
        Example: {\"kind\": \"round_end\", \"summary\": \"fused RMSNorm: +2.1%\", \"next_patch\": \"fuse QK norm and RoPE\"}";
    const EXAMPLE: &'static str =
        r#"{"kind": "round_end", "summary": "fused RMSNorm: +2.1%", "next_patch": "fuse QK norm"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
    };
    type Arguments = Arguments;
    type Record = LedgerRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<LedgerRecord, Fault> {
        check_wait(arguments.wait_s)?;
        let wait = Duration::from_secs(arguments.wait_s.into());
        let project_dir = context.project_dir.clone();
        let (campaign, mut record) = context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await?;
        if let Some(id) = record.job_id.clone() {
            let job = job::open(&id)?;
            follow(&job, wait, "checks", &context).await?;
            record = context
                .blocking(move || campaign::after_checks(&campaign, record))
                .await?;
        }
        Ok(record)
    }
}

fn run(
    arguments: Arguments,
    project_dir: Option<&Path>,
) -> Result<(campaign::Campaign, LedgerRecord), Fault> {
    let entry = LedgerEntry::decode(arguments.kind, arguments.fields)?;
    let workspace = arguments.workspace.as_deref();
    let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
    let campaign = found.ok_or(CampaignError::None)?;
    let is_round_end = matches!(entry, LedgerEntry::RoundEnd(_));
    // Gates speak of the round that goes on, so the review comes first.
    let review = is_round_end.then(|| rlcr::review(&campaign)).transpose()?;
    let mut record = campaign::update_ledger(&campaign, entry)?;
    if let Some(review) = review {
        let prompt = rlcr::advance(&campaign, &review)?;
        record.warnings.extend(review.open());
        record.paths.extend(prompt);
    }
    Ok((campaign, record))
}
