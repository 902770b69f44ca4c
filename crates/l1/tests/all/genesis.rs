//! The rules of a genesis and its two files.

use l1::bytes::Bytes;
use l1::genesis::{ACCOUNTS_FILE, Deployment, GENESIS_FILE, GenesisError, ListedShape, Token};
use l1::{Genesis, GenesisAccount, Parameters};
use ledger::babyjubjub::Point;
use ledger::shape::Shape;

use crate::fixture::*;

fn refused_parameters(change: impl FnOnce(&mut Parameters)) -> GenesisError {
    let mut changed = parameters();
    change(&mut changed);
    Genesis::new(changed, accounts()).unwrap_err()
}

fn refused_accounts(change: impl FnOnce(&mut Vec<GenesisAccount>)) -> GenesisError {
    let mut changed = accounts();
    change(&mut changed);
    Genesis::new(parameters(), changed).unwrap_err()
}

#[test]
fn parameters_are_checked() {
    assert!(matches!(
        refused_parameters(|p| p.chain_id = 1),
        GenesisError::ChainId {
            chain_id: 1,
            contract: None
        }
    ));
    let contract = Some(l1::bytes::Bytes([7; 20]));
    assert!(matches!(
        refused_parameters(|p| p.contract = contract),
        GenesisError::ChainId { chain_id: 0, .. }
    ));
    let on_chain = |p: &mut Parameters| (p.chain_id, p.contract) = (31337, contract);
    assert!(matches!(
        refused_parameters(on_chain),
        GenesisError::NotEmpty {
            accounts: 3..,
            tokens: 1..
        }
    ));
    for name in ["", "a\nb", &"x".repeat(65)] {
        let error = refused_parameters(|p| p.operator.name = name.to_owned());
        assert!(matches!(error, GenesisError::Name { of: "operator", .. }));
        let error = refused_parameters(|p| p.tokens[1].name = name.to_owned());
        assert!(matches!(error, GenesisError::Name { of: "token", .. }));
    }
    let error = refused_parameters(|p| p.shapes[1].shape.id = 1);
    assert!(matches!(error, GenesisError::ShapeTwice { id: 1 }));
    let error = refused_parameters(|p| p.shapes[1].shape.depth = 5);
    assert!(matches!(
        error,
        GenesisError::Depth {
            id: 2,
            expected: 4,
            got: 5
        }
    ));
    let error = refused_parameters(|p| p.shapes[1].shape.transfers = 3);
    assert!(matches!(error, GenesisError::Shape { id: 2, .. }));
    let error = refused_parameters(|p| p.shapes.iter_mut().for_each(|s| s.shape.l1_ops = 0));
    assert!(matches!(error, GenesisError::NoL1Slots));
    assert!(matches!(
        refused_parameters(|p| p.shapes.clear()),
        GenesisError::NoL1Slots
    ));
    assert!(matches!(
        refused_parameters(|p| p.tokens.clear()),
        GenesisError::NotEth
    ));
    assert!(matches!(
        refused_parameters(|p| p.tokens.swap(0, 1)),
        GenesisError::NotEth
    ));
    let twice = Token {
        decimals: None,
        name: "again".to_owned(),
        address: Bytes([0x11; 20]),
    };
    let error = refused_parameters(|p| p.tokens.push(twice));
    assert!(matches!(
        error,
        GenesisError::TokenTwice {
            first: 1,
            second: 2,
            ..
        }
    ));
    let error = refused_parameters(|p| p.tokens[1].decimals = Some(78));
    assert!(matches!(
        error,
        GenesisError::Decimals { token: 1, got: 78 }
    ));
    assert!(matches!(
        refused_parameters(|p| p.tokens[0].decimals = Some(18)),
        GenesisError::NotEth
    ));
}

