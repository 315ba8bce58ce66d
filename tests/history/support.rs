//! A user's folders: knowledge, checkouts, and an index of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sota_loop::history::{Places, QueryRecord, QueryRequest, query_in};

pub struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("knowledge")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn places(&self) -> Places {
        Places {
            index_dir: Some(self.path("index")),
            current_dir: self.path("work"),
            ..Places::default()
        }
    }

    pub fn ask(&self, request: QueryRequest) -> QueryRecord {
        query_in(&self.places(), &request).unwrap()
    }

    /// Asks the knowledge root for words.
    pub fn search(&self, words: &str) -> QueryRecord {
        self.ask(QueryRequest {
            query: Some(words.to_owned()),
            roots: vec![self.root()],
            ..QueryRequest::default()
        })
    }

    /// The published layout in small: two frameworks, three families.
    pub fn with_families() -> Self {
        let folder = Self::new();
        folder.write("sglang/qwen3-core/README.en.md", QWEN3);
        folder.write("sglang/qwen3-core/README.zh.md", QWEN3_ZH);
        folder.write(
            "vllm/qwen3-core/README.en.md",
            card(
                900,
                "Fuse QK norm and rope for Qwen3",
                "vllm/model_executor/models/qwen3.py",
            ),
        );
        folder.write(
            "sglang/glm46-glm47/README.en.md",
            card(
                40,
                "Fused qk norm rope for GLM-4.6",
                "python/sglang/srt/models/glm4_moe.py",
            ),
        );
        folder
    }
}

pub fn card(pr: u64, title: &str, file: &str) -> String {
    format!(
        "### PR #{pr} - {title}\n\n- Link: https://x/pull/{pr}\n- Status/date: merged / 2025-12-07\n\
         - Key implementation: `{file}` modified +8/-3; symbols: forward, __init__\n\
         - Risk and verification: rerun accuracy for {title}.\n\n"
    )
}

pub const QWEN3: &str = "# sglang Qwen3 Core Model PR Optimization History

## Implementation File Coverage

| File | Git-traced PRs |
| --- | --- |
| `docs/qwen3.mdx` | no direct PR-number commit |
| `python/sglang/srt/models/qwen3.py` | [#13998](https://x/pull/13998) |
| `python/sglang/srt/models/qwen3_moe.py` | [#13998](https://x/pull/13998) |

## Per-PR Diff Audit Cards

### PR #13998 - [apply][2/2] Fused qk_norm_rope for Qwen3-MoE

- Status/date: merged / 2025-12-07
- Key implementation: `python/sglang/srt/models/qwen3_moe.py` modified +40/-9; symbols: forward_prepare, _apply_qk_norm, touching `forward_prepare`.
- Risk and verification: rotary layout; rerun GSM8K.

### PR #6598 - qwen3moe support two batch overlap

- Status/date: merged / 2025-05-26
- Key implementation: `python/sglang/srt/models/qwen3_moe.py` modified +90/-7; symbols: op_gate, op_experts
- Risk and verification: dispatch order.

### PR #9147 - support Qwen3-MoE-w4afp8

- Status/date: open / 2025-08-13
- Key implementation: `python/sglang/srt/layers/quantization/w4afp8.py` modified +1/-1; symbols: W4AFp8Config
- Risk and verification: quantised accuracy.
";

pub const QWEN3_ZH: &str = "### PR #13998 - [apply][2/2] Fused qk_norm_rope for Qwen3-MoE

- 状态/时间: merged / 2025-12-07
- 动机: 融合 QK 归一化与旋转位置编码，减少显存读写
- 验证与风险: 旋转布局。
";

/// Runs git in `folder` with a fixed author and clock.
pub fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2025-06-01T12:00:00Z")
        .env("GIT_COMMITTER_DATE", "2025-06-01T12:00:00Z")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Commits one file.
pub fn commit(folder: &Path, file: &str, text: &str, subject: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "-m", subject]);
}

/// A small checkout of a framework.
pub fn checkout(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "-q"]);
    let model = "python/sglang/srt/models/qwen3_moe.py";
    commit(
        folder,
        model,
        "class Qwen3MoeAttention:\n    def forward(self):\n        return 1\n",
        "[Model] Add Qwen3 MoE (#4693)",
    );
    commit(
        folder,
        model,
        "class Qwen3MoeAttention:\n    def forward(self):\n        return 2\n",
        "[apply][2/2] Fused qk_norm_rope for Qwen3-MoE (#13998)",
    );
    commit(
        folder,
        "python/sglang/srt/models/llama.py",
        "class LlamaMLP:\n    pass\n",
        "Add llama",
    );
}
