//! Times this prover against `ark-groth16` on one circuit, in interleaved pairs.
//!
//! `cargo run --release -p prover --example compare -- [log2 of the domain] [pairs]`; the number of
//! threads follows `RAYON_NUM_THREADS`. Both sides get what they keep between proofs: this prover the
//! matrices and the key, `ark-groth16` the circuit and its own key. "with witness" adds the synthesis
//! of the assignment. With 0 pairs only this prover runs, ten times, and prints its memory: it stays the
//! same from the second proof on.

use std::time::{Duration, Instant};

use ark_bn254::Bn254;
use ark_groth16::Groth16;
use ark_snark::SNARK;
use prover::key::{AllowDevKeys, ProvingKey};
use prover::prove::{Watch, prove_watched};
use prover::setup::setup_insecure_dev;
use prover::verify::verify;
use r1cs::{R1cs, assignment_of};
use rand::SeedableRng;
use rand::rngs::{OsRng, StdRng};

#[path = "../tests/all/chain.rs"]
mod chain;

use chain::Chain;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let log_size: u32 = arguments.next().map_or(Ok(16), |text| text.parse())?;
    let pairs: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let circuit = Chain::filling(log_size);
    let r1cs = R1cs::of(circuit)?;
    println!(
        "2^{log_size}: {} constraints, {} variables, {} threads",
        r1cs.num_constraints(),
        r1cs.num_variables(),
        rayon::current_num_threads()
    );
    let key = stored_key(&r1cs, log_size)?;
    if pairs == 0 {
        let before = status("VmRSS")?;
        let assignment = assignment_of(circuit)?;
        for _ in 0..10 {
            let proved = prove_watched(&key, &r1cs, &assignment, &mut OsRng, Watch::default())?;
            println!(
                "{:.2?}; {} MiB before, {} MiB now, {} MiB at the peak",
                proved.timings.total(),
                before,
                status("VmRSS")?,
                status("VmHWM")?
            );
        }
        return Ok(());
    }
    compare(circuit, &r1cs, &key, pairs)
}

/// Makes the key, or loads it from the directory for temporary files where an earlier run left it.
fn stored_key(r1cs: &R1cs, log_size: u32) -> Result<ProvingKey, Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("quire-compare-{log_size}.pk"));
    let start = Instant::now();
    match ProvingKey::load(&path, &r1cs.fingerprint(), AllowDevKeys::Yes) {
        Ok(key) => {
            let size = std::fs::metadata(&path)?.len() >> 20;
            println!(
                "loaded {} ({size} MiB) in {:.2?}",
                path.display(),
                start.elapsed()
            );
            Ok(key)
        }
        Err(error) => {
            println!("making a key: {error}");
            let start = Instant::now();
            let key = setup_insecure_dev(r1cs, "compare", b"", 1)?;
            println!("setup in {:.2?}", start.elapsed());
            key.save(&path)?;
            Ok(key)
        }
    }
}

fn compare(
    circuit: Chain,
    r1cs: &R1cs,
    key: &ProvingKey,
    pairs: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = StdRng::seed_from_u64(1);
    let (ark_key, _) = Groth16::<Bn254>::circuit_specific_setup(circuit, &mut rng)?;
    let (mut ours, mut with_witness, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_ticks, mut their_ticks) = (0, 0);
    for pair in 0..pairs {
        let (start, ticks) = (Instant::now(), cpu_ticks()?);
        let assignment = assignment_of(circuit)?;
        let proving = Instant::now();
        let proved = prove_watched(key, r1cs, &assignment, &mut OsRng, Watch::default())?;
        ours.push(proving.elapsed());
        with_witness.push(start.elapsed());
        our_ticks += cpu_ticks()? - ticks;
        verify(
            key.verifying_key(),
            &assignment[1..r1cs.num_instance()],
            &proved.proof,
        )?;

        let (start, ticks) = (Instant::now(), cpu_ticks()?);
        let proof = Groth16::<Bn254>::prove(&ark_key, circuit, &mut rng)?;
        theirs.push(start.elapsed());
        their_ticks += cpu_ticks()? - ticks;
        let inputs = &assignment[1..r1cs.num_instance()];
        assert!(
            Groth16::<Bn254>::verify(&ark_key.vk, inputs, &proof)?,
            "ark-groth16's proof verifies"
        );
        println!(
            "pair {pair}: {:.3?} against {:.3?}; {:.1?}",
            ours[pair],
            theirs[pair],
            proved.timings.stages()
        );
    }
    let [ours, with_witness, theirs] = [ours, with_witness, theirs].map(median);
    println!(
        "median {:.3} s, with witness {:.3} s, ark-groth16 {:.3} s: ratios {:.3} and {:.3}",
        ours,
        with_witness,
        theirs,
        ours / theirs,
        with_witness / theirs
    );
    println!(
        "processor time with witness: {our_ticks} ticks against {their_ticks}: ratio {:.3}",
        f64::from(our_ticks) / f64::from(their_ticks)
    );
    Ok(())
}

/// Processor time of this process so far, user and system, in clock ticks.
fn cpu_ticks() -> Result<u32, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.split_whitespace().collect();
    Ok(fields[13].parse::<u32>()? + fields[14].parse::<u32>()?)
}

/// Median in seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// A figure of `/proc/self/status` in MiB.
fn status(field: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text
        .lines()
        .find(|line| line.starts_with(field))
        .ok_or("no such field")?;
    let number = line.split_whitespace().nth(1).ok_or("no number")?;
    Ok(number.parse::<u64>()? >> 10)
}
