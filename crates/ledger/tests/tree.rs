//! The tree against naive recomputation, and its two kinds of update against each other.

use std::collections::BTreeMap;

use ledger::field::Fr;
use ledger::poseidon::compress4;
use ledger::tree::{
    GroupsError, LeafUpdate, MerkleProof, ProofError, Tree, TreeError, empty_root, verify_proof,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The root over leaves, by recursion over all positions.
fn naive_root(leaves: &BTreeMap<u32, Fr>, level: u8, position: u32) -> Fr {
    if level == 0 {
        return leaves.get(&position).copied().unwrap_or_default();
    }
    compress4(&[0, 1, 2, 3].map(|digit| naive_root(leaves, level - 1, 4 * position + digit)))
}

/// Random updates, often of the same few leaves, sometimes writing what is there already.
fn random_updates(rng: &mut ChaCha8Rng, depth: u8, leaves: &BTreeMap<u32, Fr>) -> Vec<LeafUpdate> {
    let mut leaves = leaves.clone();
    (0..rng.gen_range(0..40))
        .map(|_| {
            let span = if rng.gen_bool(0.5) {
                6
            } else {
                1 << (2 * depth)
            };
            let index = rng.gen_range(0..span);
            let old_leaf = leaves.get(&index).copied().unwrap_or_default();
            let new_leaf = match rng.gen_range(0..4) {
                0 => old_leaf,
                1 => Fr::from(0u64),
                _ => Fr::from(rng.r#gen::<u64>()),
            };
            leaves.insert(index, new_leaf);
            LeafUpdate {
                index,
                old_leaf,
                new_leaf,
            }
        })
        .collect()
}

#[test]
fn batch_equals_single_updates_and_naive_recomputation() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let depth = 4;
    let mut leaves = BTreeMap::new();
    let mut tree = Tree::new(depth);
    for round in 0..40u8 {
        let cached_levels = round % 4;
        let updates = random_updates(&mut rng, depth, &leaves);
        let batch = tree.batch(&updates, cached_levels).unwrap();
        assert_eq!(batch.old_subtrees, tree.subtrees(cached_levels).unwrap());
        let mut single = tree.clone();
        let mut subtrees = batch.old_subtrees.clone();
        for (update, done) in updates.iter().zip(&batch.updates) {
            let path = single.update(update.index, update.new_leaf).unwrap();
            let below = usize::from(depth - cached_levels);
            assert_eq!(done.index, update.index);
            assert_eq!(done.children, path.children[..below]);
            let roots = done.roots(update.old_leaf, update.new_leaf);
            assert_eq!(roots, (done.old_subtree, done.new_subtree));
            let roots = path.roots(update.old_leaf, update.new_leaf);
            assert_eq!(roots, (path.old_subtree, path.new_subtree));
            let subtree = usize::try_from(done.subtree()).unwrap();
            assert_eq!(subtrees[subtree], done.old_subtree);
            subtrees[subtree] = done.new_subtree;
            leaves.insert(update.index, update.new_leaf);
        }
        assert_eq!(batch.updates.len(), updates.len());
        let replaced = tree.replace(updates.iter().map(|u| (u.index, u.new_leaf)));
        assert_eq!(replaced.unwrap().root(), batch.new_root);
        let new_root = batch.new_root;
        tree.commit(batch.into_delta());
        assert_eq!(tree.root(), new_root);
        assert_eq!(tree.root(), single.root());
        assert_eq!(tree.subtrees(cached_levels).unwrap(), subtrees);
        assert_eq!(tree.root(), naive_root(&leaves, depth, 0));
    }
}

#[test]
fn bulk_insertion_equals_single_updates() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let leaves: BTreeMap<u32, Fr> = (0..100)
        .map(|_| (rng.gen_range(0..1 << 12), Fr::from(rng.r#gen::<u64>())))
        .collect();
    let mut bulk = Tree::new(6);
    let delta = bulk.replace(leaves.clone()).unwrap();
    bulk.commit(delta);
    let mut single = Tree::new(6);
    for (index, leaf) in &leaves {
        single.update(*index, *leaf).unwrap();
    }
    assert_eq!(bulk, single);
    assert_eq!(bulk.root(), naive_root(&leaves, 6, 0));
}

#[test]
fn empty_tree_has_the_empty_root_and_the_deepest_tree_works() {
    for depth in 1..=16 {
        assert_eq!(Tree::new(depth).root(), empty_root(depth));
    }
    let mut tree = Tree::new(16);
    let leaf = Fr::from(5u64);
    let update = tree.update(u32::MAX, leaf).unwrap();
    assert_eq!(update.old_subtree, empty_root(16));
    assert_eq!(tree.leaf(u32::MAX), leaf);
    verify_proof(tree.root(), 16, leaf, &tree.prove(u32::MAX).unwrap()).unwrap();
    let back = [LeafUpdate {
        index: u32::MAX,
        old_leaf: leaf,
        new_leaf: Fr::from(0u64),
    }];
    assert_eq!(tree.batch(&back, 4).unwrap().new_root, empty_root(16));
}

#[test]
fn wrong_updates_are_refused() {
    let mut tree = Tree::new(2);
    let one = Fr::from(1u64);
    let update = |index, old_leaf| LeafUpdate {
        index,
        old_leaf,
        new_leaf: one,
    };
    let error = TreeError::IndexOutOfRange {
        index: 16,
        leaves: 16,
    };
    assert_eq!(tree.update(16, one).unwrap_err(), error);
    assert_eq!(tree.path(16).unwrap_err(), error);
    assert_eq!(tree.replace([(16, one)]).unwrap_err(), error);
    assert_eq!(
        tree.batch(&[update(16, Fr::from(0u64))], 1).unwrap_err(),
        error
    );
    let twice = [update(3, Fr::from(0u64)), update(3, Fr::from(0u64))];
    let error = TreeError::OldLeafDiffers {
        position: 1,
        index: 3,
    };
    assert_eq!(tree.batch(&twice, 1).unwrap_err(), error);
    let error = TreeError::TooManyCachedLevels {
        cached_levels: 3,
        depth: 2,
    };
    assert_eq!(tree.batch(&[], 3).unwrap_err(), error);
    assert_eq!(tree, Tree::new(2));
}

#[test]
fn proofs_hold_for_their_leaf_index_depth_and_root_only() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut tree = Tree::new(3);
    for _ in 0..20 {
        let leaf = Fr::from(rng.r#gen::<u64>());
        tree.update(rng.gen_range(0..64), leaf).unwrap();
    }
    let root = tree.root();
    for index in 0..64 {
        let (leaf, proof) = (tree.leaf(index), tree.prove(index).unwrap());
        assert_eq!(verify_proof(root, 3, leaf, &proof), Ok(()));
        let wrong = Err(ProofError::WrongRoot { index });
        let one = Fr::from(1u64);
        assert_eq!(verify_proof(root, 3, leaf + one, &proof), wrong);
        assert_eq!(verify_proof(root + one, 3, leaf, &proof), wrong);
        for level in 0..3 {
            for place in 0..3 {
                let mut other = proof.clone();
                other.siblings[level][place] += one;
                assert_eq!(verify_proof(root, 3, leaf, &other), wrong);
            }
        }
    }
    let (leaf, proof) = (tree.leaf(5), tree.prove(5).unwrap());
    let moved = MerkleProof {
        index: 5 + 64,
        ..proof.clone()
    };
    let error = ProofError::IndexOutOfRange {
        index: 69,
        leaves: 64,
    };
    assert_eq!(verify_proof(root, 3, leaf, &moved), Err(error));
    let node = tree.get(1, 1);
    let short = MerkleProof {
        index: 1,
        siblings: proof.siblings[1..].to_vec(),
    };
    assert_eq!(verify_proof(root, 2, node, &short), Ok(()));
    let error = ProofError::WrongLength {
        expected: 3,
        got: 2,
    };
    assert_eq!(verify_proof(root, 3, node, &short), Err(error));
}

#[test]
fn an_emptied_tree_equals_one_that_never_had_the_leaves() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for depth in [1, 4, 12, 16] {
        let span = u32::try_from((1u64 << (2 * depth)) - 1).unwrap();
        let mut tree = Tree::new(depth);
        tree.update(0, Fr::from(3u64)).unwrap();
        let before = tree.clone();
        let indices: Vec<u32> = (0..30).map(|_| rng.gen_range(1..=span)).collect();
        let leaves = indices.iter().map(|index| (*index, Fr::from(9u64)));
        let delta = tree.replace(leaves).unwrap();
        tree.commit(delta);
        assert_ne!(tree, before);
        assert_eq!(tree.check(), Ok(()));
        let mut single = tree.clone();
        for index in &indices {
            single.update(*index, Fr::from(0u64)).unwrap();
        }
        assert_eq!(single, before);
        let empty = indices.iter().map(|index| (*index, Fr::from(0u64)));
        let delta = tree.replace(empty).unwrap();
        tree.commit(delta);
        assert_eq!(tree, before);
        tree.update(0, Fr::from(0u64)).unwrap();
        assert_eq!(tree, Tree::new(depth));
    }
}

/// The groups that a tree stores.
fn stored(tree: &Tree) -> Vec<BTreeMap<u32, [Fr; 4]>> {
    (0..=Tree::first_hashed_level(tree.depth()))
        .map(|level| {
            let groups = tree.stored_groups(level);
            groups.map(|(group, nodes)| (group, *nodes)).collect()
        })
        .collect()
}

#[test]
fn a_stored_tree_is_the_same_and_faults_in_it_are_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for depth in [1, 4, 7, 8, 12, 16] {
        let span = u32::try_from((1u64 << (2 * depth)) - 1).unwrap();
        let mut tree = Tree::new(depth);
        for _ in 0..40 {
            let index = rng.gen_range(0..=span);
            tree.update(index, Fr::from(rng.r#gen::<u64>())).unwrap();
        }
        let groups = stored(&tree);
        assert_eq!(
            Tree::from_lower_levels(depth, groups.clone()),
            Ok(tree.clone())
        );
        for level in 0..groups.len() {
            let mut bad = groups.clone();
            let (at, nodes) = bad[level].iter_mut().next().unwrap();
            let at = *at;
            let child = nodes
                .iter()
                .position(|node| *node != empty_root(u8::try_from(level).unwrap()));
            nodes[child.unwrap()] += Fr::from(1u64);
            let bad = Tree::from_lower_levels(depth, bad).unwrap();
            let last = level + 1 == groups.len();
            assert_eq!(bad.root() != tree.root(), last, "hashed from level {level}");
            // Where everything above is hashed from the fault, only the root tells.
            assert!(last && level == 0 || bad.check().is_err(), "level {level}");
            let mut missing = groups.clone();
            missing[level].remove(&at);
            let missing = Tree::from_lower_levels(depth, missing).unwrap();
            let found = missing.check().is_err() || missing.root() != tree.root();
            assert!(found, "a missing group of level {level}");
            let mut empty = groups.clone();
            let level_number = u8::try_from(level).unwrap();
            empty[level].insert(at, [empty_root(level_number); 4]);
            assert_eq!(
                Tree::from_lower_levels(depth, empty),
                Err(GroupsError::Empty {
                    level: level_number,
                    group: at
                })
            );
        }
        let end = u32::try_from(1u64 << (2 * (depth - 1))).unwrap();
        let mut beyond = groups.clone();
        beyond[0].insert(end, [Fr::from(1u64); 4]);
        assert_eq!(
            Tree::from_lower_levels(depth, beyond),
            Err(GroupsError::OutOfRange {
                level: 0,
                group: end
            })
        );
        let expected = groups.len();
        assert_eq!(
            Tree::from_lower_levels(depth, Vec::new()),
            Err(GroupsError::Levels { expected, got: 0 })
        );
    }
}
