//! Every decoder on its valid encodings and on each of their neighbours. The fuzzer (`make fuzz`)
//! begins with the same encodings and goes further.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tests::decoders::DECODERS;
use tests::seeds;

fn corpus(target: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("fuzz/corpus").join(target)
}

/// `UPDATE_SEEDS=1` rewrites the files after a deliberate change of a format.
#[test]
fn seeds_of_the_fuzzer_are_valid() {
    let all = seeds::all();
    assert_eq!(all.len(), DECODERS.len());
    for decoder in DECODERS {
        let (seeds, folder) = (&all[decoder.name], corpus(decoder.name));
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            let _absent = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in seeds {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
        let files: BTreeMap<String, Vec<u8>> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, std::fs::read(entry.path()).unwrap())
            })
            .collect();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, seeds.keys().copied().collect::<Vec<_>>());
        for (name, bytes) in seeds {
            let same = files[*name] == *bytes;
            assert!(same, "{}/{name} is another file", decoder.name);
            assert!((decoder.check)(bytes), "{}/{name}", decoder.name);
        }
    }
}

/// Bits flipped, bytes cut, inserted and repeated: canonical or refused, and never a panic.
#[test]
fn neighbours_of_valid_encodings_are_refused_or_canonical() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let all = seeds::all();
    for decoder in DECODERS {
        let mut refused = 0;
        for seed in all[decoder.name].values() {
            assert!(!(decoder.check)(&[]) && !seed.is_empty());
            for _ in 0..60 {
                let mut bytes = seed.clone();
                let at = rng.gen_range(0..bytes.len());
                match rng.gen_range(0..5) {
                    0 | 1 => bytes[at] ^= 1 << rng.gen_range(0..8),
                    2 => bytes.truncate(at),
                    3 => bytes.insert(at, rng.r#gen()),
                    _ => bytes[at] = [0, 0xff, 0x7f, b'0'][rng.gen_range(0..4)],
                }
                refused += u32::from(!(decoder.check)(&bytes));
            }
        }
        assert!(refused > 10, "{} refused {refused}", decoder.name);
    }
}
