//! Histories of transfers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use batcher::{Batcher, Fill, Settings, SignedOperation};
use histories::{ETH, FEE_ACCOUNT, Import, ImportError, ImportOptions, RowError, Token};
use ledger::account::Account;
use ledger::operation::Signable;
use ledger::shape::Shape;
use tempfile::TempDir;

use crate::world::*;

const OPTIONS: ImportOptions<'_> = ImportOptions {
    seed: b"imports",
    depth: 12,
    operator: [1; 20],
    limit: None,
};

const HEADER: &str = "block,tx_index,token,from,to,amount,gas_price,nonce";
const A: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "0xcccccccccccccccccccccccccccccccccccccccc";

fn parse_with(text: impl AsRef<[u8]>, options: &ImportOptions<'_>) -> Result<Import, ImportError> {
    Import::parse(text.as_ref(), Path::new("history.csv"), options)
}

fn rows(rows: &[String]) -> Import {
    parse_with(format!("{HEADER}\n{}\n", rows.join("\n")), &OPTIONS).unwrap()
}

fn row(token: &str, from: &str, to: &str, amount: &str) -> String {
    format!("1,0,{token},{from},{to},{amount},7,0")
}

fn workload() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/workloads/ethereum_transfers.csv.gz")
}

fn genesis_of(import: &Import) -> Vec<(u32, Account)> {
    let accounts = import.genesis();
    accounts
        .iter()
        .map(|account| (account.index, account.account()))
        .collect()
}

fn settings_of(import: &Import, shape: Shape) -> Settings {
    Settings {
        shapes: vec![shape],
        fee_accounts: import.fee_accounts(),
        ..settings()
    }
}

#[test]
fn the_whole_workload_seals_and_replays() {
    let shape = Shape {
        id: 1,
        depth: 12,
        l1_ops: 0,
        transfers: 70,
        withdrawals: 0,
        fee_slots: 2,
        cached_levels: 3,
    };
    let import = Import::read(&workload(), &OPTIONS).unwrap();
    let summary = import.summary();
    assert_eq!(
        (summary.rows, summary.imported, summary.rejected),
        (12_588, 12_588, 0)
    );
    assert_eq!((summary.accounts, summary.tokens), (15_043, 464));
    let genesis = genesis_of(&import);
    assert_eq!(genesis.len(), 15_044);
    let folder = TempDir::new().unwrap();
    let settings = settings_of(&import, shape);
    let mut batcher = Batcher::create(folder.path(), settings.clone(), genesis.clone()).unwrap();
    let opening = batcher.supply();
    let signed: Vec<SignedOperation> = import
        .signed(settings.domain)
        .map(SignedOperation::from)
        .collect();
    for operations in signed.chunks(4096) {
        let verdicts = batcher.submit_many(operations, NOW).unwrap();
        assert!(verdicts.iter().all(Result::is_ok));
    }
    // The second half is sealed by another run, from what the first left on disk.
    for _ in 0..90 {
        batcher.seal(&[], NOW).unwrap().unwrap();
    }
    drop(batcher);
    let mut batcher = Batcher::open(folder.path(), settings).unwrap();
    let mut sealed = Vec::new();
    let summary = batcher
        .seal_all(&[], NOW, Fill::UntilNextDoesNotFit, |batch| {
            sealed.extend(batch.words().transfers.clone());
        })
        .unwrap();
    assert_eq!(
        (summary.batches, summary.dropped, summary.waiting),
        (90, 0, 0)
    );
    let in_file_order = import.transfers()[90 * 70..].iter().zip(&sealed);
    assert!(
        in_file_order
            .into_iter()
            .all(|(row, data)| (row.from, row.to) == (data.from, data.to))
    );
    assert_eq!(sealed.len(), 12_588 - 90 * 70);
    assert_eq!(batcher.supply(), opening, "nothing is made or lost");
    let roots = batcher.audit(genesis).unwrap();
    assert_eq!(roots.len(), 181);
    assert_eq!(roots.last(), Some(&batcher.state().root()));
    assert!(balance(&batcher, FEE_ACCOUNT) > 0);
    let senders = import.transfers().iter().map(|transfer| transfer.from);
    let nonces: u64 = senders
        .collect::<std::collections::BTreeSet<u32>>()
        .into_iter()
        .map(|index| batcher.state().account(index).unwrap().nonce)
        .sum();
    assert_eq!(nonces, 12_588);
}

