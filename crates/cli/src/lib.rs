//! The `quire` program: arguments, then settings, then one command; errors are printed here.
//!
//! Invariant: whatever goes wrong ends with a message that says what, where and what to do, and an
//! exit status that is not zero (`fault`). Everything that is kept is written whole or not at all.
#![allow(
    missing_docs,
    reason = "a field whose name says what it is needs no sentence"
)]

mod args;
#[cfg(feature = "attacks")]
mod attack;
mod batches;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "bench")]
mod bench_setup;
#[cfg(feature = "interop")]
mod ceremony;
mod config;
mod contract;
pub mod decoders;
mod demo;
#[cfg(feature = "chain")]
mod deploying;
mod deployment;
mod drill;
mod estimate;
#[cfg(feature = "interop")]
mod exchange;
mod fault;
mod files;
#[cfg(feature = "evm")]
mod gas;
#[cfg(feature = "interop")]
mod groth16;
mod import;
mod init;
mod inspect;
#[cfg(feature = "bench")]
mod intake;
mod interrupt;
mod key_check;
mod key_export;
mod keys;
mod l1;
mod leave;
mod link;
mod mempool;
mod operations;
mod passphrase;
mod pipeline;
#[cfg(feature = "bench")]
mod primitives;
#[cfg(all(feature = "bench", feature = "evm"))]
mod queue;
mod restore;
mod settings;
mod shell;
mod stats;
mod takeover;
mod tx;
mod ui;
mod unacknowledged;
mod user;
mod verifier;
mod waits;
mod wallet;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use args::{
    AttackCommand, BatchCommand, BenchCommand, CeremonyCommand, CircuitCommand, Cli, Command,
    ConfigCommand, ExitCommand, ExportCommand, KeysCommand, VerifierCommand, WalletCommand,
};
use settings::Settings;

/// Runs the program on the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.to_string();
        ui::complain(&format!(
            "this is a fault of the program, please report it: {place}"
        ));
    }));
    match catch_unwind(AssertUnwindSafe(|| run(&cli))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) if error.is::<ui::OutputClosed>() => ExitCode::from(fault::EXIT_CLOSED_PIPE),
        Ok(Err(error)) => {
            ui::complain(&fault::message(&error));
            ExitCode::from(fault::status(fault::class_of(&error)))
        }
        Err(_) => ExitCode::from(fault::EXIT_BUG),
    }
}

/// Help, or what is wrong with the arguments. It repeats arguments, which may have been pasted from
/// anywhere: control characters in them are spelled out, and then nothing is coloured.
fn refuse(error: &clap::Error) -> ! {
    let plain = |argument: OsString| ui::is_printable(&argument.to_string_lossy());
    if !error.use_stderr() {
        help(error)
    }
    if std::env::args_os().all(plain) {
        error.exit()
    }
    ui::tell(ui::printable(&error.render().to_string(), false).trim_end());
    std::process::exit(error.exit_code())
}

/// Prints help. Whoever does not get it is told so, as of any other output.
fn help(error: &clap::Error) -> ! {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    let status = match printed.map_err(ui::unwritten) {
        Ok(()) => 0,
        Err(error) if error.is::<ui::OutputClosed>() => fault::EXIT_CLOSED_PIPE,
        Err(error) => {
            ui::complain(&fault::message(&error));
            fault::status(fault::class_of(&error))
        }
    };
    std::process::exit(status.into())
}

/// What `-v` shows: lines on standard error, never coloured off a terminal. Secrets are not traced.
fn trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Why only these: libraries trace whole addresses of nodes, which may hold passwords.
    let own = [
        "quire", "cli", "chain", "rollup", "batcher", "l1", "evm", "prover", "circuits", "ledger",
        "msm", "wallet",
    ];
    let targets = Targets::new().with_targets(own.map(|name| (name, level)));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_target(verbose > 1);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(targets));
    subscriber.init();
}

/// The argument `--memory` of the commands that have it.
fn memory_of(command: &Command) -> Option<&str> {
    match command {
        Command::Prove(args) => args.memory.as_deref(),
        Command::Run(args) => args.prove.memory.as_deref(),
        Command::Bench(BenchCommand::Schedule(args)) => args.memory.as_deref(),
        _ => None,
    }
}