/// A genesis in which no decimals are known is that of before they could be: its address stays.
#[test]
fn decimals_that_are_not_known_are_not_written() {
    let written = |decimals| {
        let mut parameters = parameters();
        parameters.tokens[1].decimals = decimals;
        let genesis = Genesis::new(parameters, Vec::new()).unwrap();
        String::from_utf8(genesis.deployment().canonical_bytes()).unwrap()
    };
    assert!(!written(None).contains("decimals"));
    assert!(written(Some(6)).contains("\"decimals\":6,\"address\""));
    let bytes = written(Some(6)).into_bytes();
    let read = l1::Deployment::from_json(&bytes).unwrap();
    assert_eq!(read.parameters().tokens[1].decimals, Some(6));
    assert_eq!(read.canonical_bytes(), bytes);
}

#[test]
fn accounts_are_checked_as_deposits_are() {
    let error = refused_accounts(|list| list[1].token = 2);
    assert!(matches!(
        error,
        GenesisError::UnknownToken {
            index: 2,
            token: 2,
            tokens: 2
        }
    ));
    let error = refused_accounts(|list| list[2].key = Point::identity());
    assert!(matches!(error, GenesisError::BadKey { index: 3, .. }));
    let error = refused_accounts(|list| list[0].q = list[0].key);
    assert!(matches!(error, GenesisError::BadKey { index: 1, .. }));
    let error = refused_accounts(|list| list[1].balance = u128::MAX - 999_999);
    assert!(matches!(
        error,
        GenesisError::EscrowFull { index: 2, token: 0 }
    ));
    let many = vec![accounts()[0]; 256];
    let error = Genesis::new(parameters(), many).unwrap_err();
    assert!(matches!(
        error,
        GenesisError::TooManyAccounts {
            accounts: 256,
            leaves: 256
        }
    ));
    let full = vec![accounts()[0]; 255];
    assert!(Genesis::new(parameters(), full).is_ok());
    assert!(Genesis::new(parameters(), Vec::new()).is_ok());
}

#[test]
fn an_empty_genesis_starts_from_the_empty_root() {
    let genesis = Genesis::new(parameters(), Vec::new()).unwrap();
    let chain = chain(&genesis);
    assert_eq!(chain.head().unwrap().root, ledger::tree::empty_root(4));
    assert_eq!(chain.head().unwrap().next_index, 1);
    assert!(chain.audit().unwrap().is_empty());
}

#[test]
fn genesis_balances_are_in_escrow_and_registered() {
    let chain = chain(&genesis());
    assert_conserved(&chain, &genesis().state());
    for (index, account) in (1..).zip(accounts()) {
        let registration = chain.registered(index).unwrap().unwrap();
        assert_eq!(registration.owner, account.owner);
        assert_eq!(registration.token, account.token);
    }
    assert_eq!(chain.registered(0).unwrap(), None);
    assert_eq!(chain.registered(4).unwrap(), None);
}

#[test]
fn the_contract_binds_every_part() {
    let base = genesis();
    let contract = |genesis: &Genesis| genesis.deployment().contract();
    let changes: [&dyn Fn(&mut Parameters); 10] = [
        &|p| p.salt.0[31] ^= 1,
        &|p| p.operator.name.push('x'),
        &|p| p.operator.address.0[0] ^= 1,
        &|p| p.shapes[1].fingerprint.0[0] ^= 1,
        &|p| p.l1_fee += 1,
        &|p| p.pending_cap += 1,
        &|p| p.timestamp_slack += 1,
        &|p| p.takeover_after += 1,
        &|p| p.freeze_after += 1,
        &|p| p.tokens[1].name.push('x'),
    ];
    let mut seen = vec![(contract(&base), base.deployment().domain())];
    for change in changes {
        let genesis = genesis_with(change);
        seen.push((contract(&genesis), genesis.deployment().domain()));
    }
    let mut other_owner = accounts();
    other_owner[0].owner = BOB;
    let genesis = Genesis::new(parameters(), other_owner).unwrap();
    seen.push((contract(&genesis), genesis.deployment().domain()));
    for (i, one) in seen.iter().enumerate() {
        for other in &seen[..i] {
            assert!(one.0 != other.0 && one.1 != other.1);
        }
    }
    let same = contract(&Genesis::new(parameters(), accounts()).unwrap());
    assert_eq!(same, contract(&base));
}