#[test]
fn tokens_accounts_and_balances_follow_the_file() {
    let import = rows(&[
        row(C, A, B, "500"),
        row("ETH", A, B, "4000"),
        row("ETH", B, A, "1000"),
        row("ETH", B, B, "2500"),
        row("ETH", B, A, "0"),
    ]);
    assert_eq!(import.tokens()[0], Token::Eth);
    assert_eq!(import.tokens()[1], Token::Erc20([0xcc; 20]));
    assert_eq!(import.summary().accounts, 4);
    let accounts = import.genesis();
    let seen: Vec<(u32, [u8; 20], u32, u128)> = accounts
        .iter()
        .map(|account| (account.index, account.owner, account.token, account.balance))
        .collect();
    assert_eq!(
        seen,
        [
            (1, [1; 20], ETH, 0),
            (2, [0xaa; 20], 1, 500),
            (3, [0xbb; 20], 1, 0),
            (4, [0xaa; 20], 0, 4004),
            (5, [0xbb; 20], 0, 0),
        ]
    );
    let fees: Vec<Option<u128>> = import
        .transfers()
        .iter()
        .map(|transfer| transfer.fee.value_u128())
        .collect();
    assert_eq!(fees, [0, 4, 1, 2, 0].map(Some));
    let nonces: Vec<u64> = import
        .transfers()
        .iter()
        .map(|transfer| transfer.nonce)
        .collect();
    assert_eq!(nonces, [0, 0, 0, 1, 2]);
    for account in &accounts {
        assert_eq!(import.key(account.index).public_key(), account.key);
        assert!(account.key.in_prime_subgroup());
    }
    let folder = TempDir::new().unwrap();
    let settings = settings_of(
        &import,
        Shape {
            depth: 12,
            ..TRANSFERS
        },
    );
    let domain = settings.domain;
    let mut batcher = Batcher::create(folder.path(), settings, genesis_of(&import)).unwrap();
    let signed: Vec<_> = import.signed(domain).map(SignedOperation::from).collect();
    batcher.submit_many(&signed, NOW).unwrap();
    let summary = batcher
        .seal_all(&[], NOW, Fill::UntilNextDoesNotFit, |_| {})
        .unwrap();
    assert_eq!((summary.transfers, summary.dropped), (5, 0));
    let balances: BTreeMap<u32, u128> = (1..=5)
        .map(|index| (index, balance(&batcher, index)))
        .collect();
    // B had 4000, paid 1000 + 1 to A, 2 for a payment to itself and nothing for nothing.
    assert_eq!(
        balances,
        BTreeMap::from([(1, 7), (2, 0), (3, 500), (4, 1000), (5, 2997)])
    );
}

#[test]
fn amounts_are_rounded_down_and_counted() {
    let import = rows(&[
        row("ETH", A, B, "34359738369"),
        row("ETH", A, B, "343597383679"),
        row("ETH", A, B, "123456789"),
    ]);
    let amounts: Vec<Option<u128>> = import
        .transfers()
        .iter()
        .map(|transfer| transfer.amount.value_u128())
        .collect();
    assert_eq!(
        amounts,
        [34_359_738_367, 343_597_383_670, 123_456_789].map(Some)
    );
    assert_eq!(import.summary().rounded, 2);
}

