//! The state: all accounts and the tree over them.
//!
//! Invariant: the leaf at an index is the account's leaf, or 0 where there is none, and index 0
//! is always empty (docs/protocol.md, section 2). Changes go through `transition` and `replay`,
//! genesis apart, and are undone by [`State::put_back`]; each is all or nothing.

use std::collections::BTreeMap;

use rayon::prelude::*;
use thiserror::Error;

use crate::account::{Account, NONCE_LIMIT, leaf_or_empty};
use crate::field::Fr;
use crate::shape::leaves;
use crate::tree::{GroupsError, MerkleProof, NodeDiffers, Tree, TreeDelta, TreeError, merge};

/// All accounts of a rollup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    accounts: BTreeMap<u32, Account>,
    tree: Tree,
}

/// Why accounts cannot be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// The index is 0 or not one of the tree's leaves.
    #[error("index {index} is not from 1 to below {leaves}")]
    IndexOutOfRange {
        /// Index of the account's leaf.
        index: u32,
        /// Number of leaves, `4^depth`; indices are below it.
        leaves: u64,
    },
    /// The index is named twice or has an account already.
    #[error("index {index} is taken")]
    Taken {
        /// Index of the account's leaf.
        index: u32,
    },
    /// The nonce has more than 40 bits.
    #[error("nonce {nonce} of index {index} is not below 2^40")]
    NonceTooWide {
        /// Index of the account's leaf.
        index: u32,
        /// The account's nonce, which is not below 2^40.
        nonce: u64,
    },
}

