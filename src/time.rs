//! Points in time, for a core that does not read the clock.

use std::time::Duration;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch: a NumericDate of RFC 7519 section 2.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Seconds since the epoch with their fraction, to compare with a NumericDate.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact below 2^53 ms, the year 287396")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The time as HTTP writes it (RFC 9110 section 5.6.7, IMF-fixdate), in whole seconds. Times
    /// after the year 9999 become its last second, since the year has four digits.
    #[must_use]
    pub fn to_http_date(self) -> String {
        const LAST: u64 = 253_402_300_799;
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
        let secs = self.as_secs().min(LAST);
        let (days, second) = (secs / 86_400, secs % 86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // Count days from 1 March of the year 0: then a leap day is the last day of its year, and
        // 400 years have 146,097 days.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let leap_days = day_of_era / 1460 + day_of_era / 146_096;
        let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let year = era * 400 + year_of_era + u64::from(month >= 10);
        let name = |names: &[&'static str], index: u64| {
            usize::try_from(index).ok().and_then(|index| names.get(index).copied())
        };
        let weekday = name(&WEEKDAYS, days % 7).unwrap_or_default();
        let month = name(&MONTHS, month).unwrap_or_default();
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// The time as RFC 3339 writes it, in UTC, in whole seconds. Times after the year 9999 become
    /// its last second.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let seconds = Duration::from_secs(self.as_secs().min(253_402_300_799));
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + seconds).to_string()
    }

    /// The same, to the millisecond.
    #[must_use]
    pub fn to_rfc3339_millis(self) -> String {
        let millis = Duration::from_millis(self.as_millis().min(253_402_300_799_999));
        humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + millis).to_string()
    }

    /// This time plus a duration.
    #[must_use]
    pub fn plus(self, while_: Duration) -> Self {
        let millis = u64::try_from(while_.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The time since `earlier`; zero if that is in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_http_dates() {
        for (secs, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
            (1_798_761_600, "Fri, 01 Jan 2027 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(Timestamp::from_secs(secs).to_http_date(), expected);
        }
        assert_eq!(
            Timestamp::from_millis(784_111_777_999).to_http_date(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }
}