#[test]
fn malformed_rows_are_counted_with_line_and_reason() {
    let max = u128::MAX.to_string();
    let mut lines = vec![
        row("ETH", A, B, "5"),
        "1,0,ETH".to_owned(),
        format!("{},9", row("ETH", A, B, "5")),
        row("ETH", "0xaa", B, "5"),
        row("ETH", A, &B[2..], "5"),
        row("eth", A, B, "5"),
        row("0x12", A, B, "5"),
    ];
    for amount in [
        "",
        "-5",
        "+5",
        "5.0",
        "1e3",
        " 5",
        "0x5",
        "five",
        &format!("{max}0"),
        "\"5\"",
    ] {
        lines.push(row("ETH", A, B, amount));
    }
    lines.push("one,0,ETH,a,b,5,7,0".to_owned());
    lines.push(row(C, A, B, &max));
    lines.push(row(C, A, B, &max));
    lines.push(row("ETH", &A.to_uppercase().replace("0X", "0x"), B, "6"));
    let import = rows(&lines);
    let summary = import.summary();
    assert_eq!(
        (summary.rows, summary.imported, summary.rejected),
        (21, 3, 18)
    );
    assert_eq!(summary.imported + summary.rejected, summary.rows);
    assert_eq!(summary.accounts, 4);
    let rejected: Vec<(u64, &RowError)> = import
        .rejected()
        .iter()
        .map(|rejected| (rejected.line, &rejected.reason))
        .collect();
    assert_eq!(
        rejected[0],
        (
            3,
            &RowError::Columns {
                expected: 8,
                got: 3
            }
        )
    );
    assert_eq!(
        rejected[1],
        (
            4,
            &RowError::Columns {
                expected: 8,
                got: 9
            }
        )
    );
    assert!(matches!(
        rejected[2],
        (5, RowError::Address { column: "from", .. })
    ));
    assert!(matches!(
        rejected[3],
        (6, RowError::Address { column: "to", .. })
    ));
    assert!(matches!(rejected[4], (7, RowError::Token { .. })));
    assert!(matches!(rejected[5], (8, RowError::Token { .. })));
    for (place, (line, reason)) in rejected[6..16].iter().enumerate() {
        assert!(matches!(reason, RowError::Amount { .. }), "{reason}");
        assert_eq!(*line, u64::try_from(place).unwrap() + 9);
    }
    assert!(matches!(
        rejected[16],
        (19, RowError::Address { column: "from", .. })
    ));
    assert_eq!(rejected[17], (21, &RowError::Supply { token: 1 }));
    let domain = settings().domain;
    assert_eq!(import.signed(domain).count(), 3);
    assert_eq!(
        [0, 1, 2, 3].map(|place| import.line(place)),
        [Some(2), Some(20), Some(22), None]
    );
    let signed = import.signed(domain).map(SignedOperation::from);
    for (operation, transfer) in signed.zip(import.transfers()) {
        assert_eq!(operation.fields(), transfer.fields());
        let key = import.key(transfer.from).public_key();
        assert!(operation.verify(&key, &domain).is_ok());
    }
}

#[test]
fn bytes_that_are_no_text_are_one_bad_row() {
    let mut text = format!("{HEADER}\r\n").into_bytes();
    text.extend(b"1,0,ETH,\xff\xfe,\0,5,7,0\r\n\r\n");
    text.extend(row("ETH", A, B, "5").bytes());
    let import = parse_with(text, &OPTIONS).unwrap();
    assert_eq!((import.summary().rows, import.summary().imported), (2, 1));
}

#[test]
fn no_more_rows_are_read_than_asked_for() {
    let lines = ["5", "x", "6"].map(|amount| row("ETH", A, B, amount));
    let text = format!("{HEADER}\n{}\n", lines.join("\n"));
    let rows = |limit| {
        let options = ImportOptions { limit, ..OPTIONS };
        parse_with(&text, &options).unwrap().summary().rows
    };
    assert_eq!([Some(0), Some(2), None].map(rows), [0, 2, 3]);
}

/// A small packed file does not fill the memory with a single line.
#[test]
fn an_endless_line_is_refused() {
    let text = format!("{HEADER}\n{}", "7".repeat(1 << 17));
    let error = parse_with(&text, &OPTIONS).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("line 2 has more than 65536 bytes"),
        "{error}"
    );
}

#[test]
fn a_full_tree_rejects_new_accounts_only() {
    let options = ImportOptions {
        depth: 1,
        ..OPTIONS
    };
    let text = [
        HEADER.to_owned(),
        row("ETH", A, B, "5"),
        row("ETH", A, C, "5"),
        row("ETH", B, A, "1"),
    ];
    let import = parse_with(text.join("\n"), &options).unwrap();
    assert_eq!(import.rejected().len(), 1);
    assert_eq!(
        import.rejected()[0].reason,
        RowError::TreeFull { leaves: 4 }
    );
    assert_eq!(import.summary().imported, 2);
}

