//! `groth16`: without other programs, which judge in `tests/interop`.

use std::path::Path;

use ark_bn254::Fr;

use crate::exchange::cube;
use crate::fixture::{Quire, text};

/// `x`, `x²` and the public `x³` of a witness, changed at one wire.
fn witness(quire: &Quire, name: &str, x: u64, wire: usize) -> String {
    let mut values = [1, x * x * x, x, x * x].map(Fr::from);
    values[wire] += Fr::from(u64::from(wire > 0));
    let mut bytes = Vec::new();
    interop::wtns::write(&mut bytes, &values).unwrap();
    quire.write(name, bytes)
}

struct Files {
    quire: Quire,
    r1cs: String,
    zkey: String,
    vk: String,
    sym: String,
}

impl Files {
    fn new() -> Self {
        let quire = Quire::new();
        let to = |name: &str| quire.path(name).to_str().unwrap().to_owned();
        let (r1cs, zkey, vk) = (cube(&quire), to("cube.zkey"), to("vk.json"));
        let made = quire.json(&[
            "groth16", "setup", "--r1cs", &r1cs, "--zkey", &zkey, "--vk", &vk,
        ]);
        assert_eq!(
            (&made["contributions"], &made["constraints"]),
            (&0.into(), &2.into())
        );
        let sym = "1,1,0,main.cube\n2,2,0,main.x\n3,3,0,main.square\n";
        let sym = quire.write("cube.sym", sym);
        Self {
            quire,
            r1cs,
            zkey,
            vk,
            sym,
        }
    }

    fn to(&self, name: &str) -> String {
        self.quire.path(name).to_str().unwrap().to_owned()
    }

    fn verify(&self, vk: &str, public: &str, proof: &str) -> Option<i32> {
        let args = ["groth16", "verify", vk, public, proof];
        self.quire.command(&args).output().unwrap().status.code()
    }
}

/// One witness through every way in and out, and a proof that holds for its own inputs alone.
#[test]
fn a_witness_of_circom_becomes_a_proof() {
    let files = Files::new();
    let (quire, to) = (&files.quire, |name: &str| files.to(name));
    let (wtns, proof, public) = (
        witness(quire, "w.wtns", 3, 0),
        to("proof.json"),
        to("public.json"),
    );
    let converted = to("cube.qk");
    let made = quire.json(&[
        "groth16",
        "key",
        "convert",
        &files.zkey,
        "--out",
        &converted,
    ]);
    assert_eq!(
        (&made["origin"], &made["witness_checked"]),
        (&"dev".into(), &false.into())
    );
    for key in [&files.zkey, &converted] {
        for circuit in [&[][..], &["--r1cs", &files.r1cs, "--sym", &files.sym]] {
            let named = [
                "--zkey", key, "--wtns", &wtns, "--proof", &proof, "--public", &public,
            ];
            for args in [&named[..], &[key, &wtns, &proof, &public]] {
                let facts = quire.json(&[&["groth16", "prove"][..], args, circuit].concat());
                assert_eq!(facts["witness_checked"], !circuit.is_empty());
                assert_eq!(facts["proofs"][0]["public_inputs"], 1);
                assert_eq!(std::fs::read_to_string(&public).unwrap(), "[\n \"27\"\n]");
                for vk in [&files.vk, &files.zkey, &converted] {
                    assert_eq!(files.verify(vk, &public, &proof), Some(0), "{vk}");
                }
            }
        }
    }
    let exported = to("exported.json");
    quire.json(&["groth16", "key", "export", &converted, "--out", &exported]);
    assert_eq!(
        std::fs::read(&exported).unwrap(),
        std::fs::read(&files.vk).unwrap()
    );
    let vk = ["--vk", &files.vk];
    let facts = quire.json(&[&["groth16", "calldata", &public, &proof][..], &vk].concat());
    let calldata = facts["calldata"].as_str().unwrap();
    assert!(
        calldata
            .ends_with(",[\"0x000000000000000000000000000000000000000000000000000000000000001b\"]")
    );
    // Other inputs, one too many, and another proof's.
    let others = [
        ("[\"28\"]", 1),
        ("[\"27\",\"27\"]", 1),
        ("[]", 1),
        ("[27.5]", 3),
    ];
    for (text, status) in others {
        let other = quire.write("other.json", text);
        assert_eq!(
            files.verify(&files.vk, &other, &proof),
            Some(status),
            "{text}"
        );
        let args = [&["groth16", "calldata", &other, &proof][..], &vk].concat();
        quire.fails_with(status, &args);
    }
    assert_eq!(files.verify(&proof, &public, &proof), Some(3));
}

