//! The functions, classes and lines that a patch changes.

use std::collections::HashSet;

use super::card::declared_symbol;

const SYMBOLS: usize = 40;

/// What the second log tells of a commit.
#[derive(Debug, Default)]
pub struct Hunks {
    pub symbols: Vec<String>,
    /// First hunk: file, first and last line.
    pub first: Option<(String, u32, u32)>,
}

/// The functions and classes that a patch declares or changes.
pub fn hunks(patch: &str) -> Hunks {
    let mut found = Hunks::default();
    let mut seen = HashSet::new();
    let mut file = "";
    for line in patch.lines() {
        let symbol = if let Some(path) = line.strip_prefix("+++ ") {
            file = path.strip_prefix("b/").unwrap_or(path);
            None
        } else if let Some(header) = line.strip_prefix("@@ ") {
            let (range, context) = header.split_once(" @@").unwrap_or((header, ""));
            if found.first.is_none() && file != "/dev/null" {
                found.first = new_lines(range).map(|(from, to)| (file.to_owned(), from, to));
            }
            declared_symbol(context)
        } else if let Some(changed) = line.strip_prefix(['+', '-']) {
            declared_symbol(changed)
        } else {
            None
        };
        if let Some(symbol) = symbol
            && found.symbols.len() < SYMBOLS
            && symbol.len() <= 120
            && seen.insert(symbol)
        {
            found.symbols.push(symbol.to_owned());
        }
    }
    found
}

/// First and last new line of `-a,b +c,d`.
fn new_lines(range: &str) -> Option<(u32, u32)> {
    let (_, new) = range.split_once('+')?;
    let (from, count) = new.split_once(',').unwrap_or((new, "1"));
    let from: u32 = from.trim().parse().ok()?;
    let count: u32 = count.trim().parse().ok()?;
    Some((
        from.max(1),
        from.max(1).saturating_add(count.saturating_sub(1)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_name_functions_and_lines() {
        let patch = "diff --git a/m/qwen3.py b/m/qwen3.py\n--- a/m/qwen3.py\n+++ b/m/qwen3.py\n\
                     @@ -10,2 +10,3 @@ class Qwen3Attention(nn.Module):\n-    def old(self):\n+    def forward(self):\n";
        let found = hunks(patch);
        assert_eq!(found.symbols, ["Qwen3Attention", "old", "forward"]);
        assert_eq!(found.first, Some(("m/qwen3.py".to_owned(), 10, 12)));
    }
}
