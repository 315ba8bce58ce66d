//! Numbers as they stand on axes and in tables.

/// Three significant digits, without trailing zeros; thousands grouped.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    let digits = if size == 0.0 || size >= 100.0 {
        0
    } else {
        (2 - size.log10().floor() as i32).clamp(0, 6) as usize
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match text {
        "-0" => "0".to_owned(),
        text => grouped(text),
    }
}

/// [`short`] with a sign.
pub fn signed(value: f64) -> String {
    let text = short(value);
    match value > 0.0 && text != "0" {
        true => format!("+{text}"),
        false => text.replace('-', "−"),
    }
}

/// A relative difference with its sign, to a hundredth of a percent: intervals
/// of a gap are rarely narrower.
pub fn signed_pct(value: f64) -> String {
    let text = format!("{value:+.2}%");
    match text.as_str() {
        "-0.00%" => "+0.00%".to_owned(),
        _ => text.replace('-', "−"),
    }
}

fn grouped(text: &str) -> String {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.5, "0.5"),
            (0.012_345, "0.0123"),
            (7.068, "7.07"),
            (94.25, "94.2"),
            (486.7, "487"),
            (20_000.0, "20,000"),
            (-1_234_567.0, "-1,234,567"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(signed(-5.663), "−5.66");
        assert_eq!(signed(0.4), "+0.4");
        assert_eq!(signed_pct(0.008_84), "+0.01%");
        assert_eq!(signed_pct(-5.663), "−5.66%");
        assert_eq!(signed_pct(-0.001), "+0.00%");
    }
}
