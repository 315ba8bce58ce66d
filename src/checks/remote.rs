//! Checks on the engine's host.

use std::path::Path;

use serde_json::{Value, json};

use super::payload::{ChecksPayload, KIND};
use super::run::ChecksResult;
use crate::bench::plan::Executor;
use crate::disk;
use crate::fault::Fault;
use crate::job::{JobHandle, JobSpec, Outcome};
use crate::remote::{self, Copied, TaskSpec, Work};

/// The only task.
const TASK: &str = "all";
/// The outputs to agree with, in the job's folder on its host.
const REFERENCE: &str = "reference.json";

/// Follows checks to their end on their host.
pub async fn conduct(
    spec: JobSpec,
    payload: ChecksPayload,
    executor: Executor,
    job: JobHandle,
) -> Outcome {
    let placement = payload.plan.placement(&executor);
    let work = Checks { payload, executor };
    remote::conduct(spec, placement, Box::new(work), job).await
}

struct Checks {
    payload: ChecksPayload,
    executor: Executor,
}

impl Checks {
    /// The checks as the host's supervisor makes them: in the checkout that the
    /// server runs there, which must have the same tree.
    fn on_its_host(&self, host_dir: &Path) -> ChecksPayload {
        let mut own = self.payload.clone();
        *own.plan = own.plan.on_its_host();
        own.guest_of = Some(self.executor.kind);
        own.reference = own.reference.map(|_| host_dir.join(REFERENCE));
        let framework = own.plan.frameworks.get(&own.candidate.framework);
        if let Some(source) = framework.and_then(|framework| framework.source.as_ref()) {
            own.checkout.clone_from(&source.checkout);
        }
        own
    }
}

impl Work for Checks {
    fn tasks(&self, spec: &JobSpec, host_dir: &Path) -> Vec<TaskSpec> {
        vec![TaskSpec {
            name: TASK.to_owned(),
            key: format!("{}-{TASK}", spec.key),
            kind: KIND.to_owned(),
            created: spec.created.clone(),
            payload: json!(self.on_its_host(host_dir)),
        }]
    }

    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Fault> {
        match &self.payload.reference {
            Some(path) => Ok(vec![(REFERENCE, disk::read(path)?)]),
            None => Ok(Vec::new()),
        }
    }

    fn result(&mut self, copied: &Copied<'_>) -> Result<Value, Fault> {
        let result: ChecksResult = copied.result(TASK)?;
        Ok(json!(result))
    }
}
