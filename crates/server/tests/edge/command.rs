//! The command line.

use std::fs;

use super::process::quire;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let output = quire().args(arguments).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_version_is_told() {
    assert_eq!(run(&["--version"], &[]).1, format!("quire {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn check_config_names_every_fault_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quire.toml");
    fs::write(&file, "# a comment\nlisten = \"0.0.0.0:1234\"\nkeep_alive = \"20s\"\nmax_message = \"big\"\n")
        .unwrap();
    let path = file.to_str().unwrap();
    let variables =
        [("QUIRE_IDLE_UNLOAD", "soon"), ("QUIRE_LGO", "info"), ("QUIRE_PORT_1234_TCP", "tcp://10.0.0.1")];
    let (code, stdout, stderr) =
        run(&["check-config", "--config", path, "--write-timeout", "0s"], &variables);
    assert_eq!((code, stdout.as_str()), (1, ""));
    for fault in [
        format!("error: {path}:2: listen: other machines can reach this address"),
        format!("error: {path}:3: keep_alive: no setting has this name; did you mean keepalive?"),
        format!("error: {path}:4: max_message: \"big\" is no size"),
        "error: QUIRE_IDLE_UNLOAD: \"soon\" is no time".to_owned(),
        "error: QUIRE_LGO: no setting has this name; did you mean QUIRE_LOG?".to_owned(),
        "error: --write-timeout: 0s is out of bounds; from 1s to 1h is possible".to_owned(),
        "warning: QUIRE_PORT_1234_TCP: is no setting and has no effect".to_owned(),
    ] {
        assert!(stderr.contains(&fault), "{fault} is not in\n{stderr}");
    }
    assert_eq!(stderr.lines().count(), 7, "{stderr}");

    let (code, stdout, serve) = run(&["serve", "--config", path, "--write-timeout", "0s"], &variables);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(serve.lines().filter(|line| line.starts_with("error: ")).count(), 6, "{serve}");
}

#[test]
fn check_config_prints_what_counts_and_where_it_is_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quire.toml");
    fs::write(&file, "keepalive = \"1s\"\nidle_unload = \"1s\"\noutbox = \"1MiB\"\n").unwrap();
    let path = file.to_str().unwrap();
    let variables = [("QUIRE_CONFIG", path), ("QUIRE_KEEPALIVE", "2s"), ("QUIRE_OUTBOX", "2MiB")];
    let (code, stdout, stderr) = run(&["check-config", "--outbox", "3MiB"], &variables);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for (value, place) in [
        ("idle_unload = \"1s\"", format!("# {path}, line 2")),
        ("keepalive = \"2s\"", "# QUIRE_KEEPALIVE".to_owned()),
        ("outbox = \"3MiB\"", "# --outbox".to_owned()),
        ("log = \"info\"", "# default".to_owned()),
    ] {
        let line = stdout
            .lines()
            .find(|line| line.starts_with(value))
            .unwrap_or_else(|| panic!("{value}\n{stdout}"));
        assert!(line.ends_with(&place), "{line}");
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let (code, stdout, stderr) = run(&["serve", "--listen", &address, "--data", data], &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&format!("cannot listen on {address}")), "{stderr}");

    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let (code, stdout, stderr) =
        run(&["serve", "--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()], &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&format!("cannot use the data folder {}", file.display())), "{stderr}");
}
