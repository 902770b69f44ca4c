//! Runs the program on a data directory of its own, with the smallest shape and a development key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_quire");

/// A data directory.
pub struct Quire {
    folder: TempDir,
}

/// The keys of shape `tiny`, made once for all tests.
pub fn tiny_keys() -> &'static Path {
    static KEYS: OnceLock<TempDir> = OnceLock::new();
    let folder = KEYS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let output = program()
            .args([
                "keys",
                "setup",
                "--shape",
                "tiny",
                "--insecure-dev-seed",
                "1",
            ])
            .arg("--keys-dir")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        folder
    });
    folder.path()
}

/// The program without settings from outside.
pub fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    let own = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIRE_"));
    own.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

/// The fields of the JSON that a command prints are in its help.
fn check_fields(args: &[&str], printed: &Value) {
    static HELP: Mutex<BTreeMap<Vec<String>, String>> = Mutex::new(BTreeMap::new());
    let groups = [
        "keys", "ceremony", "export", "wallet", "batch", "circuit", "bench", "config", "exit",
        "l1", "attack", "verifier", "operator", "mempool", "groth16",
    ];
    let inner = args.starts_with(&["groth16", "key"]);
    let words = 1 + usize::from(groups.contains(&args[0])) + usize::from(inner);
    let command: Vec<String> = args[..words]
        .iter()
        .map(|word| (*word).to_owned())
        .collect();
    let mut known = HELP.lock().unwrap_or_else(PoisonError::into_inner);
    let help = known.entry(command.clone()).or_insert_with(|| {
        let output = program().args(&command).arg("--help").output().unwrap();
        text(&output.stdout)
    });
    let documented = help.split("JSON: ").nth(1).unwrap();
    let first = printed
        .as_array()
        .map_or(Some(printed), |list| list.first());
    for field in first
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|facts| facts.keys())
    {
        let mut words = documented.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(
            words.any(|word| word == field),
            "{command:?} does not document {field}"
        );
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Quire {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Two wallets with two ETH in account 2 (alice) and one in account 3 (bob), executed.
    pub fn with_accounts() -> Self {
        let quire = Self::new();
        for (wallet, amount) in [("alice", "2eth"), ("bob", "1eth")] {
            quire.json(&["wallet", "new", wallet, "--no-passphrase"]);
            let shape = ["--shape", "tiny"];
            let new = if wallet == "alice" { &shape[..] } else { &[] };
            quire.json(&[&["deposit", "--wallet", wallet, "--amount", amount], new].concat());
        }
        let sealed = quire.json(&["seal", "--all"]);
        assert_eq!(sealed["l1_ops"], 2);
        quire
    }

    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file into the data directory and returns its path as text.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command
            .arg("--data-dir")
            .arg(self.dir())
            .arg("--keys-dir")
            .arg(tiny_keys())
            .args(["--allow-dev-keys", "--threads", "2"])
            .args(args);
        command
    }

    /// Runs a command that succeeds and returns what it prints with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.command(args).arg("--json").output().unwrap();
        let error = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("{args:?} printed no JSON: {}", text(&output.stdout));
        });
        check_fields(args, &printed);
        printed
    }

    /// Runs a command that fails and returns its message.
    pub fn fails(&self, args: &[&str]) -> String {
        error_of(&mut self.command(args), args)
    }

    /// Runs a command that fails with this status and returns its message.
    pub fn fails_with(&self, status: i32, args: &[&str]) -> String {
        let (got, message) = failure_of(&mut self.command(args), args);
        assert_eq!(got, status, "{args:?}: {message}");
        message
    }
}

/// The message of a command that fails as it should: no success, no panic, no result.
pub fn error_of(command: &mut Command, args: &[&str]) -> String {
    failure_of(command, args).1
}

/// Status and message of a command that fails as it should.
pub fn failure_of(command: &mut Command, args: &[&str]) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let message = text(&stderr);
    let code = status
        .code()
        .unwrap_or_else(|| panic!("{args:?} was killed: {message}"));
    assert!(
        (1..=5).contains(&code),
        "{args:?} exited with {code}: {message}"
    );
    assert!(
        !message.contains("panicked") && !message.contains("fault of the program"),
        "{message}"
    );
    assert!(stdout.is_empty(), "{args:?} printed {}", text(&stdout));
    (code, message)
}
