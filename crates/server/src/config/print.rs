//! A configuration as TOML, each line with the place its value came from.

use std::fmt::Write as _;

use quire_persistence::StoreSpec;

use super::fault::Place;
use super::raw::Raw;
use super::setting::{Kind, SETTINGS, Setting};

/// What counts of `raw`, as a TOML file that gives the same configuration. Takes every value for valid.
pub fn print(raw: &Raw) -> String {
    let lines: Vec<_> = SETTINGS.iter().map(|setting| line(raw, setting)).collect();
    let width = lines.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (text, place) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text:width$}  # {place}");
    }
    out
}

fn line(raw: &Raw, setting: &Setting) -> (String, String) {
    let (texts, place) = match raw.given(setting) {
        Some(given) => (given.texts.clone(), given.place.clone()),
        None if setting.default.is_empty() => (Vec::new(), Place::Default),
        None => (vec![setting.default.to_owned()], Place::Default),
    };
    if setting.kind == Kind::Secret {
        let state = if texts.is_empty() { "is not set" } else { "is set and not shown" };
        return (format!("# {} {state}", setting.key), place.to_string());
    }
    if setting.kind == Kind::Value && texts.is_empty() {
        return (format!("# {} is not set", setting.key), place.to_string());
    }
    if setting.key == "store"
        && let Ok(spec) = texts.concat().parse::<StoreSpec>()
        && spec.to_string() != texts.concat()
    {
        return (format!("# store is {spec}, with a password that is not shown"), place.to_string());
    }
    if setting.key == "redis" && texts.concat().contains('@') {
        return ("# redis is set, with a password that is not shown".to_owned(), place.to_string());
    }
    let quoted = |text: &String| toml::Value::from(text.as_str()).to_string();
    let value = match setting.kind {
        Kind::Value if texts.concat().bytes().all(|byte| byte.is_ascii_digit()) => texts.concat(),
        Kind::Value | Kind::Secret => quoted(&texts.concat()),
        Kind::Switch => {
            if matches!(texts.concat().as_str(), "true" | "1") { "true" } else { "false" }.to_owned()
        }
        Kind::List => format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", ")),
    };
    let place = match place {
        Place::File { path, line } => {
            format!("{}{}", path.display(), line.map_or_else(String::new, |line| format!(", line {line}")))
        }
        Place::Default | Place::Variable(_) | Place::Flag(_) => place.to_string(),
    };
    (format!("{} = {value}", setting.key), place)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, file};
    use super::*;

    #[test]
    fn what_is_printed_gives_the_same_configuration() {
        let mut raw = Raw::default();
        file::read(&mut raw, Path::new("a.toml"), "\nkeepalive = \"5s\"\n");
        raw.add_environment([("QUIRE_LOG".into(), "warn".into())]);
        raw.add_flag(Setting::by_key("allow_anonymous").unwrap(), vec!["1".to_owned()]);
        raw.add_flag(Setting::by_key("view_workers").unwrap(), vec!["3".to_owned()]);
        raw.add_flag(Setting::by_key("fault_injection").unwrap(), vec!["store-delay=1s".to_owned()]);
        let printed = print(&raw);
        let shown = |raw: &Raw| format!("{:?}", Config::resolve(raw).unwrap());
        let before = shown(&raw);
        let has = |value: &str, place: &str| {
            assert!(
                printed.lines().any(|line| line.starts_with(value) && line.ends_with(place)),
                "{value} {place} is not in\n{printed}"
            );
        };
        has("keepalive = \"5s\" ", " # a.toml, line 2");
        has("log = \"warn\" ", " # QUIRE_LOG");
        has("allow_anonymous = true ", " # --allow-anonymous");
        has("fault_injection = [\"store-delay=1s\"] ", " # --fault-injection");
        has("view_workers = 3 ", " # --view-workers");
        has("listen = \"127.0.0.1:1234\" ", " # default");

        raw.add_flag(Setting::by_key("store").unwrap(), vec!["postgres://ada:s3cret@db/quire".to_owned()]);
        let secret = print(&raw);
        assert!(secret.contains("# store is postgres://ada@db/quire, with a password"), "{secret}");
        assert!(!secret.contains("s3cret"), "{secret}");

        let mut again = Raw::default();
        file::read(&mut again, Path::new("b.toml"), &printed);
        assert_eq!(shown(&again), before);
    }
}
