//! The `quire` program: arguments, then settings, then one command; errors are printed here.
//!
//! Invariant: whatever goes wrong ends with a message that says what, where and what to do, and an
//! exit status that is not zero. Everything that is kept is written whole or not at all.

mod amount;
mod args;
mod bench;
mod demo;
mod import;
mod inspect;
mod intake;
mod interrupt;
mod keys;
mod node;
mod pipeline;
mod sample;
mod settings;
mod stats;
mod ui;
mod user;
mod wallet;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{BenchCommand, CircuitCommand, Cli, Command, KeysCommand, WalletCommand};
use settings::Settings;

/// Exit status after an error.
const EXIT_ERROR: u8 = 1;
/// Exit status after a fault of this program, `EX_SOFTWARE` of `sysexits.h`.
const EXIT_BUG: u8 = 70;

fn main() -> ExitCode {
    let cli = Cli::parse();
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("quire: this is a fault of the program, please report it: {panic}");
    }));
    match catch_unwind(AssertUnwindSafe(|| run(&cli))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) if is_broken_pipe(&error) => ExitCode::from(EXIT_ERROR),
        Ok(Err(error)) => {
            eprintln!("quire: {}", message(&error));
            ExitCode::from(EXIT_ERROR)
        }
        Err(_) => ExitCode::from(EXIT_BUG),
    }
}

/// The error with its causes; a cause that the text before it tells already is left out.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Nobody reads the output any more, so nobody reads an error about it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: &Cli) -> Result<()> {
    interrupt::listen()?;
    let settings = Settings::resolve(cli)?;
    match &cli.command {
        Command::Keys(KeysCommand::Setup(args)) => keys::run_setup(&settings, args),
        Command::Keys(KeysCommand::Info(args)) => keys::run_info(&settings, args),
        Command::Wallet(WalletCommand::New(args)) => wallet::run_new(&settings, args),
        Command::Wallet(WalletCommand::Show(args)) => wallet::run_show(&settings, args),
        Command::Circuit(CircuitCommand::Stats(args)) => stats::run(settings.ui, args),
        Command::Bench(BenchCommand::Prove(args)) => bench::run_prove(&settings, args),
        Command::Bench(BenchCommand::Verify(args)) => bench::run_verify(&settings, args),
        Command::Bench(BenchCommand::Keyload(args)) => bench::run_keyload(&settings, args),
        Command::Bench(BenchCommand::Peak(args)) => bench::run_peak(&settings, args),
        Command::Bench(BenchCommand::Intake(args)) => intake::run(&settings, args),
        Command::Demo(args) => demo::run(&settings, args),
        Command::Deposit(args) => user::deposit(&settings, args),
        Command::Transfer(args) => user::transfer(&settings, args),
        Command::Withdraw(args) => user::withdraw(&settings, args),
        Command::Import(args) => import::run(&settings, args),
        Command::Seal(args) => pipeline::run_seal(&settings, args),
        Command::Prove(args) => pipeline::run_prove(&settings, args),
        Command::Submit(args) => pipeline::run_submit(&settings, args),
        Command::Run(args) => pipeline::run_all(&settings, args),
        Command::Verify(args) => inspect::verify(&settings, args),
        Command::Status => inspect::status(&settings),
        Command::Account(args) => inspect::account(&settings, args),
        Command::Audit(args) => inspect::audit(&settings, args),
    }
}
