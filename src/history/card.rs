//! The Markdown of a knowledge folder, cut into one card a pull request.
//!
//! A card begins at a heading (`### PR #12345 - title`; the number may be
//! missing) and ends at the next one. Known labels of its list items, English
//! or Chinese, give state, date, files, symbols and risk; nothing else is
//! required, so an incomplete card is still a card.

use std::collections::HashSet;

/// Most text of one card that is read; the rest of a longer card is not searched.
const CARD_TEXT: usize = 256 * 1024;
/// Longest title kept, in bytes.
const TITLE: usize = 400;
const FILES: usize = 200;
const SYMBOLS: usize = 200;

/// One card as it stands in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    pub pr: Option<u64>,
    pub title: String,
    pub state: Option<&'static str>,
    pub date: Option<String>,
    pub files: Vec<String>,
    pub symbols: Vec<String>,
    pub risk: Option<String>,
    /// First and last line in the file, from 1.
    pub line: u32,
    pub line_end: u32,
    /// The prose, for the index.
    pub prose: String,
    /// The diff excerpts, for the index.
    pub code: String,
}

/// A file in the published layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// First heading.
    pub title: String,
    pub cards: Vec<Card>,
    /// The family's implementation files, from the coverage table.
    pub coverage: Vec<String>,
}

/// Reads a whole file. Any text is accepted.
pub fn parse(text: &str) -> Document {
    let mut reader = Reader::default();
    for (line, number) in text.lines().zip(1..) {
        reader.line(line, number);
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    document: Document,
    card: Option<Card>,
    rows: Vec<Card>,
    label: Label,
    fence: Option<&'static str>,
    last_text: u32,
}

/// What a list item is about, by its label.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Label {
    #[default]
    Other,
    Status,
    Files,
    Symbols,
    Risk,
}

impl Reader {
    fn line(&mut self, line: &str, number: u32) {
        if let Some((level, heading)) = heading(line) {
            let numbered = pr_heading(heading);
            if self.fence.is_none() || numbered.is_some() {
                self.fence = None;
                self.heading(level, heading, numbered, number);
                return;
            }
        }
        if !line.trim().is_empty() {
            self.last_text = number;
        }
        if let Some(mark) = fence_mark(line) {
            self.fence = match self.fence {
                Some(open) if open == mark => None,
                None => Some(mark),
                open => open,
            };
            return;
        }
        match (&mut self.card, self.fence) {
            (Some(card), Some(_)) => code_line(card, line),
            (Some(card), None) => prose_line(card, &mut self.label, line),
            (None, None) => self.table_row(line, number),
            (None, Some(_)) => {}
        }
    }

    fn heading(&mut self, level: usize, text: &str, numbered: Option<(u64, &str)>, number: u32) {
        let is_card = match numbered {
            Some(_) => (2..=5).contains(&level),
            None => level == 3,
        };
        if is_card || level <= 2 {
            self.close_card();
        }
        self.last_text = number;
        if is_card {
            let (pr, title) = match numbered {
                Some((pr, title)) => (Some(pr), title),
                None => (None, text),
            };
            self.label = Label::Other;
            self.card = Some(Card {
                pr,
                title: clip(title.trim(), TITLE).to_owned(),
                line: number,
                line_end: number,
                ..Card::default()
            });
        } else if level == 1 && self.document.title.is_empty() {
            self.document.title = clip(text.trim(), TITLE).to_owned();
        }
    }

    fn close_card(&mut self) {
        if let Some(mut card) = self.card.take() {
            card.line_end = self.last_text.max(card.line);
            self.document.cards.push(card);
        }
    }

    /// Rows of the tables before the cards: `file | PRs` and the timeline.
    fn table_row(&mut self, line: &str, number: u32) {
        let Some(row) = line.trim().strip_prefix('|') else {
            return;
        };
        let cells: Vec<&str> = row
            .trim_end_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        let date = cells.iter().find_map(|cell| iso_date(cell));
        let pr = cells.iter().find_map(|cell| bracketed_pr(cell));
        match (cells.as_slice(), date, pr) {
            ([file, ..], None, _) => {
                if let Some(path) = code_spans(file).find(|span| is_path(span)) {
                    self.document.coverage.push(path.to_owned());
                }
            }
            ([_, _, state, title, files @ ..], Some(date), Some(pr)) => self.rows.push(Card {
                pr: Some(pr),
                title: clip(title, TITLE).to_owned(),
                state: state_of(state),
                date: Some(date.to_owned()),
                files: files
                    .iter()
                    .flat_map(|cell| code_spans(cell))
                    .map(str::to_owned)
                    .collect(),
                line: number,
                line_end: number,
                ..Card::default()
            }),
            _ => {}
        }
    }

