//! Files that users name: of other programs, of another kind, and without an end.

use std::path::{Path, PathBuf};

use prover::key::{AllowDevKeys, KeyInfo, Origin, VerifyingKey};

use crate::fixture::{Quire, tiny_keys};

/// A file that another program wrote; `crates/interop/tests/all/others.rs` says which.
fn data(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/tests/data");
    folder.join(name).to_str().unwrap().to_owned()
}

fn verify_proof<'a>(key: &'a str, public: &'a str, proof: &'a str) -> Vec<&'a str> {
    let args = ["verify-proof", "--vkey", key, "--public", public, "--proof"];
    [&args[..], &[proof]].concat()
}

/// Whichever program wrote the proof and however the curve is called.
#[test]
fn proofs_of_other_programs_are_verified() {
    let quire = Quire::new();
    let inputs = data("pu.json");
    let mut ids = Vec::new();
    for key in ["vk.json", "vk_bn254.json"] {
        for proof in ["pr.json", "pr_bn254.json", "pr_nocurve.json"] {
            let facts = quire.json(&verify_proof(&data(key), &inputs, &data(proof)));
            assert_eq!(facts["public_inputs"], 2);
            ids.push(facts["verifying_key"].clone());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let (key, proof) = (data("vk.json"), data("pr.json"));
    let mut holds = quire.command(&verify_proof(&key, &inputs, &proof));
    let shown = crate::fixture::text(&holds.output().unwrap().stdout);
    assert!(shown.contains(ids[0].as_str().unwrap()), "{shown}");
    // Such keys are read by other commands than the one that tells of this program's.
    let zkey = quire.write("circuit.zkey", b"zkey\x01\0\0\0");
    for (file, commands) in [
        (
            data("vk.json"),
            ["quire verify-proof", "quire groth16 verify"],
        ),
        (zkey, ["quire groth16", "quire keys import"]),
    ] {
        let message = quire.fails_with(3, &["keys", "info", &file]);
        for command in commands {
            assert!(message.contains(command), "{message}");
        }
    }
    let refused = |key: &str, proof: &str, expected: &str| {
        let message = quire.fails_with(3, &verify_proof(key, &inputs, proof));
        assert!(message.contains(expected), "{message}");
    };
    let (key, proof) = (data("vk.json"), data("pr.json"));
    refused(&data("plain.plonk_vk.json"), &proof, "is for plonk");
    refused(&key, &inputs, "this is no proof.json");
    let text = std::fs::read_to_string(&proof).unwrap();
    let twisted = quire.write("p.json", text.replacen("7337694", "7337695", 1));
    refused(
        &key,
        &twisted,
        "pi_a in the proof.json file is not on the curve",
    );
    let negative = quire.write("n.json", text.replacen("\"7337694", "\"-7337694", 1));
    refused(&key, &negative, "coordinate x of pi_a");
}

/// Circuits that circom compiled, from beginning to end, and keys that snarkjs began.
#[test]
fn ceremonies_of_circom_circuits_end() {
    let quire = Quire::new();
    let powers = data("pot5.ptau");
    for name in ["plain", "pragma_only", "unsorted_wires", "unused_private"] {
        let circuit = data(&format!("{name}.r1cs"));
        let circuit = ["--r1cs", &circuit, "--ptau", &powers];
        let to = |step: &str| {
            quire
                .path(&format!("{name}-{step}"))
                .to_str()
                .unwrap()
                .to_owned()
        };
        let begun =
            quire.json(&[&["ceremony", "new", "--out", &to("ours")], &circuit[..]].concat());
        let theirs = data(&format!("{name}.snarkjs.zkey"));
        for (start, end) in [(to("ours"), to("1")), (theirs, to("2"))] {
            quire.json(&["ceremony", "contribute", &start, "--out", &end]);
            let facts = quire.json(&[&["ceremony", "verify", &end], &circuit[..]].concat());
            assert_eq!(facts["circuit_hash"], begun["circuit_hash"], "{name}");
        }
    }
    let (bellman, plain) = (data("plain.bellman.zkey"), data("plain.r1cs"));
    let circuit = ["--r1cs", &plain, "--ptau", &powers];
    let facts = quire.json(&[&["ceremony", "verify", &bellman], &circuit[..]].concat());
    assert_eq!(facts["contributions"].as_array().unwrap().len(), 2);
    let plonk = data("plain.plonk.zkey");
    let out = quire.path("none").to_str().unwrap().to_owned();
    for args in [
        [&["ceremony", "verify", &plonk], &circuit[..]].concat(),
        vec!["ceremony", "contribute", &plonk, "--out", &out],
        vec!["keys", "import", &plonk, "--shape", "tiny", "--force"],
    ] {
        let message = quire.fails_with(3, &args);
        assert!(message.contains("the zkey file is for PLONK"), "{message}");
    }
}

/// One verifying key, found in four files; one in the bytes of arkworks is tested where they are read.
#[test]
fn a_key_has_one_id_in_every_command() {
    let quire = Quire::new();
    let file = tiny_keys().join("tiny.vk");
    let vk = file.to_str().unwrap();
    let key = VerifyingKey::load(&file, AllowDevKeys::Yes).unwrap();
    let id = quire.json(&["keys", "info", vk])[0]["id"].clone();
    assert_eq!(id, key.id_hex());
    let proving = tiny_keys().join("tiny.pk");
    let shown = quire.json(&["keys", "info", proving.to_str().unwrap()]);
    assert_eq!(shown[0]["id"], id);
    let json = quire.path("vkey.json").to_str().unwrap().to_owned();
    assert_eq!(
        quire.json(&["export", "vkey", vk, "--out", &json])["verifying_key"],
        id
    );
    let made = quire.json(&["verifier", "solidity", vk]);
    assert_eq!(made["key"], id);
    assert!(made["source"].as_str().unwrap().contains(&key.id_hex()));
    // What a file says of itself is not in the id.
    let found = quire.path("found.vk");
    for (origin, name, more) in [
        (Origin::Production, "one_party", None),
        (Origin::Ceremony { contributions: 5 }, "ceremony", Some(5)),
        (Origin::Dev, "dev", None),
        (Origin::Unknown, "unknown", None),
    ] {
        let info = KeyInfo {
            origin,
            ..key.info().clone()
        };
        let other = VerifyingKey::new(key.ark().clone(), info).unwrap();
        other.save(&found).unwrap();
        let args = ["keys", "info", found.to_str().unwrap()];
        let shown = &quire.json(&args)[0];
        assert_eq!((&shown["id"], &shown["origin"]), (&id, &name.into()));
        assert_eq!(shown["contributions"].as_u64(), more);
        assert_eq!(shown["insecure_dev"], origin == Origin::Dev);
        let text = quire.command(&args).output().unwrap();
        let text = crate::fixture::text(&text.stdout);
        assert_eq!(
            text.contains("ceremony, 5 contributions verified"),
            more.is_some(),
            "{text}"
        );
    }
}

/// A device that never ends, in every place where a file is named.
#[cfg(unix)]
#[test]
fn files_without_an_end_are_refused_by_every_command() {
    let quire = Quire::with_accounts();
    let (endless, out) = ("/dev/zero", quire.path("out"));
    let out = out.to_str().unwrap();
    let (vk, pr, pu) = (data("vk.json"), data("pr.json"), data("pu.json"));
    let (r1cs, ptau, zkey) = (
        data("plain.r1cs"),
        data("pot5.ptau"),
        data("plain.bellman.zkey"),
    );
    let tiny = tiny_keys().join("tiny.vk");
    let tiny = tiny.to_str().unwrap();
    let long = "more than";
    let head = "is no plain file";
    let commands = [
        (long, vec!["keys", "info", endless]),
        (long, vec!["verifier", "solidity", endless]),
        (long, vec!["verifier", "solidity", endless, "--arkworks"]),
        (long, vec!["verify", out, "--vk", endless]),
        (long, vec!["export", "vkey", endless, "--out", out]),
        (
            long,
            vec!["export", "proof", out, "--vk", endless, "--out", out],
        ),
        (
            long,
            vec!["export", "public", out, "--vk", endless, "--out", out],
        ),
        (long, verify_proof(endless, &pu, &pr)),
        (long, verify_proof(&vk, endless, &pr)),
        (long, verify_proof(&vk, &pu, endless)),
        (
            head,
            vec!["keys", "import", endless, "--shape", "tiny", "--force"],
        ),
        (
            head,
            vec![
                "ceremony", "new", "--r1cs", endless, "--ptau", &ptau, "--out", out,
            ],
        ),
        (
            head,
            vec![
                "ceremony", "new", "--r1cs", &r1cs, "--ptau", endless, "--out", out,
            ],
        ),
        (head, vec!["ceremony", "contribute", endless, "--out", out]),
        (
            head,
            vec!["ceremony", "beacon", endless, "--value", "01", "--out", out],
        ),
        (
            head,
            vec![
                "ceremony", "verify", endless, "--r1cs", &r1cs, "--ptau", &ptau,
            ],
        ),
        (
            head,
            vec![
                "ceremony", "verify", &zkey, "--r1cs", endless, "--ptau", &ptau,
            ],
        ),
        (
            head,
            vec![
                "ceremony", "verify", &zkey, "--r1cs", &r1cs, "--ptau", endless,
            ],
        ),
        (long, vec!["exit", "execute", endless]),
        (long, vec!["accept", endless]),
        (long, vec!["wallet", "show", endless]),
        (
            long,
            vec!["wallet", "new", "carol", "--passphrase-file", endless],
        ),
        (long, vec!["config", "show", "--config", endless]),
        (
            "does not hold a private key",
            vec![
                "wallet",
                "import",
                "carol",
                "--file",
                endless,
                "--no-passphrase",
            ],
        ),
    ];
    for (why, args) in commands {
        let message = quire.fails(&args);
        assert!(message.contains(why), "{args:?}: {message}");
        assert!(message.contains(endless), "{args:?}: {message}");
        assert!(!quire.path("out").exists(), "{args:?}");
    }
    // A folder of a batch whose parts have no end.
    let batch = quire.path("batch");
    std::fs::create_dir(&batch).unwrap();
    for name in ["batch.json", "data.bin", "proof.bin"] {
        std::os::unix::fs::symlink(endless, batch.join(name)).unwrap();
    }
    let message = quire.fails_with(3, &["verify", batch.to_str().unwrap(), "--vk", tiny]);
    assert!(message.contains("batch.json"), "{message}");
}

/// Rust files of a folder, without those that hold tests alone.
fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !["tests.rs", "vectors.rs"]
                .iter()
                .any(|name| path.ends_with(name))
        {
            out.push(path);
        }
    }
}

