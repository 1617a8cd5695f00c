//! The programs of PostgreSQL, and the user that runs them.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is needed, in one folder.
const NEEDED: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
}

/// A user of the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Programs {
    pub(super) fn found() -> &'static Self {
        static FOUND: OnceLock<Programs> = OnceLock::new();
        FOUND.get_or_init(|| {
            let path = env::var_os("PATH").unwrap_or_default();
            // In PATH there may be links to some of them.
            let linked = env::split_paths(&path).filter_map(|folder| folder.join("initdb").canonicalize().ok());
            let linked = linked.filter_map(|program| program.parent().map(Path::to_owned));
            let mut installed: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
            installed.sort_by_key(|version| version.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
            let installed = installed.into_iter().rev().map(|version| version.path().join("bin"));
            let folder = linked.chain(installed).find(|folder| NEEDED.iter().all(|name| folder.join(name).exists()));
            let Some(folder) = folder else {
                panic!(
                    "this test needs PostgreSQL: install it (Debian: apt-get install postgresql), or put the folder \
                     with initdb, pg_ctl, postgres and psql into PATH"
                );
            };
            Programs { folder }
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A program of the server, which root does not run itself.
    pub(super) fn command(&self, name: &str) -> Command {
        as_server(Command::new(self.path(name)))
    }

    pub(super) fn psql(&self, url: &str, sql: &str) -> String {
        self.try_psql(url, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(super) fn try_psql(&self, url: &str, sql: &str) -> Result<String, String> {
        let mut command = Command::new(self.path("psql"));
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
        let output = command.args(["--dbname", url, "--command", sql]).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// The number of the user who runs this.
pub(super) fn own_user() -> u32 {
    fs::metadata("/proc/self").map_or(0, |process| process.uid())
}

/// Who runs a server instead of root; `None` for who is not root.
pub(super) fn server_user() -> Option<User> {
    if own_user() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Some(user.expect("root does not run PostgreSQL, and there is neither a user postgres nor nobody"))
}

pub(super) fn as_server(mut command: Command) -> Command {
    if let Some(User { uid, gid }) = server_user() {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/");
    command
}
