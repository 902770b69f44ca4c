//! The account tree: 4-ary, sparse, of fixed depth.
//!
//! A node is `compress4` of its four children, an empty leaf is 0 (docs/protocol.md, section 2).
//! Invariant: every stored node equals the hash of its children, and groups under which nothing
//! stands are not stored but known by their level, so equal leaves make equal trees, whatever was
//! written and emptied before. One update is one path and two roots:
//! the same siblings give the root before and after. Batches of updates are chained: each starts
//! from the root that the one before left. What a leaf means is left to `account`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rayon::prelude::*;
use thiserror::Error;

use crate::field::Fr;
use crate::poseidon::compress4;
use crate::shape::{MAX_DEPTH, leaves};

/// Levels at the top that a stored tree leaves out: they are hashed again when it is read.
const HASHED_LEVELS: u8 = 7;

/// Hashes below this number are not worth spreading over threads.
const PARALLEL_FROM: usize = 16;

/// Roots of empty subtrees: entry `l` is the root of `4^l` empty leaves.
static EMPTY: LazyLock<[Fr; MAX_DEPTH as usize + 1]> = LazyLock::new(|| {
    let mut roots = [Fr::from(0u64); MAX_DEPTH as usize + 1];
    for level in 1..roots.len() {
        roots[level] = compress4(&[roots[level - 1]; 4]);
    }
    roots
});

/// The root of an empty subtree of `levels` levels, 0 to 16.
pub fn empty_root(levels: u8) -> Fr {
    EMPTY[usize::from(levels)]
}

/// Why the tree refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TreeError {
    /// The index is not one of the tree's leaves.
    #[error("index {index} is not below {leaves}, the number of leaves")]
    IndexOutOfRange {
        /// The index asked for.
        index: u32,
        /// Number of leaves, `4^depth`; indices are below it.
        leaves: u64,
    },
    /// An update names another old leaf than the one in its place.
    #[error("update {position} of index {index} starts from another leaf than the tree holds")]
    OldLeafDiffers {
        /// The update's place in the batch.
        position: usize,
        /// Index of the leaf that was to be replaced.
        index: u32,
    },
    /// Fewer levels than are to be cached.
    #[error("{cached_levels} cached levels are more than the depth {depth}")]
    TooManyCachedLevels {
        /// Number of cached top levels that was asked for.
        cached_levels: u8,
        /// Levels of the tree.
        depth: u8,
    },
}

/// Why stored groups are not those of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GroupsError {
    /// Another number of levels than a tree of this depth stores.
    #[error("expected the groups of {expected} levels, got {got}")]
    Levels {
        /// Levels that are stored.
        expected: usize,
        /// Number of levels that the proof has.
        got: usize,
    },
    /// A group is beyond the end of its level.
    #[error("level {level} has no group {group}")]
    OutOfRange {
        /// The level, 0 for the leaves.
        level: u8,
        /// Position of the group in its level.
        group: u32,
    },
    /// Nothing stands under a group, which is then not stored.
    #[error("group {group} of level {level} is empty and should not be stored")]
    Empty {
        /// The level, 0 for the leaves.
        level: u8,
        /// Position of the group in its level.
        group: u32,
    },
}

/// A node that is not the hash of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("node {position} of level {level} is not the hash of its children")]
pub struct NodeDiffers {
    /// The level, 1 for the nodes above the leaves.
    pub level: u8,
    /// Position of the node in its level.
    pub position: u32,
}

/// One leaf to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafUpdate {
    /// Position of the leaf.
    pub index: u32,
    /// The leaf before: 0 if empty.
    pub old_leaf: Fr,
    /// The leaf after the update; 0 if it is empty then.
    pub new_leaf: Fr,
}

/// One executed update: a path and the subtree root before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Position of the leaf.
    pub index: u32,
    /// From the leaf's group upwards, the four children of each node on the path, before the
    /// update; one entry for each level below the cached ones.
    pub children: Vec<[Fr; 4]>,
    /// Root of the leaf's cached subtree before the update.
    pub old_subtree: Fr,
    /// Root of the leaf's cached subtree after the update.
    pub new_subtree: Fr,
}

impl Update {
    /// Both subtree roots recomputed from the two leaves and this one path: the siblings are
    /// those of `children`, the child on the path is the value computed below it.
    pub fn roots(&self, old_leaf: Fr, new_leaf: Fr) -> (Fr, Fr) {
        let mut position = self.index;
        let (mut old, mut new) = (old_leaf, new_leaf);
        for children in &self.children {
            let digit = digit(position);
            let mut node = *children;
            node[digit] = old;
            old = compress4(&node);
            node[digit] = new;
            new = compress4(&node);
            position >>= 2;
        }
        (old, new)
    }