    /// A timeline row stands in where the file has no card of that number.
    fn finish(mut self) -> Document {
        self.close_card();
        let numbered: HashSet<u64> = self.document.cards.iter().filter_map(|c| c.pr).collect();
        let alone = self
            .rows
            .into_iter()
            .filter(|row| row.pr.is_some_and(|pr| !numbered.contains(&pr)));
        self.document.cards.extend(alone);
        self.document
    }
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with([' ', '\t'])).then(|| (level, text.trim()))
}

/// `PR #12345 - title`, `#12345: title`, `[PR #12345](link) title`.
fn pr_heading(text: &str) -> Option<(u64, &str)> {
    let bare = text.trim_start_matches(['[', '*', '`', ' ']);
    let after_pr = ["Pull Request", "PR", "pr", "Pr", "MR"]
        .iter()
        .find_map(|word| bare.strip_prefix(word));
    let marked = after_pr.unwrap_or(bare).trim_start().strip_prefix('#');
    let digits_at = match (marked, after_pr) {
        (Some(rest), _) => rest,
        (None, Some(rest)) => rest.trim_start(),
        (None, None) => return None,
    };
    let length = digits_at.bytes().take_while(u8::is_ascii_digit).count();
    let pr = digits_at[..length].parse().ok()?;
    let mut title = &digits_at[length..];
    if let Some(linked) = title.strip_prefix("](") {
        title = linked.split_once(')').map_or("", |(_, rest)| rest);
    }
    let title = title.trim_start_matches([' ', '-', ':', '：', '–', '—', ']', '*', '`', '|', ',']);
    // A number glued to letters is part of a word, not of a heading.
    let glued = digits_at[length..].starts_with(|c: char| c.is_alphanumeric());
    (!glued).then_some((pr, title))
}

fn fence_mark(line: &str) -> Option<&'static str> {
    let start = line.trim_start();
    ["```", "~~~"]
        .into_iter()
        .find(|mark| start.starts_with(mark))
}

fn code_line(card: &mut Card, line: &str) {
    if let Some(path) = diff_path(line) {
        add(&mut card.files, path, FILES);
    } else if let Some(header) = line.strip_prefix("@@ ")
        && let Some((_, context)) = header.split_once("@@")
        && let Some(symbol) = declared_symbol(context)
    {
        add(&mut card.symbols, symbol, SYMBOLS);
    }
    append(&mut card.code, line);
}

fn diff_path(line: &str) -> Option<&str> {
    let path = if let Some(rest) = line.strip_prefix("diff ") {
        rest.split_whitespace().next_back()
    } else {
        line.strip_prefix("+++ ")
    }?;
    let path = path.strip_prefix("b/").unwrap_or(path).trim();
    is_path(path).then_some(path)
}

/// The name that a line of source declares: `def f(`, `class C:`, `__global__ void k(`.
pub fn declared_symbol(line: &str) -> Option<&str> {
    let line = line.trim();
    for keyword in [
        "async def ",
        "def ",
        "class ",
        "struct ",
        "fn ",
        "pub fn ",
        "enum ",
    ] {
        if let Some(rest) = line.strip_prefix(keyword) {
            let name = identifier(rest);
            return (!name.is_empty()).then_some(name);
        }
    }
    let call = line.find('(')?;
    let kernel = ["__global__", "__device__", "void ", "template"]
        .iter()
        .any(|word| line.contains(word));
    let name = line[..call]
        .trim_end()
        .rsplit([' ', '*', '&', ':'])
        .next()?;
    (kernel && !name.is_empty() && identifier(name) == name).then_some(name)
}