/// Nothing but a witness gives a proof: no file is written, and the message holds no value of it.
#[test]
fn a_forged_witness_never_becomes_a_proof() {
    let files = Files::new();
    let (quire, to) = (&files.quire, |name: &str| files.to(name));
    let (proof, public) = (to("proof.json"), to("public.json"));
    let converted = to("whole.qk");
    let convert = [
        "groth16",
        "key",
        "convert",
        &files.zkey,
        "--r1cs",
        &files.r1cs,
    ];
    quire.json(&[&convert[..], &["--out", &converted]].concat());
    for wire in 1..4 {
        let forged = witness(quire, "forged.wtns", 7919, wire);
        for (key, more, expected) in [
            (&files.zkey, &[][..], "does not satisfy the circuit"),
            (
                &files.zkey,
                &["--r1cs", &files.r1cs][..],
                "violates constraint",
            ),
            (
                &files.zkey,
                &["--r1cs", &files.r1cs, "--sym", &files.sym],
                "\"main.square\"",
            ),
            (&converted, &["--sym", &files.sym], "\"main.square\""),
        ] {
            let args = ["groth16", "prove", key, &forged, &proof, &public];
            let message = quire.fails_with(1, &[&args[..], more].concat());
            assert!(message.contains(expected), "{message}");
            for value in [7919u64, 7920, 62_710_561, 62_710_562] {
                assert!(!message.contains(&value.to_string()), "{message}");
            }
            assert!(!Path::new(&proof).exists() && !Path::new(&public).exists());
        }
    }
    // A bad file of names hides no verdict.
    let forged = witness(quire, "forged.wtns", 7919, 3);
    let bad = quire.write("bad.sym", "none\n");
    let args = ["groth16", "prove", &converted, &forged, &proof, &public];
    let message = quire.fails_with(1, &[&args[..], &["--sym", &bad]].concat());
    for expected in ["violates constraint 0", "wire 3", "bad.sym"] {
        assert!(message.contains(expected), "{message}");
    }
    // Files of an earlier run stay, and the refusal says so.
    let good = witness(quire, "good.wtns", 3, 0);
    quire.json(&["groth16", "prove", &converted, &good, &proof, &public]);
    let before = std::fs::read(&proof).unwrap();
    let message = quire.fails_with(1, &args);
    assert!(message.contains("of an earlier run are left"), "{message}");
    assert!(message.contains("violates constraint 0"), "{message}");
    assert_eq!(std::fs::read(&proof).unwrap(), before);
    assert_eq!(files.verify(&files.vk, &public, &proof), Some(0));
    for file in [&proof, &public] {
        std::fs::remove_file(file).unwrap();
    }
    let args = [
        "groth16",
        "prove",
        &files.zkey,
        &files.r1cs,
        &proof,
        &public,
    ];
    let message = quire.fails_with(2, &[&args[..], &["--sym", &files.sym]].concat());
    assert!(message.contains("--r1cs"), "{message}");
    // Of another length, cut off, longer than any, and none at all.
    let mut bytes = Vec::new();
    interop::wtns::write(&mut bytes, &[Fr::from(1u64); 3]).unwrap();
    let short = quire.write("short.wtns", &bytes);
    let cut = quire.write("cut.wtns", &bytes[..bytes.len() - 1]);
    let long = quire.write("long.wtns", vec![0; 1 << 16]);
    let bad = [
        (&short, "3 values"),
        (&cut, "cut off"),
        (&long, "more than"),
        (&files.r1cs, "wtns"),
    ];
    for (wtns, expected) in bad {
        let message =
            quire.fails_with(3, &["groth16", "prove", &files.zkey, wtns, &proof, &public]);
        assert!(message.contains(expected), "{message}");
    }
    let good = witness(quire, "good.wtns", 3, 0);
    quire.fails_with(3, &["groth16", "prove", &good, &good, &proof, &public]);
    quire.fails_with(
        4,
        &["groth16", "prove", &to("none"), &good, &proof, &public],
    );
    // What is read is not written over.
    for out in [&files.zkey, &good] {
        let message = quire.fails_with(2, &["groth16", "prove", &files.zkey, &good, out, &public]);
        assert!(message.contains("would be replaced"), "{message}");
    }
    quire.fails_with(2, &["groth16", "prove", &files.zkey, &good, &proof, &proof]);
    let same = to("many/../public.json");
    std::fs::create_dir(quire.path("many")).unwrap();
    quire.fails_with(2, &["groth16", "prove", &files.zkey, &good, &same, &public]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&proof, quire.path("link")).unwrap();
        for out in ["/dev/null", &to("link")] {
            quire.fails_with(2, &["groth16", "prove", &files.zkey, &good, &proof, out]);
        }
    }
    quire.fails_with(
        2,
        &["groth16", "prove", &files.zkey, &good, &proof, &to("")],
    );
    quire.fails_with(
        2,
        &["groth16", "prove", "--zkey", &files.zkey, "--wtns", &good],
    );
}