    /// Position of the leaf's subtree among the cached ones: the upper bits of the index.
    pub fn subtree(&self) -> u32 {
        self.index
            .checked_shr(2 * depth_of(&self.children))
            .unwrap_or(0)
    }
}

/// Number of levels of a path, which never exceeds 16.
fn depth_of(children: &[[Fr; 4]]) -> u32 {
    u32::try_from(children.len()).expect("a path has at most 16 levels")
}

/// Place of a node among its siblings.
fn digit(position: u32) -> usize {
    usize::try_from(position & 3).expect("two bits fit")
}

/// The executed updates of a batch and the nodes they leave, not yet part of a tree.
#[derive(Clone, Debug)]
pub struct TreeBatch {
    /// One entry for each update, in order.
    pub updates: Vec<Update>,
    /// Roots of the cached subtrees before the first update, `4^cached_levels` of them.
    pub old_subtrees: Vec<Fr>,
    /// Root after the last update.
    pub new_root: Fr,
    delta: TreeDelta,
}

/// Nodes that replace those of a tree.
#[derive(Clone, Debug)]
pub struct TreeDelta {
    /// For each level from the leaves up: sibling group → its four nodes.
    groups: Vec<BTreeMap<u32, [Fr; 4]>>,
    root: Fr,
}

impl TreeDelta {
    /// The root that the tree has once the nodes are in place.
    pub fn root(&self) -> Fr {
        self.root
    }
}

impl TreeBatch {
    /// The nodes to hand to [`Tree::commit`].
    pub fn into_delta(self) -> TreeDelta {
        self.delta
    }

    /// The parts: updates, cached subtree roots before the batch, and the nodes.
    pub fn into_parts(self) -> (Vec<Update>, Vec<Fr>, TreeDelta) {
        (self.updates, self.old_subtrees, self.delta)
    }
}

/// A sparse 4-ary Merkle tree of fixed depth. Memory grows with the non-empty nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    depth: u8,
    /// For each level from the leaves up: sibling group → its four nodes. Absent groups are empty.
    groups: Vec<BTreeMap<u32, [Fr; 4]>>,
    root: Fr,
}

impl Tree {
    /// The empty tree of `depth` levels, 1 to 16.
    ///
    /// # Panics
    /// If `depth` is 0 or above 16.
    pub fn new(depth: u8) -> Self {
        assert!(
            (1..=MAX_DEPTH).contains(&depth),
            "depth {depth} is not 1 to 16"
        );
        Self {
            depth,
            groups: vec![BTreeMap::new(); usize::from(depth)],
            root: empty_root(depth),
        }
    }

    /// Number of levels below the root: the tree has `4^depth` leaves.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The root of the tree as it stands.
    pub fn root(&self) -> Fr {
        self.root
    }

    /// The node at `position` of `level`; level 0 are the leaves, level `depth` is the root.
    ///
    /// # Panics
    /// If `level` exceeds the depth.
    pub fn get(&self, level: u8, position: u32) -> Fr {
        if level == self.depth {
            return self.root;
        }
        self.group(level, position >> 2)[digit(position)]
    }

    /// The leaf at `index`, 0 if empty.
    pub fn leaf(&self, index: u32) -> Fr {
        self.get(0, index)
    }

    /// Indices of the leaves that are not empty, in order.
    pub fn leaves(&self) -> impl Iterator<Item = u32> {
        let groups = self.groups.first().into_iter().flatten();
        let leaves = groups.flat_map(|(group, nodes)| (4 * group..).zip(nodes));
        leaves
            .filter(|(_, leaf)| **leaf != empty_root(0))
            .map(|(index, _)| index)
    }

    /// The four nodes of one sibling group.
    fn group(&self, level: u8, group: u32) -> [Fr; 4] {
        self.groups[usize::from(level)]
            .get(&group)
            .copied()
            .unwrap_or([empty_root(level); 4])
    }

    /// The path of a leaf: for each level from the leaf's group upwards, the four children of the
    /// node on the path; exactly `depth` entries.
    ///
    /// # Errors
    /// [`TreeError::IndexOutOfRange`].
    pub fn path(&self, index: u32) -> Result<Vec<[Fr; 4]>, TreeError> {
        self.check_index(index)?;
        Ok((0..self.depth)
            .map(|level| self.group(level, shift_levels(index, level + 1)))
            .collect())
    }

