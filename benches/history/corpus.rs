//! A generated knowledge folder in the published layout: families with
//! overlapping words, cards in English and Chinese, 25 MB.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::random::Random;
use crate::words::{CHINESE, CIRCUMSTANCES, FAMILIES, FILES, PREFIXES, SYMBOLS, THINGS, VERBS};

pub struct Known {
    pub framework: &'static str,
    pub pr: u64,
    pub title: String,
    pub chinese: Option<String>,
}

/// Writes the corpus and gives back every pull request in it.
pub fn write(root: &Path, bytes: usize, seed: u64) -> Vec<Known> {
    let mut random = Random(seed);
    let mut known = Vec::new();
    let mut titles = HashSet::new();
    let mut pr = 4000;
    let places: Vec<(&'static str, &str)> = FAMILIES
        .iter()
        .enumerate()
        .flat_map(|(at, family)| {
            let both = at % 2 == 0;
            [Some(("sglang", *family)), both.then_some(("vllm", *family))]
        })
        .flatten()
        .collect();
    let share = bytes / places.len() / 2;
    for (framework, family) in places {
        let mut english = header(framework, family);
        let mut chinese = header(framework, family);
        while english.len() < share || chinese.len() < share {
            pr += 1 + random.below(9) as u64;
            let title = title(&mut random, family, &mut titles);
            let translated = random.chance(12).then(|| {
                let text = random.pick(&CHINESE);
                let place = random.pick(&CIRCUMSTANCES);
                format!("{}：{text}{place} {}", stem(family), random.below(90))
            });
            let mut at = Random(random.next());
            let seed = at.next();
            card(
                &mut english,
                &mut Random(seed),
                framework,
                family,
                pr,
                &title,
                false,
            );
            let shown = translated.as_ref().unwrap_or(&title);
            card(
                &mut chinese,
                &mut Random(seed),
                framework,
                family,
                pr,
                shown,
                true,
            );
            known.push(Known {
                framework,
                pr,
                title,
                chinese: translated,
            });
        }
        let folder = root.join(framework).join(family);
        fs::create_dir_all(&folder).expect("a folder for the corpus");
        fs::write(folder.join("README.en.md"), english).expect("a file of the corpus");
        fs::write(folder.join("README.zh.md"), chinese).expect("a file of the corpus");
    }
    known
}

fn header(framework: &str, family: &str) -> String {
    format!(
        "# {framework} {family} Model PR Optimization History\n\n## Implementation File Coverage\n\n\
         | File | Git-traced PRs |\n| --- | --- |\n| `python/{framework}/srt/models/{}.py` | - |\n\n\
         ## Per-PR Diff Audit Cards\n\n",
        stem(family)
    )
}

fn stem(family: &str) -> String {
    family.replace('-', "_")
}

fn name(random: &mut Random, family: &str) -> String {
    let base = family.split('-').next().unwrap_or(family);
    match random.below(5) {
        0 => family.to_uppercase(),
        1 => format!("{}MoE", base.to_uppercase()),
        2 => base.to_owned(),
        3 => format!("{} models", base),
        _ => stem(family),
    }
}

fn title(random: &mut Random, family: &str, titles: &mut HashSet<String>) -> String {
    loop {
        let verb = random.pick(&VERBS);
        let thing = random.pick(&THINGS);
        let second = match random.below(4) {
            0 => format!(" and {}", random.pick(&THINGS)),
            _ => String::new(),
        };
        let whose = match random.below(5) {
            0 => String::new(),
            1 => format!(" of {}", name(random, family)),
            _ => format!(" for {}", name(random, family)),
        };
        let place = random.pick(&CIRCUMSTANCES);
        let title = format!(
            "{}{verb} {thing}{second}{whose}{place}",
            random.pick(&PREFIXES)
        );
        if titles.insert(title.clone()) {
            return title;
        }
    }
}

fn card(
    out: &mut String,
    random: &mut Random,
    framework: &str,
    family: &str,
    pr: u64,
    title: &str,
    zh: bool,
) {
    let state = random.pick(&["merged", "merged", "merged", "open", "closed"]);
    let date = format!(
        "202{}-{:02}-{:02}",
        4 + random.below(3),
        1 + random.below(12),
        1 + random.below(28)
    );
    let mut files = vec![format!("python/{framework}/srt/models/{}.py", stem(family))];
    for _ in 0..=random.below(3) {
        files.push(format!("python/{framework}/{}", random.pick(&FILES)));
    }
    let (status, motive, how, details, read, risk) = if zh {
        (
            "状态/时间",
            "动机: 标题",
            "实现要点",
            "代码 diff 细节",
            "已读文件",
            "验证与风险",
        )
    } else {
        (
            "Status/date",
            "Motivation: Title",
            "Key implementation",
            "Code diff details",
            "Reviewed files",
            "Risk and verification",
        )
    };
    let mut text = format!(
        "### PR #{pr} - {title}\n\n- Link: https://github.com/x/{framework}/pull/{pr}\n- {status}: {state} / {date}\n\
         - {motive}: \"{title}\"; model line: {family}; main diff: `{}`; {}\n- {how}: ",
        files[0],
        sentence(random, zh),
    );
    for file in &files {
        let _ = write!(
            text,
            "`{file}` modified +{}/-{}; symbols: {}, {}; ",
            random.below(400),
            random.below(90),
            random.pick(&SYMBOLS),
            random.pick(&SYMBOLS)
        );
    }
    let _ = writeln!(text, "\n- {details}:");
    for file in &files {
        let _ = writeln!(
            text,
            "  - `{file}` modified; hunks: -{0},6 +{0},7",
            random.below(900)
        );
    }
    text.push_str("- Key code excerpts:\n\n```diff\n");
    for file in &files {
        let _ = writeln!(text, "diff -- {file}");
        for _ in 0..2 + random.below(3) {
            let _ = writeln!(
                text,
                "@@ -{0},6 +{0},9 @@ def {1}(",
                random.below(900),
                random.pick(&SYMBOLS)
            );
            for _ in 0..2 + random.below(5) {
                let thing = random.pick(&THINGS).replace([' ', '-'], "_").to_lowercase();
                let _ = writeln!(
                    text,
                    "+        self.{thing} = {}(config.{}, v{})",
                    random.pick(&SYMBOLS),
                    random.pick(&SYMBOLS),
                    random.below(3000)
                );
            }
        }
    }
    let _ = writeln!(
        text,
        "```\n\n- {read}:\n  - runtime: `{}`\n- {risk}: {}\n",
        files.join("`, `"),
        sentence(random, zh)
    );
    out.push_str(&text);
}

/// Prose that speaks of other changes too, as real cards do.
fn sentence(random: &mut Random, zh: bool) -> String {
    if zh {
        format!(
            "参考 {} 与 {}，{}；需复跑精度与启动测试。",
            random.pick(&THINGS),
            random.pick(&THINGS),
            random.pick(&CHINESE)
        )
    } else {
        format!(
            "follows the work on {} and {}; regression risk is {}, {} and parser output",
            random.pick(&THINGS),
            random.pick(&THINGS),
            random.pick(&THINGS),
            random.pick(&THINGS)
        )
    }
}
