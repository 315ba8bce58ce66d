use std::path::{Path, PathBuf};

use super::*;

/// A checkout with one package, clean.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.git(&["init", "-q"]);
        tree.write("pkg/__init__.py", "");
        tree.write("pkg/step.py", "COST = 2\n");
        tree.write("pkg/configs/h100.json", "{}\n");
        tree.write(".gitignore", "*.so\n__pycache__/\n");
        tree.commit();
        tree
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, arguments: &[&str]) {
        output(self.path(), arguments).unwrap();
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        let author = ["-c", "user.name=t", "-c", "user.email=t@t"];
        self.git(&[&author[..], &["commit", "-qm", "x"]].concat());
    }

    fn hidden(&self) -> Vec<(String, String)> {
        hidden(self.path()).unwrap()
    }

    fn differing(&self) -> Vec<String> {
        differing(self.path()).unwrap()
    }

    fn status(&self) -> Vec<u8> {
        output(self.path(), &STATUS).unwrap()
    }
}

#[test]
fn a_tracked_file_with_a_flag_is_hidden() {
    for (flag, back) in [
        ("--skip-worktree", "--no-skip-worktree"),
        ("--assume-unchanged", "--no-assume-unchanged"),
    ] {
        let tree = Tree::new();
        tree.git(&["update-index", flag, "pkg/step.py"]);
        tree.write("pkg/step.py", "COST = 1\n");
        assert!(tree.status().is_empty(), "git itself sees nothing");
        let hidden = tree.hidden();
        assert_eq!(hidden[0].0, "pkg/step.py");
        assert!(hidden[0].1.contains(&flag[2..]), "{hidden:?}");
        assert_eq!(tree.differing(), ["pkg/step.py"]);
        std::fs::remove_file(tree.path().join("pkg/step.py")).unwrap();
        assert_eq!(tree.hidden().len(), 1, "nor may it be gone");
        tree.git(&["update-index", back, "pkg/step.py"]);
        assert!(tree.hidden().is_empty());
    }
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_hidden() {
    let tree = Tree::new();
    tree.write("docs/long.py", "x = 1\n");
    tree.commit();
    tree.git(&["sparse-checkout", "set", "pkg"]);
    assert!(!tree.path().join("docs/long.py").exists());
    assert!(tree.hidden().is_empty(), "{:?}", tree.hidden());
    assert!(tree.differing().is_empty());
}

#[test]
fn ignored_code_is_hidden_where_it_replaces_a_module_or_only_this_user_ignores_it() {
    let tree = Tree::new();
    tree.write("pkg/__pycache__/step.cpython-312.pyc", "x");
    tree.write("pkg/_C.abi3.so", "built");
    tree.write(".git/info/exclude", "venv/\nnotes.md\n.humanize*\n");
    tree.write("venv/lib/python3/site.py", "");
    tree.write("notes.md", "mine");
    assert!(tree.status().is_empty());
    assert!(tree.hidden().is_empty(), "{:?}", tree.hidden());

    tree.write("pkg/step.cpython-312-x86_64-linux-gnu.so", "faster");
    let hidden = tree.hidden();
    assert_eq!(hidden.len(), 1);
    assert!(hidden[0].1.contains("takes the place of the module `step`"));

    let exclude = "venv/\nnotes.md\nextra.py\npkg/step/\npkg/configs/b200.json\n";
    tree.write(".git/info/exclude", exclude);
    tree.write("pkg/extra.py", "");
    tree.write("pkg/step/__init__.py", "COST = 1\n");
    tree.write("pkg/configs/b200.json", "{}");
    assert!(tree.status().is_empty());
    let mut paths: Vec<String> = tree.hidden().into_iter().map(|(path, _)| path).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "pkg/configs/b200.json",
            "pkg/extra.py",
            "pkg/step.cpython-312-x86_64-linux-gnu.so",
            "pkg/step/",
        ]
    );
}

#[test]
fn a_filter_hides_nothing() {
    let tree = Tree::new();
    let kept = tree.write(".git/kept", "COST = 2\n");
    tree.git(&[
        "config",
        "filter.keep.clean",
        &format!("cat {}", kept.display()),
    ]);
    tree.write(".git/info/attributes", "pkg/step.py filter=keep\n");
    tree.write("pkg/step.py", "COST = 1\n");
    assert!(tree.status().is_empty(), "git itself sees nothing");
    assert_eq!(tree.differing(), ["pkg/step.py"]);
    assert!(tree.hidden()[0].1.contains("its filter can hide"));
}

#[test]
fn converted_line_ends_and_fetched_large_files_are_no_difference() {
    let tree = Tree::new();
    let content = "weights";
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
        crate::sha256::hex(content.as_bytes()),
        content.len()
    );
    tree.write(".gitattributes", "*.bat text eol=crlf\n");
    tree.write("run.bat", "one\r\ntwo\r\n");
    tree.write("pkg/tiny.bin", &pointer);
    tree.commit();
    tree.write("pkg/tiny.bin", content);
    assert!(tree.differing().is_empty(), "{:?}", tree.differing());
    tree.write("pkg/tiny.bin", "others!");
    tree.write("run.bat", "one\r\nthree\r\n");
    assert_eq!(tree.differing(), ["pkg/tiny.bin", "run.bat"]);
}

#[test]
fn a_text_diff_is_text_whatever_the_settings_say() {
    let tree = Tree::new();
    tree.write("test/test_a.py", "def test_a(): pass\n");
    tree.commit();
    tree.write(".git/info/attributes", "test/** -diff\n");
    for setting in ["color.ui", "color.diff"] {
        tree.git(&["config", setting, "always"]);
    }
    tree.git(&["config", "diff.external", "true"]);
    tree.write("test/test_a.py", "x = 1\n");
    let diff = output(tree.path(), &[&TEXT_DIFF[..], &["HEAD"]].concat()).unwrap();
    let diff = String::from_utf8(diff).unwrap();
    assert!(diff.contains("\n-def test_a(): pass\n+x = 1\n"), "{diff}");
}