#[test]
fn files_that_are_no_history_are_refused() {
    for text in ["", "block,token\n", "1,0,ETH,a,b,5,7,0\n", "\u{0}\u{1}"] {
        let error = parse_with(text, &OPTIONS).err().unwrap();
        assert!(matches!(error, ImportError::Header { .. }), "{error}");
    }
    let twice = "token,from,to,amount,from\n";
    let error = parse_with(twice, &OPTIONS).err().unwrap().to_string();
    assert!(error.contains("names from 2 times"), "{error}");
    assert!(error.contains(twice.trim()), "{error}");
    let options = ImportOptions {
        depth: 17,
        ..OPTIONS
    };
    assert!(matches!(
        parse_with(HEADER, &options),
        Err(ImportError::Depth(17))
    ));
    let missing = Import::read(Path::new("no/such/file.csv"), &OPTIONS)
        .err()
        .unwrap();
    assert!(
        missing.to_string().contains("no/such/file.csv"),
        "{missing}"
    );
}

#[test]
fn a_cut_or_damaged_packed_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.csv.gz");
    let good = std::fs::read(workload()).unwrap();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 0x10;
    for bytes in [&good[..good.len() / 2], &damaged] {
        std::fs::write(&path, bytes).unwrap();
        let error = Import::read(&path, &OPTIONS).err().unwrap();
        assert!(matches!(error, ImportError::Io { .. }), "{error}");
    }
}

#[test]
fn keys_depend_on_seed_address_and_token() {
    let lines = [row("ETH", A, B, "5"), row(C, A, B, "5")];
    let import = rows(&lines);
    let text = format!("{HEADER}\n{}\n{}\n", lines[1], lines[0]);
    let swapped = parse_with(&text, &OPTIONS).unwrap();
    let other = parse_with(
        &text,
        &ImportOptions {
            seed: b"other",
            ..OPTIONS
        },
    )
    .unwrap();
    let keys = |import: &Import| {
        let accounts = import.genesis();
        let mut keys: Vec<String> = accounts.iter().map(|a| hex::encode(a.key.pack())).collect();
        keys.sort();
        keys
    };
    assert_eq!(
        keys(&import),
        keys(&swapped),
        "whatever the order of the rows"
    );
    let (ours, theirs) = (keys(&import), keys(&other));
    assert!(ours.iter().all(|key| !theirs.contains(key)));
    assert_eq!(ours.len(), 5);
}

/// Only what is used has to be there, wherever it stands, whatever a program writes before it.
#[test]
fn columns_are_found_by_their_names() {
    let whole = rows(&[row("ETH", A, B, "5"), row(C, B, A, "7")]);
    for (header, rows) in [
        (
            "token,from,to,amount",
            [format!("ETH,{A},{B},5"), format!("{C},{B},{A},7")],
        ),
        (
            "\u{feff}to,note,amount,token,from",
            [format!("{B},,5,ETH,{A}"), format!("{A},x y,7,{C},{B}")],
        ),
    ] {
        let import =
            parse_with(format!("{header}\r\n{}\r\n", rows.join("\r\n")), &OPTIONS).unwrap();
        assert_eq!(import.summary(), whole.summary());
        assert_eq!(import.transfers(), whole.transfers());
        assert_eq!(import.genesis(), whole.genesis());
    }
}

/// The address of zeros is ETH's: it is no token of its own.
#[test]
fn the_token_of_zeros_is_eth() {
    let zeros = "0x0000000000000000000000000000000000000000";
    let import = rows(&[row("ETH", A, B, "1000"), row(zeros, A, B, "500")]);
    assert_eq!(import.tokens(), [Token::Eth]);
    assert_eq!(
        (import.summary().imported, import.summary().accounts),
        (2, 2)
    );
    assert!(
        import
            .transfers()
            .iter()
            .all(|transfer| transfer.token == 0)
    );
}
