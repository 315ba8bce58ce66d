use super::*;

struct Place {
    dir: tempfile::TempDir,
    folders: Folders,
}

/// A home, a workspace and a checkout, all empty.
fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["home", "project/workspace", "src/sglang"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    let folders = Folders {
        home: Some(at("home")),
        running: None,
        workspace: at("project/workspace"),
        checkout: Some(at("src/sglang")),
        ..Folders::default()
    };
    Place { dir, folders }
}

impl Place {
    fn install(&self, folder: &str, proof: &str) -> PathBuf {
        let path = self.dir.path().join(folder);
        let file = path.join(proof);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "x").unwrap();
        path
    }

    fn humanize(&self, folder: &str) -> PathBuf {
        self.install(folder, "scripts/setup-rlcr-loop.sh")
    }

    fn found(&self) -> Option<Companion> {
        companions(&CompanionPaths::default(), &self.folders)
            .0
            .humanize
    }

    fn expect(&self, path: &Path, found_by: FoundBy) {
        let wanted = Companion {
            path: path.to_path_buf(),
            found_by,
        };
        assert_eq!(self.found(), Some(wanted));
    }
}

/// Each place in turn, from the last to the first: every one outranks the ones
/// before it.
#[test]
fn every_place_is_found_and_outranks_the_later_ones() {
    let mut place = place();
    assert_eq!(place.found(), None);

    let path = place.humanize("src/humanize-fork");
    place.expect(&path, FoundBy::Repository);
    let path = place.humanize("home/.codex/plugins/cache/market/humanize/1.9.0");
    place.expect(&path, FoundBy::CodexPlugin);
    let path = place.humanize("home/.codex/plugins/cache/market/humanize/1.16.0");
    place.expect(&path, FoundBy::CodexPlugin);
    let path = place.humanize("home/.codex/skills/humanize");
    place.expect(&path, FoundBy::CodexSkill);
    let path = place.humanize("home/.agents/skills/humanize");
    place.expect(&path, FoundBy::CodexSkill);
    let path = place.humanize("home/.claude/plugins/marketplaces/humania");
    place.expect(&path, FoundBy::ClaudePlugin);
    let path = place.humanize("home/.claude/plugins/cache/humania/humanize/1.16.0");
    place.expect(&path, FoundBy::ClaudePlugin);
    let path = place.humanize("home/.claude/skills/humanize");
    place.expect(&path, FoundBy::ClaudeSkill);
    let path = place.humanize("project/workspace/.claude/skills/humanize");
    place.expect(&path, FoundBy::ClaudeSkill);

    // In Codex its own folders go first, skills before plugins.
    place.folders.running = Some(Host::Codex);
    let path = place.dir.path().join("home/.agents/skills/humanize");
    place.expect(&path, FoundBy::CodexSkill);

    let path = place.humanize("elsewhere/runtime");
    place
        .folders
        .variables
        .insert("HUMANIZE_RUNTIME_ROOT".to_owned(), path.clone());
    place.expect(&path, FoundBy::Environment);
    let path = place.humanize("elsewhere/argument");
    let named = CompanionPaths {
        humanize: Some(path.clone()),
        ..CompanionPaths::default()
    };
    let found = companions(&named, &place.folders).0.humanize;
    assert_eq!(
        found,
        Some(Companion {
            path,
            found_by: FoundBy::Argument
        })
    );
}

#[test]
fn a_plugin_that_claude_uses_in_place_is_found_by_its_list() {
    let place = place();
    let path = place.humanize("marketplace/plugins/humanize");
    let list = place.dir.path().join("home/.claude/plugins");
    std::fs::create_dir_all(&list).unwrap();
    let json = serde_json::json!({"version": 2, "plugins": {"humanize@local": [{"scope": "user", "installPath": path}]}});
    std::fs::write(list.join("installed_plugins.json"), json.to_string()).unwrap();
    place.expect(&path, FoundBy::ClaudePlugin);
}

#[test]
fn a_companion_that_is_named_and_not_there_is_an_error() {
    let place = place();
    let named = CompanionPaths {
        humanize: Some(place.dir.path().join("nowhere")),
        ..CompanionPaths::default()
    };
    let (found, problems) = companions(&named, &place.folders);
    assert_eq!((found.humanize, problems.len()), (None, 1));
    let error = problems[0].to_string();
    assert!(error.contains("nowhere"), "{error}");
    assert!(error.contains("scripts/setup-rlcr-loop.sh"), "{error}");
}

#[test]
fn the_other_companions_are_known_by_name() {
    let place = place();
    place.install("project/some-skill", "SKILL.md");
    let skill = place.install("home/.claude/skills/ncu-report-skill", "SKILL.md");
    let history = place.install(
        "home/.codex/plugins/cache/m/kit/0.1.0/skills/model-pr-history-knowledge",
        "sglang/qwen3/README.en.md",
    );
    let (found, _) = companions(&CompanionPaths::default(), &place.folders);
    let by = |companion: Option<Companion>| companion.map(|found| (found.path, found.found_by));
    assert_eq!(
        by(found.ncu_report_skill),
        Some((skill, FoundBy::ClaudeSkill))
    );
    assert_eq!(by(found.history), Some((history, FoundBy::CodexPlugin)));
    assert_eq!(found.humanize, None);
}
