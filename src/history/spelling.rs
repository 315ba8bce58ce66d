//! How names are spelt: words, versions, sizes and dates in them.

/// Lower case, `-` between words, `.` only between digits.
pub fn normal(name: &str) -> String {
    let lower = name.to_lowercase();
    let chars: Vec<char> = lower.chars().collect();
    let digit = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(char::is_ascii_digit)
    };
    let mut out = String::with_capacity(lower.len());
    for (at, &c) in chars.iter().enumerate() {
        let inside = digit(at.checked_sub(1)) && digit(Some(at + 1));
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            '.' | '_' if inside => out.push('.'),
            _ => out.push('-'),
        }
    }
    out.trim_matches('-').to_owned()
}

pub fn uncamel(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            out.push('-');
        }
        out.push(c);
        before = c;
    }
    out
}

/// The text with the longest rule that stands in it on word boundaries replaced.
pub fn renamed(rules: &[(String, String)], text: &str) -> Option<String> {
    rules.iter().find_map(|(from, to)| {
        text.match_indices(from.as_str()).find_map(|(at, _)| {
            let end = at + from.len();
            let begins = at == 0 || text[..at].ends_with('-');
            let ends = end == text.len() || text[end..].starts_with('-');
            (begins && ends).then(|| format!("{}{to}{}", &text[..at], &text[end..]))
        })
    })
}

/// What may follow a line's name in one word: nothing, a version, `moe`, `vl`.
pub fn is_suffix(rest: &str) -> bool {
    rest.is_empty()
        || rest.starts_with(|c: char| c.is_ascii_digit())
        || (rest.len() <= 4 && rest.chars().any(|c| c.is_ascii_digit()))
        || ["moe", "vl", "v", "text", "mm", "asr", "ocr"].contains(&rest)
}

/// `7b`, `0.6b`, `a22b`, `8x7b`, `16e`, `128k`, `1t`.
pub fn is_size(word: &str) -> bool {
    let body = word.strip_prefix(['a', 'e']).unwrap_or(word);
    let Some(number) = body.strip_suffix(['b', 'm', 't', 'k', 'e']) else {
        return false;
    };
    !number.is_empty()
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'x'))
}

/// `2507`, `0324`, `20250805`: four digits and more are no version.
pub fn is_date(word: &str) -> bool {
    word.len() >= 4 && word.bytes().all(|b| b.is_ascii_digit())
}

/// The digits of `3`, `2.5`, `v3.1`, `k2`, `4.5v`, and the letters after them.
pub fn version(word: &str) -> Option<(String, &str)> {
    let body = match word.strip_prefix(['v', 'k', 'm', 'r', 's']) {
        Some(body) if body.starts_with(|c: char| c.is_ascii_digit()) => body,
        _ => word,
    };
    let end = body
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(body.len());
    let (number, letters) = body.split_at(end);
    if number.is_empty()
        || letters.len() > 3
        || letters.contains(|c: char| !c.is_ascii_alphabetic())
    {
        return None;
    }
    let short = number.strip_suffix(".0").unwrap_or(number);
    let digits: String = short.chars().filter(char::is_ascii_digit).collect();
    // `01` is 1, but `0.3` stays apart from 3.
    let digits = if short.contains('.') {
        &digits
    } else {
        digits.trim_start_matches('0')
    };
    (digits.len() <= 3 && !digits.is_empty()).then(|| (digits.to_owned(), letters))
}

/// `vl2` as `vl` and `2`.
pub fn split_digits(word: &str) -> Option<(&str, &str)> {
    let at = word.find(|c: char| c.is_ascii_digit())?;
    (at > 0).then(|| word.split_at(at))
}
