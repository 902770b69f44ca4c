//! `export`, `ceremony`, `keys import`, `verify-proof`: without other programs, which judge in
//! `tests/interop`.

use crate::fixture::{Quire, tiny_keys};

fn vk() -> String {
    tiny_keys().join("tiny.vk").to_str().unwrap().to_owned()
}

/// A proven batch on its way out, verified again from the files alone.
#[test]
fn a_batch_leaves_as_json_that_verifies() {
    let quire = Quire::with_accounts();
    let to = |name: &str| quire.path(name).to_str().unwrap().to_owned();
    let witness = quire.json(&["export", "wtns", "--batch", "1", "--out", &to("b.wtns")]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(to("b.wtns"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "a witness is its owner's alone");
    }
    let circuit = quire.json(&["export", "r1cs", "--shape", "tiny", "--out", &to("t.r1cs")]);
    assert_eq!(witness["wires"], circuit["wires"]);
    let read = |name: &str| std::io::Cursor::new(std::fs::read(to(name)).unwrap());
    let (circuit, _) = interop::r1cs::read(read("t.r1cs")).unwrap();
    let values = interop::wtns::read(read("b.wtns")).unwrap();
    assert_eq!(circuit.r1cs.is_satisfied(&values), Ok(()));
    quire.json(&["run"]);
    // A final batch's witness is gone.
    quire.fails_with(
        1,
        &["export", "wtns", "--batch", "1", "--out", &to("late.wtns")],
    );
    let batch = to("batches/1");
    let vk = vk();
    quire.json(&["export", "vkey", &vk, "--out", &to("vkey.json")]);
    quire.json(&[
        "export",
        "proof",
        &batch,
        "--vk",
        &vk,
        "--out",
        &to("proof.json"),
    ]);
    quire.json(&[
        "export",
        "public",
        &batch,
        "--vk",
        &vk,
        "--out",
        &to("public.json"),
    ]);
    let (vkey, proof, public) = (to("vkey.json"), to("proof.json"), to("public.json"));
    let verify = |public: &str| {
        let args = [
            "verify-proof",
            "--vkey",
            &vkey,
            "--proof",
            &proof,
            "--public",
            public,
        ];
        quire.command(&args).output().unwrap().status.code()
    };
    assert_eq!(verify(&public), Some(0));
    let mut inputs = interop::json::read_public(&std::fs::read(&public).unwrap()).unwrap();
    inputs[2] += ark_bn254::Fr::from(1u64);
    let other = interop::json::public(&inputs);
    assert_eq!(verify(&quire.write("other.json", other)), Some(1));
    assert_eq!(verify(&vkey), Some(3));
    // Nothing is replaced.
    let message = quire.fails_with(1, &["export", "vkey", &vk, "--out", &vkey]);
    assert!(message.contains("not replaced"), "{message}");
}

/// A key without a ceremony comes back as what it is.
#[test]
fn a_key_without_contributions_stays_a_development_key() {
    let quire = Quire::new();
    let zkey = quire.path("tiny.zkey").to_str().unwrap().to_owned();
    let keys = quire.path("imported").to_str().unwrap().to_owned();
    let exported = quire.json(&["export", "zkey", "--shape", "tiny", "--out", &zkey]);
    let import = |more: &[&str]| {
        let mut command = crate::fixture::program();
        let args = [
            "keys",
            "import",
            &zkey,
            "--shape",
            "tiny",
            "--keys-dir",
            &keys,
        ];
        command.args(args).args(more).output().unwrap()
    };
    let refused = import(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let message = crate::fixture::text(&refused.stderr);
    assert!(message.contains("development key"), "{message}");
    let imported = import(&["--allow-dev-keys", "--json"]);
    assert!(imported.status.success());
    let facts: serde_json::Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(facts["insecure_dev"], true);
    assert_eq!(facts["id"], exported["verifying_key"]);
    // Nor does a contribution make it one for production, unless the ceremony is verified.
    let more = quire.path("more.zkey").to_str().unwrap().to_owned();
    quire.json(&["ceremony", "contribute", &zkey, "--out", &more]);
    let import_more = |more_args: &[&str]| {
        let mut command = crate::fixture::program();
        command.args(["keys", "import", &more, "--shape", "tiny", "--force"]);
        command.args(["--keys-dir", &keys]).args(more_args);
        command.output().unwrap()
    };
    let refused = import_more(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let message = crate::fixture::text(&refused.stderr);
    assert!(message.contains("without --ptau"), "{message}");
    let imported = import_more(&["--allow-dev-keys", "--json"]);
    let facts: serde_json::Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(facts["insecure_dev"], true);
    assert_eq!(facts["ceremony_verified"], false);
    let powers = quire.path("p.ptau").to_str().unwrap().to_owned();
    quire.json(&[
        "ceremony", "powers", "--power", "2", "--trial", "--out", &powers,
    ]);
    let refused = import_more(&["--allow-dev-keys", "--ptau", &powers]);
    assert_eq!(refused.status.code(), Some(3));
    let message = quire.fails_with(3, &["keys", "import", &zkey, "--shape", "t16"]);
    assert!(message.contains("as the circuit has it"), "{message}");
    let cut = std::fs::read(&zkey).unwrap();
    let cut = quire.write("cut.zkey", &cut[..cut.len() / 2]);
    let message = quire.fails_with(3, &["keys", "import", &cut, "--shape", "tiny", "--force"]);
    assert!(message.contains("cut off"), "{message}");
}

/// Half a key is not replaced either.
#[test]
fn a_verifying_key_alone_is_not_replaced() {
    let quire = Quire::new();
    let folder = quire.path("half");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(vk(), folder.join("tiny.vk")).unwrap();
    let setup = [
        "keys",
        "setup",
        "--shape",
        "tiny",
        "--insecure-dev-seed",
        "1",
    ];
    let import = ["keys", "import", "any.zkey", "--shape", "tiny"];
    for args in [&setup[..], &import] {
        let mut command = crate::fixture::program();
        command.args(args).arg("--allow-dev-keys");
        command.arg("--keys-dir").arg(&folder);
        let (status, message) = crate::fixture::failure_of(&mut command, args);
        assert_eq!(status, 1, "{message}");
        assert!(message.contains("tiny.vk exists"), "{message}");
    }
}

/// A small circuit in a file.
pub fn cube(quire: &Quire) -> String {
    let one = ark_bn254::Fr::from(1u64);
    let mut rows = r1cs::Rows::new(2, 2).unwrap();
    rows.push([&[(2, one)], &[(2, one)], &[(3, one)]]).unwrap();
    rows.push([&[(3, one)], &[(2, one)], &[(1, one)]]).unwrap();
    let mut bytes = Vec::new();
    interop::r1cs::write(&mut bytes, &rows.finish().unwrap()).unwrap();
    quire.write("cube.r1cs", bytes)
}

/// A ceremony on a small circuit from a file, to the end and with every refusal on the way.
#[test]
fn a_ceremony_from_beginning_to_end() {
    let quire = Quire::new();
    let to = |name: &str| quire.path(name).to_str().unwrap().to_owned();
    let r1cs = cube(&quire);
    let (ptau, start, first, last) = (to("p.ptau"), to("0.zkey"), to("1.zkey"), to("2.zkey"));
    quire.json(&[
        "ceremony", "powers", "--power", "3", "--trial", "--out", &ptau,
    ]);
    quire.fails_with(
        2,
        &["ceremony", "powers", "--power", "3", "--out", &to("q.ptau")],
    );
    let begun = quire.json(&[
        "ceremony", "new", "--r1cs", &r1cs, "--ptau", &ptau, "--out", &start,
    ]);
    let verify = ["--r1cs", &r1cs, "--ptau", &ptau];
    let message = quire.fails_with(3, &[&["ceremony", "verify", &start][..], &verify].concat());
    assert!(message.contains("contribute first"), "{message}");
    let alone = ["ceremony", "beacon", &start, "--value", "0a0b", "--out"];
    let message = quire.fails_with(3, &[&alone[..], &[&last]].concat());
    assert!(message.contains("no person"), "{message}");
    let made = quire.json(&[
        "ceremony",
        "contribute",
        &start,
        "--name",
        "ann",
        "--out",
        &first,
    ]);
    let closed = quire.json(&[
        "ceremony", "beacon", &first, "--value", "0a0b", "--out", &last,
    ]);
    let facts = quire.json(&[&["ceremony", "verify", &last][..], &verify].concat());
    assert_eq!(facts["circuit_hash"], begun["circuit_hash"]);
    let listed = facts["contributions"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["hash"], made["hash"]);
    assert_eq!(listed[0]["name"], "ann");
    assert_eq!(listed[1]["hash"], closed["hash"]);
    assert_eq!(listed[1]["beacon"], "0a0b");
    // Names are in no hash: whatever one holds stays within its quotes.
    let mut renamed = std::fs::read(&last).unwrap();
    let at = renamed.windows(3).position(|name| name == b"ann").unwrap();
    renamed[at..at + 3].copy_from_slice(b"a\n2");
    let renamed = quire.write("renamed.zkey", renamed);
    let args = [&["ceremony", "verify", &renamed][..], &verify].concat();
    let report = quire.command(&args).output().unwrap();
    let report = crate::fixture::text(&report.stdout);
    assert!(report.contains(r#"1 "a\n2""#), "{report}");
    let forged = ["ceremony", "contribute", &first, "--name", "a\n2", "--out"];
    quire.fails_with(2, &[&forged[..], &[&to("3.zkey")]].concat());
    let bad = [
        "ceremony",
        "beacon",
        &first,
        "--value",
        "xyz",
        "--out",
        &to("3.zkey"),
    ];
    quire.fails_with(2, &bad);
    let long = "n".repeat(256);
    let bad = [
        "ceremony",
        "contribute",
        &first,
        "--name",
        &long,
        "--out",
        &to("3.zkey"),
    ];
    quire.fails_with(2, &bad);
    quire.fails_with(
        3,
        &["ceremony", "contribute", &ptau, "--out", &to("3.zkey")],
    );
    quire.fails_with(
        4,
        &[
            "ceremony",
            "contribute",
            &to("none"),
            "--out",
            &to("3.zkey"),
        ],
    );
    assert!(!quire.path("3.zkey").exists(), "a refusal leaves no file");
    // The key of another circuit.
    let message = quire.fails_with(
        3,
        &[
            "ceremony", "verify", &last, "--shape", "tiny", "--ptau", &ptau,
        ],
    );
    assert!(message.contains("as the circuit has it"), "{message}");
    let message = quire.fails_with(
        3,
        &[
            "ceremony",
            "new",
            "--shape",
            "tiny",
            "--ptau",
            &ptau,
            "--out",
            &to("3.zkey"),
        ],
    );
    assert!(message.contains("larger ceremony"), "{message}");
    assert!(!message.contains("cannot write"), "{message}");
}

/// γ = δ, δ = generator, IC at infinity or twice: in a verifying-key file whose checksum holds.
#[test]
fn unfinished_keys_are_refused_by_keys_verify() {
    let good = std::fs::read(vk()).unwrap();
    let quire = Quire::new();
    let folder = quire.path("forged");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(tiny_keys().join("tiny.pk"), folder.join("tiny.pk")).unwrap();
    // IC: 4 points before the checksum; before them delta, gamma, beta.
    let end = good.len() - 32;
    let (ic, delta) = (end - 4 * 64, end - 4 * 64 - 128);
    let gamma = delta - 128;
    let generator = {
        // x₁ x₀ y₁ y₀ of EIP-197's P2.
        let text = "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2\
                    1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed\
                    090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b\
                    12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa";
        hex::decode(text).unwrap()
    };
    let forgeries = [
        (delta, good[gamma..delta].to_vec(), "gamma = ±delta"),
        (delta, generator, "delta = ±generator"),
        (ic + 64, good[ic..ic + 64].to_vec(), "IC[0] = ±IC[1]"),
        (ic + 64, vec![0; 64], "infinity"),
    ];
    for (at, bytes, expected) in forgeries {
        let mut forged = good.clone();
        forged[at..at + bytes.len()].copy_from_slice(&bytes);
        let digest = *blake3::hash(&forged[..end]).as_bytes();
        forged[end..].copy_from_slice(&digest);
        std::fs::write(folder.join("tiny.vk"), &forged).unwrap();
        let mut command = crate::fixture::program();
        let args = ["keys", "verify", "--shape", "tiny", "--no-proof"];
        command.args(args).arg("--keys-dir").arg(&folder);
        let (status, message) = crate::fixture::failure_of(&mut command, &args);
        assert_eq!(status, 3, "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
    }
}