fn run(cli: &Cli) -> Result<()> {
    interrupt::listen()?;
    trace(cli.global.verbose);
    let settings = &Settings::resolve(&cli.global, memory_of(&cli.command))?;
    match &cli.command {
        Command::Init(args) => init::run(settings, args),
        Command::Keys(command) => run_keys(settings, command),
        Command::Wallet(command) => run_wallet(settings, command),
        Command::Deposit(args) => user::deposit(settings, args),
        Command::Transfer(args) => operations::transfer(settings, args),
        Command::Accept(args) => operations::accept(settings, args),
        Command::Withdraw(args) => operations::withdraw(settings, args),
        Command::Claim(args) => user::claim(settings, args),
        Command::Account(args) => inspect::account(settings, args),
        Command::Tx(args) => tx::run(settings, args),
        Command::Mempool(command) => mempool::run(settings, command),
        Command::Exit(ExitCommand::Request(args)) => leave::request(settings, args),
        Command::Exit(ExitCommand::Plan(args)) => leave::plan(settings, args),
        Command::Exit(ExitCommand::Execute(args)) => leave::execute(settings, args),
        Command::Freeze => leave::freeze(settings),
        Command::Restore(args) => restore::run(settings, args),
        Command::L1(command) => l1::run(settings, command),
        Command::Drill(args) => drill::run(settings, args),
        Command::Import(args) => import::run(settings, args),
        Command::Seal(args) => pipeline::run_seal(settings, args),
        Command::Prove(args) => pipeline::run_prove(settings, args),
        Command::Submit(args) => pipeline::run_submit(settings, args),
        Command::Run(args) => pipeline::run_all(settings, args),
        Command::Operator(command) => takeover::run(settings, command),
        Command::Batch(command) => run_batch(settings, command),
        Command::Verify(args) => inspect::verify(settings, args),
        Command::Ceremony(command) => run_ceremony(settings, command),
        Command::Export(command) => run_export(settings, command),
        #[cfg(feature = "interop")]
        Command::VerifyProof(args) => exchange::run_verify_proof(settings, args),
        #[cfg(not(feature = "interop"))]
        Command::VerifyProof(_) => Err(without_interop()),
        #[cfg(feature = "interop")]
        Command::Groth16(command) => groth16::run(settings, command),
        #[cfg(not(feature = "interop"))]
        Command::Groth16(_) => Err(without_interop()),
        Command::Status => inspect::status(settings),
        Command::Audit(args) => inspect::audit(settings, args),
        Command::Demo(args) => demo::run(settings, args),
        Command::Estimate(args) => estimate::run(settings, args),
        Command::Circuit(CircuitCommand::Stats(args)) => stats::run(settings.ui, args),
        Command::Attack(command) => run_attack(settings, command),
        Command::Bench(command) => run_bench(settings, command),
        #[cfg(feature = "evm")]
        Command::Gas => gas::run(settings.ui),
        #[cfg(not(feature = "evm"))]
        Command::Gas => Err(fault::Fault::left_out("an EVM", "evm").into()),
        Command::Verifier(VerifierCommand::Solidity(args)) => verifier::run(settings, args),
        Command::Config(ConfigCommand::Show) => settings::run_show(settings),
        Command::Completions(args) => shell::run_completions(settings.ui, args),
        Command::Man(args) => shell::run_man(settings.ui, args),
    }
}

fn run_keys(settings: &Settings, command: &KeysCommand) -> Result<()> {
    match command {
        KeysCommand::Setup(args) => keys::run_setup(settings, args),
        KeysCommand::Info(args) => keys::run_info(settings, args),
        KeysCommand::Verify(args) => key_check::run(settings, args),
        KeysCommand::Export(args) => key_export::run(settings, args),
        #[cfg(feature = "interop")]
        KeysCommand::Import(args) => exchange::run_import(settings, args),
        #[cfg(not(feature = "interop"))]
        KeysCommand::Import(_) => Err(without_interop()),
    }
}

#[cfg(feature = "attacks")]
fn run_attack(settings: &Settings, command: &AttackCommand) -> Result<()> {
    match command {
        AttackCommand::List => attack::list(settings.ui),
        AttackCommand::Run(args) => attack::run(settings.ui, args),
    }
}

#[cfg(not(feature = "attacks"))]
fn run_attack(_: &Settings, _: &AttackCommand) -> Result<()> {
    Err(fault::Fault::left_out("malicious witnesses", "attacks").into())
}

