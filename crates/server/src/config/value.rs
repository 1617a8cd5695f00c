//! The texts of single settings, parsed. Every error says what was expected, with an example.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// An address with a port. Names are not looked up, but `localhost` is understood.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let expected =
        || format!("{text:?} is no address; write one such as 127.0.0.1:1234, [::1]:1234 or 0.0.0.0:1234");
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| expected())?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| expected())
}

/// A URL of scheme, host and port alone.
pub(super) fn origin(text: &str) -> Result<Arc<str>, String> {
    let expected = || format!("{text:?} is no address of a server; write one such as http://10.0.0.7:1234");
    let url = text.strip_suffix('/').unwrap_or(text);
    let uri: http::Uri = url.parse().map_err(|_| expected())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let has_user = uri.authority().is_none_or(|host| host.as_str().contains('@'));
    if is_web && is_bare && !has_user { Ok(url.into()) } else { Err(expected()) }
}

/// `true` or `false`, also `1` and `0`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// A whole number within bounds.
pub(super) fn count(text: &str, bounds: RangeInclusive<usize>) -> Result<usize, String> {
    let count = text.parse().map_err(|_| format!("{text:?} is no whole number"))?;
    within(count, bounds, text, |bound| bound)
}

/// A number with a unit, within bounds.
pub(super) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
    let expected =
        || format!("{text:?} is no time; write a whole number with ms, s, min, h or d, such as 20s");
    let (number, unit) = split(text).ok_or_else(expected)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let duration = Duration::from_millis(number.checked_mul(milliseconds).ok_or_else(expected)?);
    within(duration, bounds, text, ShownDuration)
}

/// A number with a unit, up to ten years.
pub(crate) fn any_duration(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1)..=Duration::from_hours(24 * 3650))
}

/// A number of bytes, with a unit or without, within bounds.
pub(super) fn bytes(text: &str, bounds: RangeInclusive<usize>) -> Result<usize, String> {
    let expected =
        || format!("{text:?} is no size; write a whole number with B, KiB, MiB or GiB, such as 64MiB");
    let (number, unit) = split(text).ok_or_else(expected)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(expected()),
    };
    let size =
        number.checked_mul(1 << shift).and_then(|size| usize::try_from(size).ok()).ok_or_else(expected)?;
    within(size, bounds, text, ShownBytes)
}

/// Splits `20s` into 20 and `s`. Spaces between the two are allowed.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

fn within<T: PartialOrd + Copy, S: fmt::Display>(
    value: T,
    bounds: RangeInclusive<T>,
    text: &str,
    show: impl Fn(T) -> S,
) -> Result<T, String> {
    if bounds.contains(&value) {
        Ok(value)
    } else {
        let (least, most) = (show(*bounds.start()), show(*bounds.end()));
        Err(format!("{text} is out of bounds; from {least} to {most} is possible"))
    }
}

/// A duration as settings write it, in the largest unit that needs no fraction.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownDuration(pub(super) Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let (number, unit) = match milliseconds {
            0 => (0, "s"),
            m if m % 86_400_000 == 0 => (m / 86_400_000, "d"),
            m if m % 3_600_000 == 0 => (m / 3_600_000, "h"),
            m if m % 60_000 == 0 => (m / 60_000, "min"),
            m if m % 1_000 == 0 => (m / 1_000, "s"),
            m => (m, "ms"),
        };
        write!(f, "{number}{unit}")
    }
}

/// A number of bytes as settings write it, in the largest unit that needs no fraction.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownBytes(pub(super) usize);

impl fmt::Display for ShownBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            0 => (0, "B"),
            b if b % (1 << 30) == 0 => (b >> 30, "GiB"),
            b if b % (1 << 20) == 0 => (b >> 20, "MiB"),
            b if b % (1 << 10) == 0 => (b >> 10, "KiB"),
            b => (b, "B"),
        };
        write!(f, "{number}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("localhost:80").unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("[::1]:0").unwrap(), "[::1]:0".parse().unwrap());
        for text in ["", "1234", ":1234", "localhost", "localhost:x", "example.com:80", "127.0.0.1:70000"] {
            assert!(address(text).unwrap_err().contains("write one such as"), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_keep_within_bounds() {
        let second_to_day = Duration::from_secs(1)..=Duration::from_hours(24);
        let parse = |text| duration(text, second_to_day.clone());
        assert_eq!(parse("20s").unwrap(), Duration::from_secs(20));
        assert_eq!(parse("1500 ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(parse("2h").unwrap(), Duration::from_hours(2));
        for text in ["", "20", "s", "-1s", "1.5s", "20 parsecs", "99999999999999999999d"] {
            assert!(parse(text).unwrap_err().contains("is no time"), "{text}");
        }
        assert_eq!(parse("10ms").unwrap_err(), "10ms is out of bounds; from 1s to 1d is possible");
    }

    #[test]
    fn sizes_may_have_a_unit() {
        let parse = |text| bytes(text, 1024..=1 << 30);
        assert_eq!(parse("64MiB").unwrap(), 64 << 20);
        assert_eq!(parse("2048").unwrap(), 2048);
        for text in ["", "MiB", "64MB", "1.5MiB", "99999999999GiB", "-1"] {
            assert!(parse(text).unwrap_err().contains("is no size"), "{text}");
        }
        assert_eq!(parse("1B").unwrap_err(), "1B is out of bounds; from 1KiB to 1GiB is possible");
    }

    #[test]
    fn what_is_shown_parses_again() {
        for milliseconds in [1, 999, 1000, 60_000, 90_000, 3_600_000, 86_400_000] {
            let value = Duration::from_millis(milliseconds);
            assert_eq!(
                duration(&ShownDuration(value).to_string(), Duration::ZERO..=Duration::MAX),
                Ok(value)
            );
        }
        for value in [0, 1, 1023, 1024, 1 << 20, (1 << 20) + 1, 3 << 30] {
            assert_eq!(bytes(&ShownBytes(value).to_string(), 0..=usize::MAX), Ok(value));
        }
    }

    #[test]
    fn counts_and_switches() {
        assert_eq!(count("5", 1..=9), Ok(5));
        assert_eq!(count("0", 1..=9).unwrap_err(), "0 is out of bounds; from 1 to 9 is possible");
        assert!(count("five", 1..=9).is_err());
        assert_eq!((switch("true"), switch("0")), (Ok(true), Ok(false)));
        assert!(switch("yes").is_err());
    }
}