fn identifier(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

fn prose_line(card: &mut Card, label: &mut Label, line: &str) {
    let item = line.trim_start().trim_start_matches(['-', '*', '+', ' ']);
    let indented = line.starts_with([' ', '\t']);
    let (named, rest) = split_label(item);
    if let Some(name) = named {
        let known = label_of(name);
        if known != Label::Other || !indented {
            *label = known;
        }
    }
    match *label {
        Label::Status => read_status(card, rest),
        Label::Risk => {
            let text = card.risk.get_or_insert_default();
            append(
                text,
                if named.is_some() && !indented {
                    rest
                } else {
                    item
                },
            );
        }
        Label::Symbols => {
            listed(rest, identifier_like).for_each(|s| add(&mut card.symbols, s, SYMBOLS))
        }
        Label::Files => listed(rest, is_path).for_each(|f| add(&mut card.files, f, FILES)),
        Label::Other => {}
    }
    for span in code_spans(item) {
        if *label != Label::Risk && is_path(span) {
            add(&mut card.files, span, FILES);
        }
    }
    inline_symbols(card, item);
    append(&mut card.prose, item);
}

/// `symbols: a, b, c` inside a sentence, as the published cards write it.
fn inline_symbols(card: &mut Card, item: &str) {
    for after in item.split("symbols: ").skip(1) {
        let end = after
            .find([';', '`', '，', '；', '。'])
            .unwrap_or(after.len());
        for symbol in after[..end].split(", ").filter(|s| identifier_like(s)) {
            if symbol != "touching" {
                add(&mut card.symbols, symbol, SYMBOLS);
            }
        }
    }
}

fn split_label(item: &str) -> (Option<&str>, &str) {
    let Some((at, mark)) = item.char_indices().find(|(_, c)| matches!(c, ':' | '：')) else {
        return (None, item);
    };
    let name = item[..at].trim_matches(['*', '_', ' ', '`']);
    let rest = item[at + mark.len_utf8()..].trim_start_matches(['*', ' ']);
    match name.chars().count() {
        1..=40 if !name.contains(['`', '.']) => (Some(name), rest),
        _ => (None, item),
    }
}

fn label_of(name: &str) -> Label {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["risk", "风险", "验证", "regression"]) {
        Label::Risk
    } else if has(&["symbol", "function", "符号", "函数", "classes", "kernels"]) {
        Label::Symbols
    } else if has(&[
        "status", "state", "date", "merged", "created", "状态", "时间", "日期", "合并",
    ]) {
        Label::Status
    } else if has(&["file", "文件", "path", "路径"]) {
        Label::Files
    } else {
        Label::Other
    }
}

fn read_status(card: &mut Card, rest: &str) {
    card.state = card.state.or_else(|| state_of(rest));
    let lower = rest.to_lowercase();
    let merged = ["merged", "合并"].iter().find_map(|word| lower.find(word));
    let after = merged
        .and_then(|at| rest.get(at..))
        .and_then(iso_date)
        .or_else(|| iso_date(rest));
    if card.date.is_none() {
        card.date = after.map(str::to_owned);
    }
}

fn state_of(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let states = [
        ("merged", &["merged", "已合并", "合并"][..]),
        (
            "closed",
            &["closed", "abandoned", "rejected", "已关闭", "关闭"],
        ),
        (
            "open",
            &["open", "draft", "wip", "未合并", "进行中", "开放", "打开"],
        ),
    ];
    if text.contains("未合并") || text.contains("unmerged") || text.contains("not merged") {
        return Some(if text.contains("closed") || text.contains("关闭") {
            "closed"
        } else {
            "open"
        });
    }
    states
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)))
        .map(|(state, _)| *state)
}

fn iso_date(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    bytes
        .windows(10)
        .position(|w| {
            w.iter().enumerate().all(|(at, b)| match at {
                4 | 7 => *b == b'-',
                _ => b.is_ascii_digit(),
            })
        })
        .and_then(|at| text.get(at..at + 10))
}

fn bracketed_pr(cell: &str) -> Option<u64> {
    let digits = cell.trim_start_matches('[').strip_prefix('#')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    digits[..length].parse().ok()
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Entries of a list in code spans, or separated by commas.
fn listed(text: &str, wanted: fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let spans = text.contains('`');
    let (odd, even) = if spans {
        (Some(text.split('`').skip(1).step_by(2)), None)
    } else {
        (None, Some(text))
    };
    let plain = even
        .into_iter()
        .flat_map(|text| text.split([',', '，', '、', ';', '；', ' ']));
    odd.into_iter()
        .flatten()
        .flat_map(|span| span.split(", "))
        .chain(plain)
        .map(str::trim)
        .filter(move |entry| wanted(entry))
}

/// Whether a word is a path of a source file.
fn is_path(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or(text);
    text.len() <= 300
        && !text.contains([' ', '(', '<', '>', '\t', '"'])
        && !text.contains("://")
        && name.rsplit_once('.').is_some_and(|(stem, extension)| {
            !stem.is_empty()
                && (1..=5).contains(&extension.len())
                && extension.starts_with(|c: char| c.is_ascii_alphabetic())
                && extension.bytes().all(|b| b.is_ascii_alphanumeric())
                && (text.contains('/') || KNOWN.contains(&extension))
        })
}

const KNOWN: [&str; 14] = [
    "py", "cu", "cuh", "cpp", "cc", "h", "hpp", "rs", "md", "mdx", "json", "toml", "yaml", "yml",
];

fn identifier_like(text: &str) -> bool {
    text.len() <= 120
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'(' | b')'))
}

fn add(list: &mut Vec<String>, entry: &str, most: usize) {
    if list.len() < most && !list.iter().any(|known| known == entry) {
        list.push(entry.to_owned());
    }
}

fn append(text: &mut String, line: &str) {
    let room = CARD_TEXT.saturating_sub(text.len() + 1);
    if room > 0 && !line.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(clip(line, room));
    }
}

/// The longest prefix of at most `most` bytes that ends on a character.
pub fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