/// Many witnesses with one loading of the key; a bad one is listed and hinders nobody.
#[test]
fn many_witnesses_are_proven_at_once() {
    let files = Files::new();
    let quire = &files.quire;
    std::fs::create_dir(quire.path("many")).unwrap();
    for (name, x, wire) in [("a", 2, 0), ("b", 3, 1), ("c", 4, 0)] {
        witness(quire, &format!("many/{name}.wtns"), x, wire);
    }
    let folder = files.to("many");
    let args = [
        "groth16",
        "prove",
        "--key",
        &files.zkey,
        "--batch",
        &folder,
        "--json",
    ];
    let output = quire.command(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("1 of 3 witnesses were refused"));
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let refused: Vec<bool> = (facts["proofs"].as_array().unwrap().iter())
        .map(|one| !one["refused"].is_null())
        .collect();
    assert_eq!(refused, [false, true, false]);
    for (name, exists) in [("a", true), ("b", false), ("c", true)] {
        let [proof, public] =
            ["proof", "public"].map(|what| files.to(&format!("many/{name}.{what}.json")));
        assert_eq!(Path::new(&proof).exists(), exists, "{name}");
        let status = files.verify(&files.vk, &public, &proof);
        assert_eq!(status == Some(0), exists, "{name}");
    }
    std::fs::create_dir(quire.path("empty")).unwrap();
    quire.fails_with(
        3,
        &[
            "groth16",
            "prove",
            "--key",
            &files.zkey,
            "--batch",
            &files.to("empty"),
        ],
    );
}

