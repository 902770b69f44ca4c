//! Runs the program on a data directory of its own, with the smallest shape and a development key.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

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
        let output = Command::new(PROGRAM)
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
            quire.json(&["wallet", "new", wallet]);
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
        let mut command = Command::new(PROGRAM);
        command
            .arg("--data-dir")
            .arg(self.dir())
            .arg("--keys-dir")
            .arg(tiny_keys())
            .args(["--allow-dev-keys", "--threads", "2"])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that succeeds and returns what it prints with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.command(args).arg("--json").output().unwrap();
        let error = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("{args:?} printed no JSON: {}", text(&output.stdout));
        })
    }

    /// Runs a command that fails and returns its message.
    pub fn fails(&self, args: &[&str]) -> String {
        error_of(&mut self.command(args), args)
    }
}

/// The message of a command that fails as it should: no success, no panic, no result.
pub fn error_of(command: &mut Command, args: &[&str]) -> String {
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
        code == 1 || code == 2,
        "{args:?} exited with {code}: {message}"
    );
    assert!(
        !message.contains("panicked") && !message.contains("fault of the program"),
        "{message}"
    );
    assert!(stdout.is_empty(), "{args:?} printed {}", text(&stdout));
    message
}