    /// The proof that the leaf at `index` is what it is.
    ///
    /// # Errors
    /// [`TreeError::IndexOutOfRange`].
    pub fn prove(&self, index: u32) -> Result<MerkleProof, TreeError> {
        let path = self.path(index)?;
        let siblings = path
            .iter()
            .zip(0..self.depth)
            .map(|(children, level)| siblings(children, digit(shift_levels(index, level))))
            .collect();
        Ok(MerkleProof { index, siblings })
    }

    /// The roots of the `4^cached_levels` subtrees below the top levels, left to right.
    ///
    /// # Errors
    /// [`TreeError::TooManyCachedLevels`].
    pub fn subtrees(&self, cached_levels: u8) -> Result<Vec<Fr>, TreeError> {
        let level = self.check_cached(cached_levels)?;
        if cached_levels == 0 {
            return Ok(vec![self.root]);
        }
        let groups = 1u32 << (2 * u32::from(cached_levels - 1));
        Ok((0..groups)
            .flat_map(|group| self.group(level, group))
            .collect())
    }

    /// Replaces one leaf and returns its path with the root before and after.
    ///
    /// # Errors
    /// [`TreeError::IndexOutOfRange`].
    pub fn update(&mut self, index: u32, new_leaf: Fr) -> Result<Update, TreeError> {
        let children = self.path(index)?;
        let old_subtree = self.root;
        let mut node = new_leaf;
        for (level, before) in children.iter().enumerate() {
            let at = u8::try_from(level).expect("at most 16 levels");
            let mut group = *before;
            group[digit(shift_levels(index, at))] = node;
            let position = shift_levels(index, at + 1);
            if is_empty(at, &group) {
                self.groups[level].remove(&position);
            } else {
                self.groups[level].insert(position, group);
            }
            node = compress4(&group);
        }
        self.root = node;
        Ok(Update {
            index,
            children,
            old_subtree,
            new_subtree: node,
        })
    }

    /// Executes updates in order without changing the tree. Below the `cached_levels` top levels
    /// the node values after every single update are computed, as the next update's siblings;
    /// above, each node is hashed once.
    ///
    /// Works level by level: a sequential pass over a level notes each update's siblings and the
    /// group it leaves, then all groups are hashed in parallel and feed the next level.
    ///
    /// # Errors
    /// [`TreeError`] if an index or an old leaf does not fit the tree.
    pub fn batch(&self, updates: &[LeafUpdate], cached_levels: u8) -> Result<TreeBatch, TreeError> {
        let cached_level = self.check_cached(cached_levels)?;
        let old_subtrees = self.subtrees(cached_levels)?;
        let mut chain = self.start_chain(updates, usize::from(cached_level))?;
        let mut groups = Vec::with_capacity(usize::from(self.depth));
        for level in 0..cached_level {
            groups.push(self.chain_level(level, &mut chain));
        }
        self.end_chain(cached_level, &mut chain);
        let mut touched = last_values(&chain);
        for level in cached_level..self.depth {
            let (level_groups, parents) = self.hash_level(level, touched);
            groups.push(level_groups);
            touched = parents;
        }
        let new_root = touched.get(&0).copied().unwrap_or(self.root);
        Ok(TreeBatch {
            updates: chain.into_iter().map(|step| step.update).collect(),
            old_subtrees,
            new_root,
            delta: TreeDelta {
                groups,
                root: new_root,
            },
        })
    }

    /// The nodes after replacing leaves, each node hashed once: the cheapest way to a new root
    /// when nobody needs the steps between. The last of several values for one index counts.
    ///
    /// # Errors
    /// [`TreeError::IndexOutOfRange`].
    pub fn replace(
        &self,
        new_leaves: impl IntoIterator<Item = (u32, Fr)>,
    ) -> Result<TreeDelta, TreeError> {
        let mut touched: BTreeMap<u32, Fr> = new_leaves.into_iter().collect();
        if let Some((&last, _)) = touched.last_key_value() {
            self.check_index(last)?;
        }
        let mut groups = Vec::with_capacity(usize::from(self.depth));
        for level in 0..self.depth {
            let (level_groups, parents) = self.hash_level(level, touched);
            groups.push(level_groups);
            touched = parents;
        }
        let root = touched.get(&0).copied().unwrap_or(self.root);
        Ok(TreeDelta { groups, root })
    }

