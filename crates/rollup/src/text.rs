//! Numbers, rights and errors as people read them.

use std::error::Error;

use l1::SubmissionRight;
use ledger::time::Utc;

/// A count with separators: `1 234 567` is written `1,234,567`.
pub fn count(number: impl TryInto<u128>) -> String {
    let digits = number.try_into().unwrap_or(u128::MAX).to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that suits them.
pub fn bytes(number: u64) -> String {
    match number {
        0..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{:.1} KiB", number as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", number as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", number as f64 / 1_073_741_824.0),
    }
}

/// Who may submit batches.
pub fn right_text(right: SubmissionRight) -> String {
    match right {
        SubmissionRight::Nobody => "nobody, L1 is frozen".to_owned(),
        SubmissionRight::Operator { opens_at: None } => {
            "the operator; anybody once a queue entry has waited too long".to_owned()
        }
        SubmissionRight::Operator { opens_at: Some(at) } => format!(
            "the operator; anybody from {} on, if the oldest queue entry still waits then",
            Utc(at)
        ),
        SubmissionRight::OperatorsHour { until } => {
            format!(
                "the operator alone, which has returned, until {}",
                Utc(until)
            )
        }
        SubmissionRight::Anybody {
            since_entry: Some(entry),
            ..
        } => format!("anybody: entry {entry} of the queue is overdue"),
        SubmissionRight::Anybody { .. } => {
            "anybody, until a batch of the operator is final".to_owned()
        }
    }
}

/// The error with its causes; a cause that the text before it tells already is left out.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let cause = error.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}
