//! `keys verify` and `estimate`.

use crate::fixture::{Quire, tiny_keys};

#[test]
fn good_keys_pass_every_check() {
    let quire = Quire::new();
    let checked = quire.json(&["keys", "verify", "--shape", "tiny"]);
    assert_eq!(checked["insecure_dev"], true);
    assert!(
        checked["checks"].as_array().unwrap().len() >= 8,
        "{checked}"
    );
    let info = quire.json(&["keys", "info"]);
    assert_eq!(checked["id"], info[0]["id"]);
    let message = quire.fails_with(4, &["keys", "verify", "--shape", "t16"]);
    assert!(message.contains("no key for shape t16"), "{message}");
}

/// Damage, files of two setups, and a point off the curve under a checksum that holds.
#[test]
fn bad_keys_are_found() {
    let quire = Quire::new();
    let folder = quire.path("other");
    std::fs::create_dir(&folder).unwrap();
    let good = std::fs::read(tiny_keys().join("tiny.pk")).unwrap();
    let small = std::fs::read(tiny_keys().join("tiny.vk")).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let dir = folder.to_str().unwrap().to_owned();
    let fails = |status: i32| {
        let args = ["keys", "verify", "--shape", "tiny", "--no-proof"];
        let mut command = crate::fixture::program();
        let (got, message) =
            crate::fixture::failure_of(command.args(args).args(["--keys-dir", &dir]), &args);
        assert_eq!(got, status, "{message}");
        message
    };
    put("tiny.pk", &good);
    assert!(fails(4).contains("tiny.vk"));
    put("tiny.vk", &small[..small.len() - 1]);
    assert!(fails(3).contains("tiny.vk"));
    put("tiny.vk", &small);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    put("tiny.pk", &flipped);
    assert!(fails(3).contains("damaged"));

    // The last point of L is replaced by (1, 1) and the checksum made anew.
    let mut forged = good.clone();
    let end = forged.len() - 32;
    let one = [1u8].into_iter().chain([0; 31]).collect::<Vec<_>>();
    forged[end - 64..end - 32].copy_from_slice(&one);
    forged[end - 32..end].copy_from_slice(&one);
    let digest = *blake3::hash(&forged[..end]).as_bytes();
    forged[end..].copy_from_slice(&digest);
    put("tiny.pk", &forged);
    let message = fails(3);
    assert!(
        message.contains("L query") && message.contains("curve"),
        "{message}"
    );

    let other = quire.path("second");
    let args = [
        "keys",
        "setup",
        "--shape",
        "tiny",
        "--insecure-dev-seed",
        "2",
    ];
    let mut setup = crate::fixture::program();
    let made = setup
        .args(args)
        .arg("--keys-dir")
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success());
    put("tiny.pk", &good);
    std::fs::copy(other.join("tiny.vk"), folder.join("tiny.vk")).unwrap();
    assert!(fails(3).contains("not of one setup"));
}

/// Sizes as the files have them, for a shape whose keys exist; none is made.
#[test]
fn an_estimate_has_the_sizes_of_the_keys_and_makes_none() {
    let quire = Quire::new();
    let folder = quire.path("none");
    let mut bare = crate::fixture::program();
    bare.args(["estimate", "--shape", "tiny", "--data-dir"])
        .arg(&folder);
    let output = bare.output().unwrap();
    assert!(
        output.status.success() && !folder.exists(),
        "nothing was made"
    );
    let facts = quire.json(&["estimate", "--shape", "tiny", "--shape", "m16"]);
    let tiny = &facts["shapes"][0];
    let size = |name: &str| std::fs::metadata(tiny_keys().join(name)).unwrap().len();
    assert_eq!(tiny["proving_key_bytes"], size("tiny.pk"));
    assert_eq!(tiny["verifying_key_bytes"], size("tiny.vk"));
    for field in [
        "setup_seconds",
        "prove_seconds",
        "load_seconds",
        "transfers_per_second",
    ] {
        assert!(tiny[field].as_f64().unwrap() > 0.0, "{field}");
    }
    let larger = &facts["shapes"][1];
    for field in [
        "setup_memory_bytes",
        "proving_memory_bytes",
        "constraints",
        "published_bytes",
    ] {
        assert!(larger[field].as_u64() > tiny[field].as_u64(), "{field}");
    }
    quire.fails_with(2, &["estimate"]);
    quire.fails_with(2, &["estimate", "--shape", "t17"]);
}
