//! Everything that can happen to a campaign: the kinds of event and their bodies.
//!
//! A kind is written by one place in the code and read by [`State`]; its body
//! is the struct that names it in [`Body::KIND`].
//!
//! [`State`]: super::State

mod analysis;
mod attempt;
mod evidence;
mod ledger;
mod measurement;
mod opening;
mod round;
mod seal;

pub use analysis::{
    HotKernelBrief, KernelBrief, LayerTypeBrief, NcuRecorded, OverlapBrief, PipelineRecorded,
    ProfileRecorded, ProposedEdit, StageBrief, Supplied,
};
pub use attempt::{
    AttemptClosed, AttemptOpened, AttemptOutcome, AttemptTarget, ChecksRan, ChecksStarted,
    GreedyAgreement, KernelTarget, Measured, TestRun,
};
pub use evidence::{CardRef, Citation, CommandSeen, Lines, Provenance, Seen, Table};
pub use ledger::{Blocker, BlockerCause, RejectedIdea, RootCause, RootCauseKind, SourceIdea};
pub use measurement::{
    BenchmarkEnded, BenchmarkLabel, BenchmarkStarted, CaptureEnded, CaptureStarted,
    FrameworkOutcome, GapChecked, TargetSource,
};
pub use opening::{CampaignOpened, HistoryRecorded, LogAdopted};
pub use round::{
    Finished, LoopEnded, LoopRuntime, LoopStarted, Outcome, Paused, Resumed, Reviewed, RoundEnded,
    RoundStarted, SotaAnswer,
};
pub use seal::{Sealed, SealedFramework};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The campaign began.
    CampaignOpened,
    /// A log that this user's state folder did not know was taken over as it is.
    LogAdopted,
    /// The history notes were written.
    HistoryRecorded,
    /// A benchmark job was submitted.
    BenchmarkStarted,
    /// A benchmark job came to an end, good or bad.
    BenchmarkEnded,
    /// A gap was decided from rows.
    GapChecked,
    /// A capture job was submitted.
    CaptureStarted,
    /// A capture job came to an end.
    CaptureEnded,
    /// Traces were triaged into the three tables.
    ProfileRecorded,
    /// A trace's passes and layers were analysed.
    PipelineRecorded,
    /// Kernel counters were digested.
    NcuRecorded,
    /// Workload, SLA, frameworks and winners were fixed.
    Sealed,
    /// A loop runtime was set up.
    LoopStarted,
    /// A loop runtime reached a terminal state.
    LoopEnded,
    /// A round's prompt was handed out.
    RoundStarted,
    /// A round was reviewed against the gates.
    Reviewed,
    /// The loop rests on the user's word.
    Paused,
    /// The loop goes on.
    Resumed,
    /// Why the target is slower, with rows that show it.
    RootCause,
    /// A way to be faster, found in somebody's source.
    SourceIdea,
    /// Work on a change to the target began.
    AttemptOpened,
    /// Tests or the greedy comparison of an attempt were submitted as a job.
    ChecksStarted,
    /// They came to an end.
    ChecksRan,
    /// Work on a change ended, accepted or not.
    AttemptClosed,
    /// An idea that evidence speaks against.
    RejectedIdea,
    /// Something outside stands in the way, and the server has seen it.
    Blocker,
    /// A round is over.
    RoundEnded,
    /// The campaign is over.
    Finished,
}

/// The body of one kind of event.
pub trait Body: Serialize + DeserializeOwned {
    const KIND: EventKind;
}

macro_rules! bodies {
    ($($body:ident)*) => {
        $(impl Body for $body {
            const KIND: EventKind = EventKind::$body;
        })*
    };
}

bodies! {
    CampaignOpened LogAdopted HistoryRecorded
    BenchmarkStarted BenchmarkEnded GapChecked CaptureStarted CaptureEnded
    ProfileRecorded PipelineRecorded NcuRecorded
    Sealed LoopStarted LoopEnded RoundStarted Reviewed Paused Resumed
    RootCause SourceIdea AttemptOpened ChecksStarted ChecksRan AttemptClosed
    RejectedIdea Blocker RoundEnded Finished
}