#[cfg(not(feature = "interop"))]
fn without_interop() -> anyhow::Error {
    fault::Fault::left_out("files of other programs", "interop").into()
}

#[cfg(not(feature = "interop"))]
fn run_export(_: &Settings, _: &ExportCommand) -> Result<()> {
    Err(without_interop())
}

#[cfg(feature = "interop")]
fn run_export(settings: &Settings, command: &ExportCommand) -> Result<()> {
    match command {
        ExportCommand::R1cs(args) => exchange::run_r1cs(settings, args),
        ExportCommand::Wtns(args) => exchange::run_wtns(settings, args),
        ExportCommand::Zkey(args) => exchange::run_zkey(settings, args),
        ExportCommand::Vkey(args) => exchange::run_vkey(settings, args),
        ExportCommand::Proof(args) => exchange::run_batch(settings, args, false),
        ExportCommand::Public(args) => exchange::run_batch(settings, args, true),
    }
}

#[cfg(not(feature = "interop"))]
fn run_ceremony(_: &Settings, _: &CeremonyCommand) -> Result<()> {
    Err(without_interop())
}

#[cfg(feature = "interop")]
fn run_ceremony(settings: &Settings, command: &CeremonyCommand) -> Result<()> {
    match command {
        CeremonyCommand::New(args) => ceremony::run_new(settings, args),
        CeremonyCommand::Contribute(args) => ceremony::run_contribute(settings, args),
        CeremonyCommand::Beacon(args) => ceremony::run_beacon(settings, args),
        CeremonyCommand::Verify(args) => ceremony::run_verify(settings, args),
        CeremonyCommand::Powers(args) => ceremony::run_powers(settings, args),
    }
}

fn run_wallet(settings: &Settings, command: &WalletCommand) -> Result<()> {
    match command {
        WalletCommand::New(args) => wallet::run_new(settings, args),
        WalletCommand::Show(args) => wallet::run_show(settings, args),
        WalletCommand::Import(args) => wallet::run_import(settings, args),
        WalletCommand::List => wallet::run_list(settings),
    }
}

fn run_batch(settings: &Settings, command: &BatchCommand) -> Result<()> {
    match command {
        BatchCommand::List(args) => batches::run_list(settings, args),
        BatchCommand::Show(args) => batches::run_show(settings, args),
        BatchCommand::Export(args) => batches::run_export(settings, args),
    }
}

#[cfg(not(feature = "bench"))]
fn run_bench(_: &Settings, _: &BenchCommand) -> Result<()> {
    Err(fault::Fault::left_out("measurements", "bench").into())
}

#[cfg(feature = "bench")]
fn run_bench(settings: &Settings, command: &BenchCommand) -> Result<()> {
    let simd = match command {
        BenchCommand::Prove(args) => args.simd,
        BenchCommand::Msm(args) => args.simd,
        BenchCommand::Fft(args) => args.simd,
        BenchCommand::Setup(args) => args.simd,
        BenchCommand::Schedule(args) => args.simd,
        BenchCommand::Keyload(args) => args.simd,
        BenchCommand::Peak(args) => args.simd,
        BenchCommand::Verify(_) | BenchCommand::Intake(_) | BenchCommand::Queue(_) => {
            args::SimdArgs { simd: None }
        }
    };
    bench::choose_path(simd)?;
    match command {
        BenchCommand::Prove(args) => bench::run_prove(settings, args),
        BenchCommand::Msm(args) => primitives::run_msm(settings, args),
        BenchCommand::Fft(args) => primitives::run_fft(settings, args),
        BenchCommand::Setup(args) => bench_setup::run_setup(settings, args),
        BenchCommand::Schedule(args) => bench_setup::run_schedule(settings, args),
        BenchCommand::Verify(args) => bench::run_verify(settings, args),
        BenchCommand::Keyload(args) => bench::run_keyload(settings, args),
        BenchCommand::Peak(args) => bench::run_peak(settings, args),
        BenchCommand::Intake(args) => intake::run(settings, args),
        #[cfg(feature = "evm")]
        BenchCommand::Queue(args) => queue::run(settings, args),
        #[cfg(not(feature = "evm"))]
        BenchCommand::Queue(_) => Err(fault::Fault::left_out("an EVM", "evm").into()),
    }
}