    /// Puts nodes computed from this very tree in place.
    pub fn commit(&mut self, delta: TreeDelta) {
        for ((level, old), mut new) in (0..).zip(&mut self.groups).zip(delta.groups) {
            new.retain(|position, group| {
                let empty = is_empty(level, group);
                if empty {
                    old.remove(position);
                }
                !empty
            });
            merge(old, new);
        }
        self.root = delta.root;
    }

    /// The four nodes of a sibling group of `level`, `None` if nothing stands under it.
    ///
    /// # Panics
    /// If `level` is not below the depth.
    pub fn stored_group(&self, level: u8, group: u32) -> Option<&[Fr; 4]> {
        self.groups[usize::from(level)].get(&group)
    }

    /// All groups of `level` under which something stands, by position.
    ///
    /// # Panics
    /// If `level` is not below the depth.
    pub fn stored_groups(&self, level: u8) -> impl Iterator<Item = (u32, &[Fr; 4])> {
        let groups = self.groups[usize::from(level)].iter();
        groups.map(|(position, nodes)| (*position, nodes))
    }

    /// The lowest level whose groups [`Self::from_lower_levels`] hashes: all levels from it up are
    /// made of hashes, those below and itself are given.
    pub fn first_hashed_level(depth: u8) -> u8 {
        depth.saturating_sub(HASHED_LEVELS)
    }

    /// A tree from groups that were stored: those of the levels from 0 to
    /// [`Self::first_hashed_level`], by level and position, of a tree of `depth` levels, 1 to 16.
    /// The levels above are hashed, at most 5,461 hashes; that a lower node is the hash of its
    /// children is taken on trust, see [`Self::check`].
    ///
    /// # Errors
    /// [`GroupsError`] if a level is missing, or a group does not stand in the tree or is empty.
    ///
    /// # Panics
    /// If `depth` is 0 or above 16.
    pub fn from_lower_levels(
        depth: u8,
        groups: Vec<BTreeMap<u32, [Fr; 4]>>,
    ) -> Result<Self, GroupsError> {
        let mut tree = Self::new(depth);
        let (got, top) = (groups.len(), Self::first_hashed_level(depth));
        let expected = usize::from(top) + 1;
        if got != expected {
            return Err(GroupsError::Levels { expected, got });
        }
        for (level, stored) in (0u8..).zip(&groups) {
            let last = stored.last_key_value().map(|(position, _)| *position);
            let groups = leaves(depth - level - 1);
            if let Some(group) = last.filter(|group| u64::from(*group) >= groups) {
                return Err(GroupsError::OutOfRange { level, group });
            }
            if let Some((group, _)) = stored.iter().find(|(_, nodes)| is_empty(level, nodes)) {
                return Err(GroupsError::Empty {
                    level,
                    group: *group,
                });
            }
        }
        for (level, stored) in tree.groups.iter_mut().zip(groups) {
            *level = stored;
        }
        tree.hash_from(top);
        Ok(tree)
    }

    /// Hashes the groups of a level and everything above it.
    fn hash_from(&mut self, level: u8) {
        let groups: Vec<(u32, [Fr; 4])> = self.groups[usize::from(level)]
            .iter()
            .map(|(position, group)| (*position, *group))
            .collect();
        let mut touched: BTreeMap<u32, Fr> = hash_groups(&groups).into_iter().collect();
        for above in level + 1..self.depth {
            let (groups, parents) = self.hash_level(above, touched);
            self.groups[usize::from(above)] = groups;
            touched = parents;
        }
        self.root = touched.get(&0).copied().unwrap_or(self.root);
    }

    /// Hashes every stored group again and compares it with the node above: the whole tree, for
    /// audits.
    ///
    /// # Errors
    /// [`NodeDiffers`], which names the lowest, leftmost node that is not the hash of its children.
    pub fn check(&self) -> Result<(), NodeDiffers> {
        for (level, groups) in (0u8..).zip(&self.groups) {
            let groups: Vec<(u32, [Fr; 4])> =
                groups.iter().map(|(at, group)| (*at, *group)).collect();
            let hashes = hash_groups(&groups);
            let above = level + 1;
            let wrong = hashes
                .iter()
                .find(|(at, hash)| self.get(above, *at) != *hash);
            if let Some((position, _)) = wrong {
                return Err(NodeDiffers {
                    level: above,
                    position: *position,
                });
            }
            self.check_parents(above, &groups)?;
        }
        Ok(())
    }

