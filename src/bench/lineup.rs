//! Who runs and in what: the candidates of a plan, and the cells of a session.

use std::path::{Path, PathBuf};

use super::candidate::{Candidate, candidates};
use super::plan::{LoadPoint, Plan, Scenario};
use super::ranking::standings;
use super::row::Row;
use super::session::{Phase, Session};

/// A scenario, the position of its load in the plan, and the load.
pub type Cell = (Scenario, usize, LoadPoint);

/// Every candidate and every cell of a plan, in the plan's order.
#[derive(Debug)]
pub struct Lineup {
    pub candidates: Vec<Candidate>,
    /// Indices of each framework's candidates.
    pub groups: Vec<Vec<usize>>,
    /// Scenarios and loads that each session runs.
    pub cells: Vec<Cell>,
    /// Cells of the search for the highest load.
    extra_cells: Vec<Cell>,
    /// What the plan's bounds cut off.
    pub warnings: Vec<String>,
}

impl Lineup {
    pub fn of(plan: &Plan) -> Self {
        let mut lineup = Self {
            candidates: Vec::new(),
            groups: Vec::new(),
            cells: Vec::new(),
            extra_cells: Vec::new(),
            warnings: Vec::new(),
        };
        for (name, framework) in plan.enabled() {
            let found = candidates(plan, name, framework);
            if found.left_out > 0 {
                lineup.warnings.push(format!(
                    "{name}: {} combinations of the search space are left out by max_candidates_per_framework",
                    found.left_out
                ));
            }
            let first = lineup.candidates.len();
            lineup.candidates.extend(found.list);
            let group = first..lineup.candidates.len();
            if framework.candidates.is_empty() {
                lineup.groups.push(group.collect());
            } else {
                // Each alone: nothing is searched, and all are repeated.
                lineup.groups.extend(group.map(|index| vec![index]));
            }
        }
        let loads = plan.load_points();
        for scenario in plan.scenarios() {
            for (index, load) in loads.iter().enumerate() {
                lineup.cells.push((scenario.clone(), index, *load));
            }
        }
        lineup
    }

    /// The candidates to repeat, in plan order: a framework's only one, else
    /// its winners over all scenarios and loads. One that never ran is none.
    pub fn winners(&self, rows: &[Row]) -> Vec<usize> {
        let cells = standings(rows);
        let mut arms = Vec::new();
        for group in &self.groups {
            if let [only] = group[..] {
                arms.push(only);
                continue;
            }
            for cell in &cells {
                let best = cell
                    .iter()
                    .filter(|standing| standing.ok > 0)
                    .find_map(|standing| {
                        group.iter().copied().find(|index| {
                            let candidate = &self.candidates[*index];
                            candidate.framework == standing.framework
                                && candidate.id == standing.candidate_id
                        })
                    });
                if let Some(best) = best.filter(|best| !arms.contains(best)) {
                    arms.push(best);
                }
            }
        }
        arms
    }

    /// The index of a cell that is no part of the plan's sessions.
    pub fn cell_of(&mut self, scenario: &Scenario, load_index: usize, load: LoadPoint) -> usize {
        let known = self
            .extra_cells
            .iter()
            .position(|(known, index, _)| known.name == scenario.name && *index == load_index);
        let position = known.unwrap_or_else(|| {
            self.extra_cells.push((scenario.clone(), load_index, load));
            self.extra_cells.len() - 1
        });
        self.cells.len() + position
    }

    /// A cell of the plan, or one that was added.
    pub fn cell(&self, index: usize) -> &Cell {
        match self.cells.get(index) {
            Some(cell) => cell,
            None => &self.extra_cells[index - self.cells.len()],
        }
    }

    /// The folder of a session's files under the job's folder.
    pub fn session_dir(&self, job_dir: &Path, session: &Session) -> PathBuf {
        let candidate = &self.candidates[session.candidate];
        let phase = match session.phase {
            Phase::Search => "search".to_owned(),
            Phase::Measure => format!("repeat-{}", session.repeat),
            Phase::MaxLoad => "max-load".to_owned(),
        };
        job_dir
            .join("runs")
            .join(format!(
                "{}-{}",
                file_name(&candidate.framework),
                file_name(&candidate.id)
            ))
            .join(phase)
    }

    /// Where the raw samples of a cell go.
    pub fn raw_path(&self, job_dir: &Path, session: &Session, cell: usize) -> PathBuf {
        let (scenario, load, _) = self.cell(cell);
        self.session_dir(job_dir, session)
            .join(format!("{}-{load}.jsonl.zst", file_name(&scenario.name)))
    }
}

/// `text` as a file name that every file system takes.
fn file_name(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.=".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(80)
        .collect()
}