/// Whatever stands in the folder: what cannot be read is refused, and the others are proven.
#[cfg(unix)]
#[test]
fn an_entry_that_cannot_be_read_hinders_nobody() {
    let files = Files::new();
    let quire = &files.quire;
    std::fs::create_dir_all(quire.path("many/b.wtns")).unwrap();
    std::os::unix::fs::symlink("nothing", quire.path("many/c.wtns")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(quire.path("many/d.wtns"))
        .status()
        .unwrap();
    assert!(made.success());
    for name in ["a", "e"] {
        witness(quire, &format!("many/{name}.wtns"), 2, 0);
    }
    let run = |status| {
        let folder = files.to("many");
        let args = ["groth16", "prove", "--key", &files.zkey, "--batch", &folder];
        let output = quire.command(&[&args[..], &["--json"]].concat()).output();
        let output = output.unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{message}");
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let proofs = facts["proofs"].as_array().unwrap().iter();
        let refused: Vec<bool> = proofs.map(|one| !one["refused"].is_null()).collect();
        (refused, message)
    };
    let (refused, message) = run(1);
    assert_eq!(refused, [false, true, true, true, false]);
    assert!(message.contains("3 of 5 witnesses"), "{message}");
    for (name, exists) in [("a", true), ("b", false), ("c", false), ("d", false)] {
        let proof = quire.path(&format!("many/{name}.proof.json"));
        assert_eq!(proof.exists(), exists, "{name}");
    }
    // Only a proof that cannot be written ends the run, and what was done is told.
    let long = format!("many/b{}.wtns", "x".repeat(244));
    witness(quire, &long, 2, 0);
    let (refused, message) = run(4);
    assert_eq!(refused, [false, true]);
    assert!(message.contains("4 of 6 witnesses are not"), "{message}");
    // A pipe as a key is not waited for either.
    let good = files.to("many/a.wtns");
    let pipe = files.to("many/d.wtns");
    let out = [files.to("p.json"), files.to("q.json")];
    quire.fails_with(3, &["groth16", "prove", &pipe, &good, &out[0], &out[1]]);
}

/// What cannot become a key is refused before anything is written.
#[test]
fn a_setup_that_fails_leaves_nothing() {
    let files = Files::new();
    let (quire, to) = (&files.quire, |name: &str| files.to(name));
    let setup = ["groth16", "setup", "--r1cs", &files.r1cs, "--zkey"];
    let (one, again) = (to("one"), to("many/../one"));
    let same = [&one[..], "--vk", &again];
    std::fs::create_dir(quire.path("many")).unwrap();
    quire.fails_with(2, &[&setup[..], &same].concat());
    assert!(!quire.path("one").exists());
    let one = Fr::from(1u64);
    let instance = prover::key::MAX_IC_POINTS + 1;
    let mut rows = r1cs::Rows::new(instance, 1).unwrap();
    let column = u32::try_from(instance).unwrap();
    rows.push([&[(column, one)], &[(column, one)], &[(1, one)]])
        .unwrap();
    let mut bytes = Vec::new();
    interop::r1cs::write(&mut bytes, &rows.finish().unwrap()).unwrap();
    let wide = quire.write("wide.r1cs", bytes);
    let (ptau, zkey) = (to("p.ptau"), to("wide.zkey"));
    let args = ["groth16", "setup", "--r1cs", &wide, "--zkey", &zkey];
    for more in [&[][..], &["--ptau", &ptau]] {
        let message = quire.fails_with(3, &[&args[..], more].concat());
        assert!(message.contains("IC has 4097 points"), "{message}");
        assert!(!quire.path("wide.zkey").exists());
    }
}

/// A key from powers of tau has one contribution, says so once it is verified, and is refused before it.
#[test]
fn a_key_of_one_contribution_says_so() {
    let files = Files::new();
    let (quire, to) = (&files.quire, |name: &str| files.to(name));
    let (ptau, zkey, bare) = (to("p.ptau"), to("one.zkey"), to("bare.zkey"));
    quire.json(&[
        "ceremony", "powers", "--power", "3", "--trial", "--out", &ptau,
    ]);
    let circuit = ["--r1cs", &files.r1cs, "--ptau", &ptau];
    let made = quire.json(&[&["groth16", "setup", "--zkey", &zkey][..], &circuit].concat());
    assert_eq!(made["contributions"], 1);
    quire.json(&[&["ceremony", "verify", &zkey][..], &circuit].concat());
    let convert = |zkey: &str, out: &str| {
        [
            &["groth16", "key", "convert", zkey, "--out", out][..],
            &circuit,
        ]
        .concat()
        .join("\n")
    };
    let args = convert(&zkey, &to("one.qk"));
    let facts = quire.json(&args.split('\n').collect::<Vec<_>>());
    assert_eq!(
        (&facts["origin"], &facts["contributions"]),
        (&"ceremony".into(), &1.into())
    );
    let wtns = witness(quire, "w.wtns", 5, 0);
    quire.json(&[
        "groth16",
        "prove",
        &to("one.qk"),
        &wtns,
        &to("proof.json"),
        &to("public.json"),
    ]);
    assert_eq!(
        files.verify(&zkey, &to("public.json"), &to("proof.json")),
        Some(0)
    );
    // Before anybody contributed gamma is delta, and anybody can forge.
    quire.json(&[&["ceremony", "new", "--out", &bare][..], &circuit].concat());
    let prove = [
        "groth16",
        "prove",
        &bare,
        &wtns,
        &to("p.json"),
        &to("q.json"),
    ];
    let message = quire.fails_with(3, &prove);
    assert!(message.contains("gamma = ±delta"), "{message}");
    // A key of one party's setup has no ceremony to verify.
    let args = convert(&files.zkey, &to("none.qk"));
    quire.fails_with(3, &args.split('\n').collect::<Vec<_>>());
    assert!(!quire.path("none.qk").exists());
    // Nothing is replaced but proofs.
    quire.fails_with(
        1,
        &[&["groth16", "setup", "--zkey", &zkey][..], &circuit].concat(),
    );
}