    /// A node that is not that of an empty subtree has children.
    fn check_parents(&self, above: u8, below: &[(u32, [Fr; 4])]) -> Result<(), NodeDiffers> {
        let Some(groups) = self.groups.get(usize::from(above)) else {
            return Ok(());
        };
        let mut children = below.iter().map(|(position, _)| *position).peekable();
        let nodes = groups
            .iter()
            .flat_map(|(group, nodes)| (4 * group..).zip(nodes));
        for (position, node) in nodes {
            while children.next_if(|child| *child < position).is_some() {}
            let has_children = children.peek() == Some(&position);
            if !has_children && *node != empty_root(above) {
                return Err(NodeDiffers {
                    level: above,
                    position,
                });
            }
        }
        Ok(())
    }

    fn check_index(&self, index: u32) -> Result<(), TreeError> {
        let leaves = leaves(self.depth);
        if u64::from(index) < leaves {
            Ok(())
        } else {
            Err(TreeError::IndexOutOfRange { index, leaves })
        }
    }

    /// The level of the cached subtree roots.
    fn check_cached(&self, cached_levels: u8) -> Result<u8, TreeError> {
        self.depth
            .checked_sub(cached_levels)
            .ok_or(TreeError::TooManyCachedLevels {
                cached_levels,
                depth: self.depth,
            })
    }

    fn start_chain(
        &self,
        updates: &[LeafUpdate],
        path_levels: usize,
    ) -> Result<Vec<Step>, TreeError> {
        let mut current: BTreeMap<u32, Fr> = BTreeMap::new();
        let mut chain = Vec::with_capacity(updates.len());
        for (position, update) in updates.iter().enumerate() {
            let LeafUpdate {
                index,
                old_leaf,
                new_leaf,
            } = *update;
            self.check_index(index)?;
            let present = current.insert(index, new_leaf);
            if present.unwrap_or_else(|| self.leaf(index)) != old_leaf {
                return Err(TreeError::OldLeafDiffers { position, index });
            }
            chain.push(Step {
                update: Update {
                    index,
                    children: Vec::with_capacity(path_levels),
                    old_subtree: old_leaf,
                    new_subtree: new_leaf,
                },
                position: index,
                node: new_leaf,
            });
        }
        Ok(chain)
    }

    /// Takes every step of the chain one level up and returns the groups that changed.
    fn chain_level(&self, level: u8, chain: &mut [Step]) -> BTreeMap<u32, [Fr; 4]> {
        let mut groups: BTreeMap<u32, [Fr; 4]> = BTreeMap::new();
        let mut written = Vec::with_capacity(chain.len());
        for step in chain.iter_mut() {
            let parent = step.position >> 2;
            let group = groups
                .entry(parent)
                .or_insert_with(|| self.group(level, parent));
            step.update.children.push(*group);
            let child = &mut group[digit(step.position)];
            let changed = *child != step.node;
            *child = step.node;
            step.position = parent;
            written.push(changed.then_some(*group));
        }
        let hashes = hash_some(&written);
        self.name_nodes(level + 1, chain, &hashes);
        groups
    }

    /// Gives every step its node at `level`: the hash where something changed, else the value
    /// that the node already has at that point of the chain.
    fn name_nodes(&self, level: u8, chain: &mut [Step], hashes: &[Option<Fr>]) {
        let mut current: BTreeMap<u32, Fr> = BTreeMap::new();
        for (step, hash) in chain.iter_mut().zip(hashes) {
            let node = current
                .entry(step.position)
                .or_insert_with(|| self.get(level, step.position));
            if let Some(hash) = hash {
                *node = *hash;
            }
            step.node = *node;
        }
    }

    /// Notes the subtree roots before and after every step.
    fn end_chain(&self, level: u8, chain: &mut [Step]) {
        let mut current: BTreeMap<u32, Fr> = BTreeMap::new();
        for step in chain.iter_mut() {
            let before = current.insert(step.position, step.node);
            step.update.old_subtree = before.unwrap_or_else(|| self.get(level, step.position));
            step.update.new_subtree = step.node;
        }
    }

    /// Writes nodes of one level and hashes each group they touch once: the groups, and the
    /// nodes above them.
    fn hash_level(
        &self,
        level: u8,
        touched: BTreeMap<u32, Fr>,
    ) -> (BTreeMap<u32, [Fr; 4]>, BTreeMap<u32, Fr>) {
        let mut written: Vec<(u32, [Fr; 4])> = Vec::with_capacity(touched.len());
        for (position, node) in touched {
            let parent = position >> 2;
            if written.last().is_none_or(|(last, _)| *last != parent) {
                written.push((parent, self.group(level, parent)));
            }
            if let Some((_, group)) = written.last_mut() {
                group[digit(position)] = node;
            }
        }
        let parents = hash_groups(&written).into_iter().collect();
        (written.into_iter().collect(), parents)
    }
}