/// Whole files are read through a bound: by `prover::bounded`, or from a reader that `take` cut. What
/// the system says of this process is no file of a user.
#[test]
fn no_file_is_read_without_a_bound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let workspace: toml::Table = toml::from_str(&workspace).unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap().iter();
    // They are no part of the program, and read files of this repository.
    let apart = ["tests", "tests/sources", "benches"];
    let mut files = Vec::new();
    for member in members.map(|member| member.as_str().unwrap()) {
        if !apart.contains(&member) {
            sources(&root.join(member).join("src"), &mut files);
        }
    }
    assert!(files.len() > 200, "the sources were found: {}", files.len());
    let (mut bounded, mut unbounded) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        let lines: Vec<&str> = code.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let of_a_path = ["fs::read(", "fs::read_to_string("];
            let of_a_reader = [
                "read_to_end(",
                ".read_to_string(",
                "serde_json::from_reader(",
            ];
            let before = lines[number.saturating_sub(4)..=number].join("\n");
            let fault = if of_a_path.iter().any(|call| line.contains(call)) {
                !(before.contains("\"/proc/") || line.contains("bounded::read("))
            } else if of_a_reader.iter().any(|call| line.contains(call)) {
                !before.contains(".take(")
            } else {
                bounded += usize::from(line.contains("bounded::read("));
                continue;
            };
            if fault {
                unbounded.push(format!("{}:{}: {line}", file.display(), number + 1));
            } else {
                bounded += 1;
            }
        }
    }
    assert!(unbounded.is_empty(), "{unbounded:#?}");
    assert!(bounded >= 10, "the calls were found: {bounded}");
}