/// Why accounts and nodes that were stored are not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoredError {
    /// The accounts are not those of a state.
    #[error(transparent)]
    Accounts(#[from] GenesisError),
    /// The nodes are not those of a tree.
    #[error(transparent)]
    Groups(#[from] GroupsError),
}

/// Why a state is not what its accounts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// A leaf is not that of the account in its place, or of none.
    #[error("the leaf at index {index} is not that of its account")]
    Leaf {
        /// Index of the account's leaf.
        index: u32,
    },
    /// A node above the leaves is wrong.
    #[error(transparent)]
    Node(#[from] NodeDiffers),
}

impl State {
    /// No accounts, in a tree of `depth` levels, 1 to 16.
    ///
    /// # Panics
    /// If `depth` is 0 or above 16.
    pub fn new(depth: u8) -> Self {
        Self {
            accounts: BTreeMap::new(),
            tree: Tree::new(depth),
        }
    }

    /// Levels of the tree.
    pub fn depth(&self) -> u8 {
        self.tree.depth()
    }

    /// The root over all accounts.
    pub fn root(&self) -> Fr {
        self.tree.root()
    }

    /// The tree over the leaves.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The account at `index`, if there is one.
    pub fn account(&self, index: u32) -> Option<&Account> {
        self.accounts.get(&index)
    }

    /// All accounts, by index.
    pub fn accounts(&self) -> impl Iterator<Item = (u32, &Account)> {
        self.accounts
            .iter()
            .map(|(index, account)| (*index, account))
    }

    /// The proof that the leaf at `index` is what it is, empty or not.
    ///
    /// # Errors
    /// [`TreeError::IndexOutOfRange`].
    pub fn prove(&self, index: u32) -> Result<MerkleProof, TreeError> {
        self.tree.prove(index)
    }

    /// Inserts many accounts at once, with leaves and nodes hashed in parallel: genesis, or a
    /// state read back from disk. All or nothing.
    ///
    /// # Errors
    /// [`GenesisError`], the state unchanged.
    pub fn insert_genesis(
        &mut self,
        accounts: impl IntoIterator<Item = (u32, Account)>,
    ) -> Result<(), GenesisError> {
        let mut new = BTreeMap::new();
        for (index, account) in accounts {
            self.check_genesis(index, &account)?;
            if new.insert(index, account).is_some() {
                return Err(GenesisError::Taken { index });
            }
        }
        self.commit_accounts(new);
        Ok(())
    }

    /// A state that was stored: accounts in rising order of index, and the tree's groups as
    /// [`Tree::from_lower_levels`] takes them. Leaves are not hashed: see [`Self::check`].
    ///
    /// # Errors
    /// [`StoredError`].
    ///
    /// # Panics
    /// If `depth` is 0 or above 16.
    pub fn from_stored(
        depth: u8,
        accounts: BTreeMap<u32, Account>,
        groups: Vec<BTreeMap<u32, [Fr; 4]>>,
    ) -> Result<Self, StoredError> {
        let tree = Tree::from_lower_levels(depth, groups)?;
        let empty = Self::new(depth);
        for (index, account) in &accounts {
            empty.check_genesis(*index, account)?;
        }
        Ok(Self { accounts, tree })
    }

    /// Hashes every account and every node again: for audits of a state that was stored.
    ///
    /// # Errors
    /// [`CheckError`], which names the first leaf or node that is wrong.
    pub fn check(&self) -> Result<(), CheckError> {
        let accounts: Vec<(u32, &Account)> = self.accounts().collect();
        let wrong = accounts
            .par_iter()
            .find_first(|(index, account)| self.tree.leaf(*index) != account.leaf());
        if let Some((index, _)) = wrong {
            return Err(CheckError::Leaf { index: *index });
        }
        let mut leaves = self.tree.leaves();
        if let Some(index) = leaves.find(|index| !self.accounts.contains_key(index)) {
            return Err(CheckError::Leaf { index });
        }
        drop(leaves);
        Ok(self.tree.check()?)
    }

    /// Takes accounts back to what they were; `None` is an account that did not exist, which is
    /// removed. The nodes over them are hashed once. Of two entries for one index the first
    /// counts, so that the accounts before several batches can be given batch by batch, the
    /// oldest batch first. Genesis and batches put back leave a state equal to the one before.
    ///
    /// # Errors
    /// [`GenesisError::IndexOutOfRange`], [`GenesisError::NonceTooWide`]; the state unchanged.
    pub fn put_back(
        &mut self,
        before: impl IntoIterator<Item = (u32, Option<Account>)>,
    ) -> Result<(), GenesisError> {
        let mut accounts: BTreeMap<u32, Option<Account>> = BTreeMap::new();
        for (index, account) in before {
            self.check_index(index)?;
            if let Some(account) = &account {
                check_nonce(index, account)?;
            }
            accounts.entry(index).or_insert(account);
        }
        let list: Vec<(u32, Option<Account>)> = accounts.into_iter().collect();
        let leaves: Vec<(u32, Fr)> = list
            .par_iter()
            .map(|(index, account)| (*index, leaf_or_empty(account.as_ref())))
            .collect();
        let delta = self.tree.replace(leaves);
        self.tree.commit(delta.expect("the indices are in range"));
        for (index, account) in list {
            match account {
                Some(account) => self.accounts.insert(index, account),
                None => self.accounts.remove(&index),
            };
        }
        Ok(())
    }

    fn check_index(&self, index: u32) -> Result<(), GenesisError> {
        let leaves = leaves(self.depth());
        if index == 0 || u64::from(index) >= leaves {
            return Err(GenesisError::IndexOutOfRange { index, leaves });
        }
        Ok(())
    }

    fn check_genesis(&self, index: u32, account: &Account) -> Result<(), GenesisError> {
        self.check_index(index)?;
        if self.accounts.contains_key(&index) {
            return Err(GenesisError::Taken { index });
        }
        check_nonce(index, account)
    }

    fn commit_accounts(&mut self, accounts: BTreeMap<u32, Account>) {
        let delta = self.replaced(&accounts);
        self.commit(accounts, delta);
    }

    /// The nodes after writing accounts, whose indices are in range.
    pub(crate) fn replaced(&self, accounts: &BTreeMap<u32, Account>) -> TreeDelta {
        let list: Vec<(u32, &Account)> = accounts.iter().map(|(i, a)| (*i, a)).collect();
        let new_leaves: Vec<(u32, Fr)> = list
            .par_iter()
            .map(|(index, account)| (*index, account.leaf()))
            .collect();
        self.tree
            .replace(new_leaves)
            .expect("the indices are in range")
    }

    /// Puts accounts and the nodes over them in place.
    pub(crate) fn commit(&mut self, accounts: BTreeMap<u32, Account>, delta: TreeDelta) {
        merge(&mut self.accounts, accounts);
        self.tree.commit(delta);
    }
}

fn check_nonce(index: u32, account: &Account) -> Result<(), GenesisError> {
    let nonce = account.nonce;
    if nonce >= NONCE_LIMIT {
        return Err(GenesisError::NonceTooWide { index, nonce });
    }
    Ok(())
}
