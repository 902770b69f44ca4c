//! Where traces play: depths, shapes, keys, tokens and the accounts to begin with.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, OnceLock};

use circuits::shapes::{Compiled, by_name, compile, shape};
use ledger::babyjubjub::Point;
use ledger::eddsa::PrivateKey;
use ledger::field::Fr;
use ledger::operation::domain;
use ledger::shape::Shape;
use num_bigint::BigUint;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::model::Holding;

/// Tokens whose supply stays below 2^128, as L1 guarantees.
pub const BOUNDED: [u32; 3] = [0, 1, u32::MAX];
/// A token of which more exists than L1 would let in.
pub const UNBOUNDED: u32 = 9;
/// All tokens; the account that collects fees in the i-th has index i + 1.
pub const TOKENS: [u32; 4] = [BOUNDED[0], BOUNDED[1], BOUNDED[2], UNBOUNDED];
/// Accounts of genesis: 1 to this.
pub const GENESIS: u32 = 14;
/// Leaves that are compared one by one, from 0.
pub const COMPARED: u64 = 1_024;

/// A tree and the shapes of a deployment on it.
#[derive(Debug)]
pub struct World {
    /// Levels of the tree.
    pub depth: u8,
    /// All of this depth.
    pub shapes: Vec<Shape>,
}

/// Transfers only, mixed, mostly L1 operations, small and smallest; 0 to 3 cached levels and 1 to
/// 5 fee slots; at depth 12 two of the shapes that come with the project.
static WORLDS: LazyLock<[World; 3]> = LazyLock::new(|| {
    let named = |name| by_name(name).expect("the shape comes with the project");
    [
        World {
            depth: 3,
            shapes: vec![
                shape(60, 3, 1, [0, 4, 0], 2),
                shape(61, 3, 2, [4, 4, 2], 5),
                shape(62, 3, 0, [2, 2, 2], 1),
                shape(63, 3, 1, [6, 0, 2], 3),
            ],
        },
        World {
            depth: 4,
            shapes: vec![
                named("tiny"),
                shape(64, 4, 3, [0, 6, 0], 4),
                shape(65, 4, 2, [3, 4, 4], 2),
            ],
        },
        World {
            depth: 12,
            shapes: vec![named("t16"), named("m16")],
        },
    ]
});

/// The world of a seed: every fourth one is 4 levels deep, every sixteenth 12.
pub fn of_seed(seed: u64) -> &'static World {
    let place = match seed % 16 {
        15 => 2,
        3 | 7 | 11 => 1,
        _ => 0,
    };
    &WORLDS[place]
}

/// Compiles every shape of every world. Must have been called from outside a thread pool's tasks
/// before [`compiled`] is called inside one.
pub fn compile_all() -> &'static BTreeMap<u16, Compiled> {
    static ALL: OnceLock<BTreeMap<u16, Compiled>> = OnceLock::new();
    ALL.get_or_init(|| {
        let shapes = WORLDS.iter().flat_map(|world| &world.shapes);
        shapes
            .map(|shape| (shape.id, compile(shape).unwrap()))
            .collect()
    })
}

/// The circuit of a shape of a world.
pub fn compiled(shape: &Shape) -> &'static Compiled {
    &compile_all()[&shape.id]
}

/// The deployment's domain.
pub fn our_domain() -> Fr {
    static DOMAIN: LazyLock<Fr> = LazyLock::new(|| domain(31_337, &[7; 20], &[9; 32]));
    *DOMAIN
}

/// The key number `index`, derived as `attacks::Forger` derives the key of that account.
pub fn key(index: u32) -> PrivateKey {
    PrivateKey::derive("quire testkit account", &index.to_be_bytes())
}

/// The public half of [`key`].
pub fn public(index: u32) -> Point {
    static KNOWN: Mutex<BTreeMap<u32, Point>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    *known
        .entry(index)
        .or_insert_with(|| key(index).public_key())
}

/// 2^128.
pub fn limit() -> BigUint {
    BigUint::from(1u8) << 128
}

/// The accounts to begin with: fee accounts first; a token with nearly all that L1 allows in one
/// account, one with more than it allows, an account without and one with a single nonce left.
pub fn genesis(seed: u64) -> BTreeMap<u32, Holding> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    let mut accounts = BTreeMap::new();
    for index in 1..=GENESIS {
        let slot = usize::try_from((index - 1) % 4).unwrap();
        let balance = match rng.gen_range(0..4) {
            0 => 0u128,
            1 => rng.gen_range(0..2_000),
            _ => rng.gen_range(0..10u128.pow(24)),
        };
        let holding = Holding {
            token: TOKENS[slot],
            nonce: 0,
            balance: balance.into(),
            owner: index,
        };
        accounts.insert(index, holding);
    }
    let mut set = |index: u32, change: &dyn Fn(&mut Holding)| {
        change(accounts.get_mut(&index).expect("an account of genesis"));
    };
    set(6, &|a| {
        a.balance = limit() - (1u8 + (BigUint::from(1u8) << 100))
    });
    set(8, &|a| a.balance = limit() - 1u8);
    set(12, &|a| a.balance = limit() - 1_000u32);
    set(9, &|a| {
        (a.nonce, a.balance) = ((1 << 40) - 1, 5_000u32.into())
    });
    set(10, &|a| {
        (a.nonce, a.balance) = ((1 << 40) - 2, 5_000u32.into())
    });
    set(13, &|a| a.balance = 1_000_000u32.into());
    accounts
}
