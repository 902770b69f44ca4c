//! Ctrl-C at any time: the program ends with status 130 and nothing is half-done.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::{Quire, tiny_keys};

/// The exit status that shells report for Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Runs a command, sends it Ctrl-C once it has said `line`, and returns its exit status.
fn interrupt(mut command: Command, line: &str) -> i32 {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = stderr.by_ref().any(|said| said.unwrap().contains(line));
    assert!(said, "{line:?} was never said");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = stderr.map(Result::unwrap).collect();
    let code = child.wait().unwrap().code();
    code.unwrap_or_else(|| panic!("killed: {rest:?}"))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_setup_that_is_interrupted_leaves_no_key() {
    let quire = Quire::new();
    let mut setup = crate::fixture::program();
    setup.arg("--keys-dir").arg(quire.path("new-keys"));
    setup.args(["keys", "setup", "--shape", "t18"]);
    assert_eq!(interrupt(setup, "compiling"), INTERRUPTED);
    assert!(!quire.path("new-keys").exists() || files(&quire.path("new-keys")).is_empty());
}

/// Long work on a file that would be new: it ends at once, and neither file nor draft is there.
#[test]
fn a_beacon_that_is_interrupted_leaves_no_file() {
    let quire = Quire::new();
    let to = |name: &str| quire.path(name).to_str().unwrap().to_owned();
    let r1cs = crate::exchange::cube(&quire);
    let (powers, start, first) = (to("p.ptau"), to("0.zkey"), to("1.zkey"));
    let trial = ["ceremony", "powers", "--power", "3", "--trial", "--out"];
    quire.json(&[&trial[..], &[&powers]].concat());
    let new = ["ceremony", "new", "--r1cs", &r1cs, "--ptau", &powers];
    quire.json(&[&new[..], &["--out", &start]].concat());
    quire.json(&["ceremony", "contribute", &start, "--out", &first]);
    let before = files(quire.dir());
    let last = to("2.zkey");
    let value = ["--value", "0a0b", "--iterations-exp", "28", "--out", &last];
    let beacon = quire.command(&[&["ceremony", "beacon", &first][..], &value].concat());
    assert_eq!(interrupt(beacon, "contributing the beacon"), INTERRUPTED);
    assert_eq!(files(quire.dir()), before);
}

#[test]
fn an_import_that_is_interrupted_leaves_no_deployment() {
    let quire = Quire::new();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../benches/workloads/ethereum_transfers.csv.gz"
    );
    let import = quire.command(&["import", file, "--shape", "t16"]);
    assert_eq!(interrupt(import, "signing and submitting"), INTERRUPTED);
    assert_eq!(files(quire.dir()), Vec::<String>::new());

    let rows = 400;
    let imported = quire.json(&[
        "import",
        file,
        "--shape",
        "t16",
        "--limit",
        &rows.to_string(),
    ]);
    assert_eq!(imported["imported"], rows);
    // However far it came: what was sealed is sealed, the rest waits.
    let code = interrupt(quire.command(&["seal", "--all"]), "executing and sealing");
    assert!([0, INTERRUPTED].contains(&code), "{code}");
    let status = quire.json(&["status"]);
    let (sealed, waiting) = (
        status["sealed"].as_u64().unwrap(),
        status["waiting"].as_u64().unwrap(),
    );
    assert_eq!(2 * sealed + waiting, rows);
    let sealed_now = quire.json(&["seal", "--all"]);
    assert_eq!(sealed_now["transfers"].as_u64().unwrap(), waiting);
    assert_eq!(quire.json(&["audit", "--replay"])["ok"], true);
}

/// Where the next command has nothing to write, it removes what the killed one left all the same, and says
/// how to go on with what is there.
#[test]
fn drafts_of_a_killed_command_are_removed_by_the_next_even_if_it_refuses() {
    let quire = Quire::new();
    quire.json(&["init", "--shape", "tiny"]);
    let setup = ["keys", "setup", "--shape", "tiny"];
    let left = |draft: &Path| {
        std::fs::create_dir(draft).unwrap();
        std::fs::write(draft.join("operator.json"), "a wallet").unwrap();
    };
    for (draft, command, advice) in [
        (
            quire.path(".deploying.draft-killed"),
            &["init"][..],
            "quire status",
        ),
        (
            quire.path(".rollup.draft-killed"),
            &["import", "x.csv"],
            "quire status",
        ),
        (
            quire.path("rollup/.batcher.redb.draft-killed"),
            &["restore"],
            "quire status",
        ),
        (
            tiny_keys().join(".tiny.vk.draft-killed"),
            &setup,
            "quire keys info",
        ),
    ] {
        left(&draft);
        let said = quire.fails_with(1, command);
        assert!(said.contains(advice), "{command:?}: {said}");
        assert!(!draft.exists(), "{command:?}");
    }
    // The plan of a deployment that has ended: whichever command opens L1.
    let draft = quire.path(".deploying.draft-killed");
    left(&draft);
    quire.json(&["l1", "mine", "1", "--trial"]);
    assert!(!draft.exists());
}

#[test]
fn a_proof_that_is_interrupted_is_made_the_next_time() {
    let quire = Quire::with_accounts();
    assert_eq!(interrupt(quire.command(&["prove"]), "proving"), INTERRUPTED);
    assert!(!quire.path("batches").exists() || files(&quire.path("batches")).is_empty());
    assert_eq!(quire.json(&["run"])["batches"], 1);
}