/// True if a group of `level` is what stands where nothing was written.
fn is_empty(level: u8, group: &[Fr; 4]) -> bool {
    let empty = empty_root(level);
    group.iter().all(|node| *node == empty)
}

/// Writes `new` over `old`. Why: `BTreeMap::append` is linear in both, inserting is not.
pub(crate) fn merge<V>(old: &mut BTreeMap<u32, V>, mut new: BTreeMap<u32, V>) {
    if old.len() <= new.len() {
        old.append(&mut new);
    } else {
        old.extend(new);
    }
}

/// One update on its way up.
struct Step {
    update: Update,
    /// Position of the node on the path at the current level.
    position: u32,
    /// Its value after the update.
    node: Fr,
}

/// The value that each touched node has after the last step.
fn last_values(chain: &[Step]) -> BTreeMap<u32, Fr> {
    chain
        .iter()
        .map(|step| (step.position, step.node))
        .collect()
}

/// The position of the ancestor `levels` above.
fn shift_levels(position: u32, levels: u8) -> u32 {
    position.checked_shr(2 * u32::from(levels)).unwrap_or(0)
}

/// The three nodes beside the one at `digit`, in order.
fn siblings(children: &[Fr; 4], digit: usize) -> [Fr; 3] {
    let mut others = children
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != digit)
        .map(|(_, node)| *node);
    std::array::from_fn(|_| others.next().expect("three of four remain"))
}

fn hash_some(groups: &[Option<[Fr; 4]>]) -> Vec<Option<Fr>> {
    let hash = |group: &Option<[Fr; 4]>| group.as_ref().map(compress4);
    if groups.len() < PARALLEL_FROM {
        return groups.iter().map(hash).collect();
    }
    groups.par_iter().map(hash).collect()
}

fn hash_groups(groups: &[(u32, [Fr; 4])]) -> Vec<(u32, Fr)> {
    let hash = |(at, group): &(u32, [Fr; 4])| (*at, compress4(group));
    if groups.len() < PARALLEL_FROM {
        return groups.iter().map(hash).collect();
    }
    groups.par_iter().map(hash).collect()
}

/// A path from a leaf to the root: three siblings a level, from the leaf upwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleProof {
    /// Position of the leaf; its base-4 digits say where the path passes at each level.
    pub index: u32,
    /// For each level, the three other children of the node above, in order.
    pub siblings: Vec<[Fr; 3]>,
}

/// Why a Merkle proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Sound because: with a fixed number of levels no inner node can pose as a leaf.
    #[error("expected exactly {expected} levels of siblings, got {got}")]
    WrongLength {
        /// The depth of the tree.
        expected: usize,
        /// Levels that the proof has.
        got: usize,
    },
    /// The index is not one of the tree's leaves.
    #[error("index {index} is not below {leaves}, the number of leaves")]
    IndexOutOfRange {
        /// Index of the leaf that the proof is for.
        index: u32,
        /// Number of leaves, `4^depth`; indices are below it.
        leaves: u64,
    },
    /// The path leads to another root.
    #[error("the path of index {index} does not lead to the root")]
    WrongRoot {
        /// Index of the leaf that the proof is for.
        index: u32,
    },
}

/// Checks that `leaf` is at `proof.index` of the tree of exactly `depth` levels with `root`.
///
/// # Errors
/// [`ProofError`] if it is not, or the proof is not one for this depth.
pub fn verify_proof(root: Fr, depth: u8, leaf: Fr, proof: &MerkleProof) -> Result<(), ProofError> {
    let MerkleProof { index, siblings } = proof;
    let index = *index;
    if siblings.len() != usize::from(depth) {
        return Err(ProofError::WrongLength {
            expected: usize::from(depth),
            got: siblings.len(),
        });
    }
    let leaves = leaves(depth);
    if u64::from(index) >= leaves {
        return Err(ProofError::IndexOutOfRange { index, leaves });
    }
    let mut position = index;
    let mut node = leaf;
    for others in siblings {
        let mut children = others.to_vec();
        children.insert(digit(position), node);
        node = compress4(&[children[0], children[1], children[2], children[3]]);
        position >>= 2;
    }
    if node == root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot { index })
    }
}
