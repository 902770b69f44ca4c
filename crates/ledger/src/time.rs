//! Times for people. Protocol and files have seconds since 1970.

use std::fmt;

const DAY: u64 = 24 * 60 * 60;
/// The first second of the year 10000, from which dates have more than four digits.
const END: u64 = 253_402_300_800;

/// A time in seconds since 1970, written as a date in UTC: `2026-12-01T04:58:07Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(time) = *self;
        if time >= END {
            return write!(f, "{time} s after 1970");
        }
        let (year, month, day) = date(time / DAY);
        let second = time % DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01: years that begin in March end with their leap day.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (400 * era + year + next, month, day)
}

/// A number of seconds, written with its units: `7 days`, `1 day 2 h 3 min 4 s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds) = *self;
        let days = if seconds / DAY == 1 { "day" } else { "days" };
        let parts = [
            (seconds / DAY, days),
            (seconds % DAY / 3600, "h"),
            (seconds / 60 % 60, "min"),
            (seconds % 60, "s"),
        ];
        let mut written = parts.into_iter().filter(|(number, _)| *number > 0);
        match written.next() {
            None => f.write_str("0 s"),
            Some((number, unit)) => {
                write!(f, "{number} {unit}")?;
                written.try_for_each(|(number, unit)| write!(f, " {number} {unit}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_in_utc() {
        for (time, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (END - 1, "9999-12-31T23:59:59Z"),
            (END, "253402300800 s after 1970"),
            (u64::MAX, "18446744073709551615 s after 1970"),
        ] {
            assert_eq!(Utc(time).to_string(), expected);
        }
    }

    /// Each day is the one after the day before.
    #[test]
    fn no_day_is_left_out() {
        let leap = |year: u64| {
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
        };
        let mut expected = (1970, 1, 1);
        for day in 0..END / DAY {
            assert_eq!(date(day), expected);
            let (year, month, of_month) = expected;
            let length = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, of_month) {
                (12, 31) => (year + 1, 1, 1),
                (month, last) if last == length => (year, month + 1, 1),
                (month, of_month) => (year, month, of_month + 1),
            };
        }
    }

    #[test]
    fn spans_have_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (1, "1 s"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (86_400, "1 day"),
            (604_801, "7 days 1 s"),
            (93_784, "1 day 2 h 3 min 4 s"),
        ] {
            assert_eq!(Span(seconds).to_string(), expected);
        }
    }
}
