//! Reading settings from a TOML file, with the line of each.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};
use super::raw::{Given, Raw};
use super::setting::{Kind, SETTINGS, Setting};

/// Adds the settings in `text`, the content of the file at `path`, to `raw`, and what is wrong with it to its faults.
pub(super) fn read(raw: &mut Raw, path: &Path, text: &str) {
    let place = |offset| Place::File { path: path.to_owned(), line: Some(line_of(text, offset)) };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = place(error.span().map_or(0, |span| span.start));
        raw.fault(Fault { place, key: None, message: format!("not TOML: {}", error.message().trim_end()) });
    }
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let place = place(key.span().start);
        let name = key.get_ref().as_ref();
        let fault = |message| Fault { place: place.clone(), key: Some(name.to_owned()), message };
        let Some(setting) = Setting::by_key(name) else {
            raw.fault(fault(format!("no setting has this name{}", suggestion(name))));
            continue;
        };
        match texts(setting, value) {
            Ok(texts) => raw.give(setting, Given { texts, place }),
            Err(message) => raw.fault(fault(message)),
        }
    }
}

/// The value as it would stand in a variable; for a list, one text for each of its elements.
fn texts(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    match (setting.kind, value.get_ref()) {
        (Kind::List, DeValue::Array(values)) => values.iter().map(text).collect(),
        (Kind::List, DeValue::String(_)) => Err("write a list: [\"..\"]".to_owned()),
        _ => text(value).map(|text| vec![text]),
    }
}

fn text(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        // TOML also writes 0x10 and 1_000; only plain digits mean the same in a flag.
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        other => Err(format!("found {}; write a string in quotes", other.type_str())),
    }
}

/// `; did you mean ..?` if a setting has a similar name, else nothing.
fn suggestion(name: &str) -> String {
    let plain = name.to_lowercase().replace('-', "_");
    closest(&plain, SETTINGS.iter().map(|setting| setting.key))
        .map_or_else(String::new, |key| format!("; did you mean {key}?"))
}

/// The candidate that `name` may be a misspelling of.
pub(super) fn closest<T: AsRef<str>>(name: &str, candidates: impl Iterator<Item = T>) -> Option<T> {
    // Two slips of the finger, but never as many as half of the letters.
    let allowed = 2.min(name.len() / 2);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate.as_ref()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut raw = Raw::default();
        read(&mut raw, Path::new("quire.toml"), text);
        raw.faults().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_become_texts_with_their_lines() {
        let mut raw = Raw::default();
        let text = "# mine\nkeepalive = \"5s\"\nmax_message = 1_048_576\nallow_anonymous = true\n\nfault_injection = [\"a\", \"b\"]\n";
        read(&mut raw, Path::new("quire.toml"), text);
        assert_eq!(raw.faults(), []);
        let given = |key| raw.given(Setting::by_key(key).unwrap()).cloned().unwrap();
        let at = |line| Place::File { path: "quire.toml".into(), line: Some(line) };
        assert_eq!(given("keepalive"), Given { texts: vec!["5s".into()], place: at(2) });
        assert_eq!(given("max_message"), Given { texts: vec!["1048576".into()], place: at(3) });
        assert_eq!(given("allow_anonymous"), Given { texts: vec!["true".into()], place: at(4) });
        assert_eq!(given("fault_injection"), Given { texts: vec!["a".into(), "b".into()], place: at(6) });
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        assert_eq!(
            faults("lisen = \"x\"\nidle-unload = \"1s\"\n[server]\nport = 1\n"),
            [
                "quire.toml:1: lisen: no setting has this name; did you mean listen?",
                "quire.toml:2: idle-unload: no setting has this name; did you mean idle_unload?",
                "quire.toml:3: server: no setting has this name",
            ]
        );
        assert_eq!(
            faults("keepalive = 1.5\nfault_injection = \"a\"\nlisten = [\"a\"]"),
            [
                "quire.toml:1: keepalive: found float; write a string in quotes",
                "quire.toml:2: fault_injection: write a list: [\"..\"]",
                "quire.toml:3: listen: found array; write a string in quotes",
            ]
        );
    }

    #[test]
    fn broken_toml_is_named_with_its_line_beside_other_faults() {
        let found = faults("lisen = \"x\"\nkeepalive = = 3\n");
        assert!(found.iter().any(|fault| fault.starts_with("quire.toml:2: not TOML: ")), "{found:?}");
        assert!(found.iter().any(|fault| fault.starts_with("quire.toml:1: lisen: ")), "{found:?}");
        assert!(
            faults("listen = \"a\"\nlisten = \"b\"\n")[0]
                .starts_with("quire.toml:2: not TOML: duplicate key")
        );
    }
}
