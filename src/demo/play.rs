//! Making tool calls, expecting refusals, following jobs, and telling of it.

use std::future::Future;

use serde_json::{Value, json};

use super::{DemoError, Stage};
use crate::fault::Fault;
use crate::mcp::{ToolContext, tools};

/// Whoever makes the calls: this process, or a client of an MCP server.
pub trait Agent {
    /// One tool call; a refusal is the fault.
    fn call(
        &self,
        tool: &str,
        arguments: Value,
    ) -> impl Future<Output = Result<Value, Fault>> + Send;
}

/// Calls the tools without a server between.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcess;

impl Agent for InProcess {
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Fault> {
        let entries = tools::all();
        let entry = entries
            .iter()
            .find(|entry| entry.name == tool)
            .ok_or_else(|| tools::unknown(tool))?;
        entry.call(arguments, ToolContext::detached(None)).await
    }
}

/// What the audience sees.
#[derive(Debug, Clone)]
pub enum Told {
    /// A new part begins.
    Chapter(String),
    /// Something outside the tools, such as a commit.
    Did(String),
    Called {
        tool: String,
        arguments: Value,
    },
    Answered {
        tool: String,
        record: Value,
    },
    /// A step that the evidence did not allow.
    Refused(Fault),
    /// A job is under way.
    Progress(String),
}

/// One play on one stage.
pub struct Play<'a, A> {
    pub(super) agent: A,
    pub(super) stage: &'a Stage,
    tell: Box<dyn FnMut(Told) + Send + 'a>,
    /// Every refusal, in order.
    pub refusals: Vec<Fault>,
}

impl<'a, A: Agent> Play<'a, A> {
    pub fn new(agent: A, stage: &'a Stage, tell: impl FnMut(Told) + Send + 'a) -> Self {
        Self {
            agent,
            stage,
            tell: Box::new(tell),
            refusals: Vec::new(),
        }
    }

    pub(super) fn chapter(&mut self, title: &str) {
        (self.tell)(Told::Chapter(title.to_owned()));
    }

    pub(super) fn did(&mut self, what: &str) {
        (self.tell)(Told::Did(what.to_owned()));
    }

    /// A call that must succeed.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, DemoError> {
        match self.try_call(tool, arguments).await {
            Ok(record) => Ok(record),
            Err(fault) => Err(DemoError::Tool {
                tool: tool.to_owned(),
                fault: Box::new(fault),
            }),
        }
    }

    async fn try_call(&mut self, tool: &str, mut arguments: Value) -> Result<Value, Fault> {
        (self.tell)(Told::Called {
            tool: tool.to_owned(),
            arguments: arguments.clone(),
        });
        arguments["workspace"] = json!(self.stage.workspace);
        let record = self.agent.call(tool, arguments).await?;
        (self.tell)(Told::Answered {
            tool: tool.to_owned(),
            record: record.clone(),
        });
        Ok(record)
    }

    /// A call that must be refused, by the gate or with the error that is
    /// named, and for a reason that holds `word`.
    pub(super) async fn refused(
        &mut self,
        expected: &str,
        word: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<(), DemoError> {
        let fault = match self.try_call(tool, arguments).await {
            Err(fault) => fault,
            Ok(record) => {
                return Err(DemoError::NotRefused {
                    tool: tool.to_owned(),
                    expected: expected.to_owned(),
                    record: record.to_string(),
                });
            }
        };
        let code = json!(fault.error);
        let found = fault
            .refusal
            .as_ref()
            .map(|refusal| refusal.gate.clone())
            .or_else(|| code.as_str().map(str::to_owned))
            .unwrap_or_default();
        if found != expected || !fault.message.contains(word) {
            return Err(DemoError::RefusedOtherwise {
                tool: tool.to_owned(),
                expected: format!("{expected} ({word})"),
                found,
                message: fault.message,
            });
        }
        (self.tell)(Told::Refused(fault.clone()));
        self.refusals.push(fault);
        Ok(())
    }

    /// Waits until every job of the campaign has ended and its end is recorded.
    pub(super) async fn settled(&mut self) -> Result<(), DemoError> {
        loop {
            let asked = json!({"action": "status", "workspace": self.stage.workspace});
            let status =
                self.agent
                    .call("campaign", asked)
                    .await
                    .map_err(|fault| DemoError::Tool {
                        tool: "campaign".to_owned(),
                        fault: Box::new(fault),
                    })?;
            match status["running_jobs"].as_array() {
                Some(jobs) if !jobs.is_empty() => {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Follows a job to its end; `tool` is the one that started it.
    pub(super) async fn follow(&mut self, tool: &str, record: &Value) -> Result<Value, DemoError> {
        let id = text(tool, record, "job_id")?.to_owned();
        loop {
            let asked = json!({"job_id": id, "wait_s": 5, "workspace": self.stage.workspace});
            let record = self
                .agent
                .call(tool, asked)
                .await
                .map_err(|fault| DemoError::Tool {
                    tool: tool.to_owned(),
                    fault: Box::new(fault),
                })?;
            let state = text(tool, &record, "state")?;
            match state {
                "queued" | "running" => {
                    let message = record["message"].as_str().unwrap_or(state);
                    (self.tell)(Told::Progress(format!("{id}: {message}")));
                }
                "done" => {
                    (self.tell)(Told::Answered {
                        tool: tool.to_owned(),
                        record: record.clone(),
                    });
                    return Ok(record);
                }
                _ => {
                    return Err(DemoError::Job {
                        id,
                        state: state.to_owned(),
                        message: record["failure"].to_string(),
                    });
                }
            }
        }
    }
}

/// A text of a tool's record.
pub(super) fn text<'v>(tool: &str, record: &'v Value, key: &str) -> Result<&'v str, DemoError> {
    record[key].as_str().ok_or_else(|| DemoError::Lacks {
        tool: tool.to_owned(),
        key: key.to_owned(),
        record: record.to_string(),
    })
}
