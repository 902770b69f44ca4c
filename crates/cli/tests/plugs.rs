//! The plug is pulled: the program is killed at each step that reaches the disk, and the same command is
//! given again. `make plugs` runs this; strace kills, at the n-th call of the operating system.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "all/fixture.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod fixture;

use std::process::Command;

use crate::fixture::{Quire, text, tiny_keys};

/// Calls by which content and names reach the disk, and drafts go.
const STEPS: [&str; 9] = [
    "fsync",
    "fdatasync",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "unlinkat",
];

/// A command under strace.
fn traced(quire: &Quire, options: &[&str], args: &[&str]) -> Command {
    let strace =
        std::env::var("QUIRE_STRACE").expect("QUIRE_STRACE names strace; see `make plugs`");
    let inner = quire.command(args);
    let mut command = Command::new(strace);
    command.args(["-f", "-qq"]).args(options).arg("--");
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// How often a whole run makes each of the calls.
fn steps(quire: &Quire, args: &[&str]) -> Vec<(&'static str, usize)> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_str().unwrap();
    let trace = format!("trace={}", STEPS.join(","));
    let output = traced(quire, &["-e", &trace, "-o", path], args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    let log = std::fs::read_to_string(path).unwrap();
    let count = |step: &&str| {
        log.lines()
            .filter(|line| line.contains(&format!(" {step}(")))
            .count()
    };
    STEPS.into_iter().map(|step| (step, count(&step))).collect()
}

/// Kills a command at every step in turn, each time in a directory of its own, and gives it again: it
/// does what it does, or says that it was done already. `check` sees the directory then.
fn at_every_step(prepare: impl Fn() -> Quire, args: &[&str], check: impl Fn(&Quire)) {
    let mut killed = 0;
    for (step, count) in steps(&prepare(), args) {
        for number in 1..=count {
            let quire = prepare();
            let (trace, inject) = (
                format!("trace={step}"),
                format!("inject={step}:signal=SIGKILL:when={number}"),
            );
            let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
            let first = traced(&quire, &options, args).output().unwrap();
            killed += usize::from(!first.status.success());
            let again = quire.command(args).output().unwrap();
            let said = text(&again.stderr);
            let done =
                again.status.success() || said.contains("already") || said.contains("exists");
            assert!(done, "{args:?} after {step} {number}: {said}");
            check(&quire);
            let left: Vec<String> = drafts(quire.dir());
            assert!(
                left.is_empty(),
                "{args:?} after {step} {number} left {left:?}"
            );
        }
    }
    assert!(killed > 2, "{args:?} was killed {killed} times only");
}

/// Drafts that lie in a folder or below it.
fn drafts(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".draft-") {
            found.push(path.display().to_string());
        } else if path.is_dir() {
            found.extend(drafts(&path));
        }
    }
    found
}

#[test]
fn what_makes_things_can_be_killed_at_every_step() {
    let audited = |quire: &Quire| assert_eq!(quire.json(&["audit"])["ok"], true);
    at_every_step(Quire::new, &["init", "--shape", "tiny"], audited);
    let history = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../benches/workloads/ethereum_transfers.csv.gz"
    );
    let import = ["import", history, "--shape", "tiny", "--limit", "3"];
    at_every_step(Quire::new, &import, audited);
    at_every_step(
        Quire::new,
        &["wallet", "new", "alice", "--no-passphrase"],
        |quire| {
            quire.json(&["wallet", "show", "alice"]);
        },
    );
}

#[test]
fn files_for_others_can_be_killed_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let key = tiny_keys().join("tiny.vk");
    let key = key.to_str().unwrap();
    let out = |quire: &Quire| quire.path("out").to_str().unwrap().to_owned();
    let name = folder.path().join("out.json");
    let name = name.to_str().unwrap();
    let prepare = || {
        std::fs::remove_file(name).unwrap_or_default();
        Quire::new()
    };
    at_every_step(prepare, &["export", "vkey", key, "--out", name], |quire| {
        assert!(
            std::fs::metadata(name).unwrap().len() > 100,
            "{}",
            out(quire)
        );
    });
}

#[test]
fn a_restoration_can_be_killed_at_every_step() {
    let source = Quire::with_accounts();
    source.json(&["run"]);
    let (l1, wallet) = (
        source.path("rollup/l1.redb"),
        source.path("rollup/operator.json"),
    );
    let restore = [
        "restore",
        "--l1",
        l1.to_str().unwrap(),
        "--operator",
        wallet.to_str().unwrap(),
    ];
    let root = source.json(&["status"])["finalized_root"].clone();
    at_every_step(Quire::new, &restore, |quire| {
        assert_eq!(quire.json(&["status"])["state_root"], root);
    });
}

#[test]
fn proofs_can_be_killed_at_every_step() {
    let prepare = || {
        let quire = Quire::with_accounts();
        quire.json(&["prove"]);
        quire
    };
    // Submission writes L1, then the batcher.
    at_every_step(prepare, &["run"], |quire| {
        assert_eq!(quire.json(&["status"])["finalized"], 1);
    });
}