#[test]
fn files_are_read_back_in_any_layout() {
    let folder = tempfile::tempdir().unwrap();
    genesis().save(folder.path()).unwrap();
    assert_eq!(Genesis::load(folder.path()).unwrap(), genesis());
    let pretty = std::fs::read(folder.path().join(GENESIS_FILE)).unwrap();
    let compact = genesis().deployment().canonical_bytes();
    assert_ne!(pretty, compact);
    let read = Deployment::from_json(&compact).unwrap();
    assert_eq!(read, *genesis().deployment());
    assert_eq!(
        read.contract(),
        Deployment::from_json(&pretty).unwrap().contract()
    );
}

#[test]
fn broken_files_are_refused() {
    let json = genesis().deployment().canonical_bytes();
    let text = String::from_utf8(json.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let load = || Genesis::load(folder.path()).unwrap_err();
    assert!(matches!(load(), GenesisError::Io { .. }));
    genesis().save(folder.path()).unwrap();
    let accounts = std::fs::read(folder.path().join(ACCOUNTS_FILE)).unwrap();
    assert_eq!(accounts.len(), 16 + 3 * 168);

    let read = |json: &str, accounts: &[u8]| Genesis::from_bytes(json.as_bytes(), accounts);
    for length in 0..accounts.len() {
        assert!(read(&text, &accounts[..length]).is_err(), "{length}");
    }
    for at in 0..accounts.len() {
        let mut changed = accounts.clone();
        changed[at] ^= 1;
        assert!(read(&text, &changed).is_err(), "byte {at}");
    }
    let mut hostile = accounts.clone();
    hostile[12..16].copy_from_slice(&[0xff; 4]);
    let error = read(&text, &hostile).unwrap_err();
    assert!(matches!(error, GenesisError::Accounts(_)), "{error}");

    for (from, to) in [
        ("\"version\":3", "\"version\":2"),
        ("\"l1_fee\":\"1000\"", "\"l1_fee\":1000"),
        ("\"l1_fee\":\"1000\"", "\"l1_fee\":\"01000\""),
        ("\"l1_fee\":\"1000\"", "\"l1_fee\":\"+1000\""),
        ("\"l1_fee\":\"1000\"", "\"l1_fee\":\"-1\""),
        ("\"l1_fee\":\"1000\"", "\"l1_fee\":\"1e3\""),
        ("\"chain_id\":0", "\"chain_id\":5"),
        ("\"chain_id\":0", "\"chain_id\":0,\"chain_id\":0"),
        ("\"chain_id\":0", "\"chain_id\":0,\"extra\":0"),
        ("\"chain_id\":0,", ""),
        ("\"salt\":\"0x", "\"salt\":\""),
        ("\"transfers\":2", "\"transfers\":3"),
        ("\"pending_cap\":300", "\"pending_cap\":-1"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        assert!(read(&changed, &accounts).is_err(), "{to}");
    }
    let older = text.replace("\"version\":3", "\"version\":1");
    let older = older.replace("\"freeze_after\":604800,", "");
    let error = read(&older, &accounts).unwrap_err();
    let version = |error| matches!(error, GenesisError::Version { got: 1, .. });
    assert!(version(error), "an older genesis is named as such");
    let mut fewer = accounts.clone();
    fewer.truncate(16 + 2 * 168);
    fewer[15] = 2;
    let error = read(&text, &fewer).unwrap_err();
    assert!(
        matches!(error, GenesisError::OtherAccounts { .. }),
        "{error}"
    );
}

#[test]
fn a_deeper_shape_lists_like_any_other() {
    let deep = Shape {
        id: 77,
        depth: 16,
        l1_ops: 1,
        transfers: 0,
        withdrawals: 0,
        fee_slots: 1,
        cached_levels: 3,
    };
    let genesis = genesis_with(|parameters| {
        parameters.shapes = vec![ListedShape {
            shape: deep,
            fingerprint: Bytes([1; 32]),
        }];
    });
    assert_eq!(genesis.deployment().depth(), 16);
    assert_eq!(chain(&genesis).head().unwrap().root, genesis.state().root());
}
