//! The mirror: a native L1 to which everything that the contract did is applied, in the chain's order.
//!
//! Beside the mirror's file lies another with checkpoints: blocks of the chain and the mirror's height
//! after each. It never says more than the mirror has: after a crash the mirror goes back to the last
//! checkpoint. When the chain has another block in the place of a checkpoint's, the mirror goes back to the
//! last that still is, and forward again; further back than it can, it is made anew, being only a copy.
//!
//! A node's word for a block is kept only as long as its chain has the block. What a node does not have
//! undoes nothing that was applied while the node may only lag: its last block is old, or the block was seen
//! a short while ago. A block without events is dropped at once.
//!
//! A block of the chain with events is one of the mirror's. Many become durable together, and each can be
//! undone by itself: a reorganization is undone block by block, and a program that was killed goes on at the
//! last border of blocks that is on disk.
//!
//! Invariant: after [`Mirror::sync`] the mirror has executed, under its own rules and with every proof
//! verified, exactly the contract's transactions up to the chain's last block, and head, fees and money
//! are those that the contract tells at that block.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::rpc::types::Log;
use l1::evm::calldata;
use l1::{
    Address, Blocks, Calls, Deposit, Exit, Genesis, L1Error, NativeL1, OPERATORS_HOUR, Refusal,
    checked,
};
use ledger::babyjubjub::cofactor_inverse_point;
use ledger::operation::L1Op;
use ledger::state::State;
use prover::key::{AllowDevKeys, VerifyingKey};
use rollup::final_state;
use serde::{Deserialize, Serialize};

use crate::contract::{Contract, Event, Standing};
use crate::error::ChainError;
use crate::outbox::{io, write_whole};
use crate::rpc::{BlockId, Range, Rpc};

/// Version of the checkpoints' file.
const VERSION: u32 = 3;
/// Checkpoints that are kept besides the first.
const KEPT: usize = 1024;
/// How often reading is begun again when the chain moves meanwhile.
const ATTEMPTS: u32 = 8;
/// Pause before that.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a node whose last block is older than one seen before is asked again.
const BEHIND: u32 = 4;
/// Blocks before the first unread one whose events are read again: a node's index of events may lag behind
/// its blocks, and then it says that a block has none.
const AGAIN: u64 = 32;
/// How often a difference to the contract is looked for again before it is told.
const DISAGREEMENTS: u32 = 4;
/// Blocks that become durable together: as many as a crash may leave without a checkpoint.
const GROUP: usize = 128;

/// A block of the chain, and where the mirror stood after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    number: u64,
    hash: B256,
    /// Height of the mirror.
    height: u64,
    /// Events of the contract in the block, all applied.
    events: u64,
    /// When it was seen, by the system's clock.
    seen: u64,
}

/// The file with the checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoints {
    version: u32,
    chain_id: u64,
    contract: Address,
    /// A block before the deployment, then blocks with transactions of the contract, then the last
    /// block that was seen.
    blocks: Vec<Checkpoint>,
    /// Number of the last block at which the contract's views said the same.
    verified: u64,
}

/// The bookkeeping of a mirror.
pub(crate) struct Mirror {
    contract: Address,
    /// The mirror's own file.
    file: PathBuf,
    checkpoints: Checkpoints,
    /// Those that the mirror on disk has reached.
    reached: Checkpoints,
    /// Timestamp of the last block.
    time: u64,
    /// Number of the last block.
    head: u64,
    /// The state under the last root, once somebody leaves.
    state: Option<State>,
    /// Tokens whose money was not compared with the contract's since something moved it.
    unchecked: BTreeSet<u32>,
}

/// Reading did not come to an end.
enum Stop {
    /// The chain moved: begin again.
    Moved,
    /// What was read after this block is not all that there is: begin again there.
    Forget(u64),
    Failed(ChainError),
}

impl<E: Into<ChainError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The file with the checkpoints of a mirror.
fn checkpoints_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".chain.json");
    PathBuf::from(name)
}

/// Makes a mirror in a new file, before the first transaction: its keys and nothing else.
///
/// # Errors
/// [`ChainError`], also if there is a file already.
pub fn create_mirror(
    file: &Path,
    genesis: &Genesis,
    keys: &BTreeMap<u16, VerifyingKey>,
    before: BlockId,
) -> Result<NativeL1, ChainError> {
    let mut mirror = NativeL1::create(file, genesis, AllowDevKeys::Yes)?;
    let parameters = genesis.deployment().parameters();
    for (shape_id, key) in keys {
        mirror.register_key(parameters.operator.address, *shape_id, key, 0)?;
    }
    let checkpoints = Checkpoints {
        version: VERSION,
        chain_id: parameters.chain_id,
        contract: genesis.deployment().contract(),
        blocks: vec![Checkpoint {
            number: before.number,
            hash: before.hash,
            height: mirror.head()?.height,
            events: 0,
            seen: 0,
        }],
        verified: before.number,
    };
    checkpoints.save(file)?;
    Ok(mirror)
}

impl Checkpoints {
    fn load(file: &Path) -> Result<Self, ChainError> {
        let path = checkpoints_file(file);
        let bytes = std::fs::read(&path).map_err(io(&path, "read it"))?;
        Self::decode(&path, &bytes)
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self, ChainError> {
        let bad = |reason: String| ChainError::File {
            path: path.into(),
            reason: format!(
                "{reason}; move the folder of the mirror away and make it again with `quire l1 connect`"
            ),
        };
        let read: Self = checked::open(bytes).map_err(|error| bad(error.to_string()))?;
        let ascend = read
            .blocks
            .is_sorted_by(|a, b| a.number < b.number && a.height <= b.height);
        if read.version != VERSION || read.blocks.is_empty() || !ascend {
            return Err(bad(
                "checkpoints of another version, or out of order".to_owned()
            ));
        }
        Ok(read)
    }

    fn save(&self, file: &Path) -> Result<(), ChainError> {
        let json = checked::seal(self).expect("numbers and hashes are JSON");
        write_whole(&checkpoints_file(file), &json)
    }

    fn last(&self) -> Checkpoint {
        *self
            .blocks
            .last()
            .expect("the first checkpoint is never dropped")
    }

    /// How many events of this block were applied.
    fn events(&self, number: u64) -> u64 {
        let mut blocks = self.blocks.iter();
        let block = blocks.find(|block| block.number == number);
        block.map_or(0, |block| block.events)
    }

    /// Height of the mirror after the last checkpoint that is not after a block.
    fn height_at(&self, number: u64) -> u64 {
        let blocks = self.blocks.iter().rev();
        let mut before = blocks.skip_while(|block| block.number > number);
        before
            .next()
            .map_or(self.blocks[0].height, |block| block.height)
    }

    /// Adds a checkpoint. It replaces one before it that has no events.
    fn push(&mut self, block: BlockId, seen: u64, height: u64, events: usize) {
        if self.last().number >= block.number {
            return;
        }
        if self.blocks.len() > 1 && self.last().events == 0 {
            self.blocks.pop();
        }
        self.blocks.push(Checkpoint {
            number: block.number,
            hash: block.hash,
            height,
            events: events as u64,
            seen,
        });
        if self.blocks.len() > KEPT + 1 {
            self.blocks.remove(1);
        }
    }
}

impl Mirror {
    /// Takes up the bookkeeping of a mirror that [`create_mirror`] made.
    pub(crate) fn open(file: &Path, mirror: &NativeL1) -> Result<Self, ChainError> {
        let contract = mirror.deployment().contract();
        let chain_id = mirror.deployment().parameters().chain_id;
        let checkpoints = Checkpoints::load(file)?;
        if (checkpoints.chain_id, checkpoints.contract) != (chain_id, contract) {
            return Err(ChainError::File {
                path: checkpoints_file(file),
                reason: "the checkpoints of another deployment: restore that of this mirror"
                    .to_owned(),
            });
        }
        let compared = checkpoints.height_at(checkpoints.verified);
        let unchecked = moved_since(mirror, compared)?;
        Ok(Self {
            contract,
            file: file.to_owned(),
            head: checkpoints.last().number,
            reached: checkpoints.clone(),
            checkpoints,
            time: 0,
            state: None,
            unchecked,
        })
    }

    /// Timestamp of the chain's last block.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// The mirror's height after the last block that has so many on top.
    pub(crate) fn confirmed_height(&self, confirmations: u64) -> Option<u64> {
        let last = self.head.checked_sub(confirmations)?;
        let blocks = self.checkpoints.blocks.iter().rev();
        let mut confirmed = blocks.skip_while(|block| block.number > last);
        confirmed.next().map(|block| block.height)
    }

    /// Blocks of the chain on top of the one that is the mirror's block of this height.
    pub(crate) fn blocks_on(&self, height: u64) -> u64 {
        let mut blocks = self.checkpoints.blocks.iter();
        let block = blocks.find(|block| block.height >= height);
        block.map_or(0, |block| self.head.saturating_sub(block.number))
    }

    /// Brings the mirror in line with the chain.
    pub(crate) fn sync(&mut self, rpc: &Rpc, mirror: &mut NativeL1) -> Result<(), ChainError> {
        let mut disagreements = 0;
        for attempt in 0..ATTEMPTS {
            match self.sync_once(rpc, mirror) {
                Ok(()) => return Ok(()),
                Err(Stop::Failed(error @ ChainError::Disagree { .. })) => {
                    disagreements += 1;
                    if disagreements == DISAGREEMENTS {
                        // Why from the beginning: what was compared before may have been a lie, too.
                        self.forget(mirror, 0)?;
                        return Err(error);
                    }
                    tracing::info!(%error, "reading again what is not the contract's");
                    self.forget(mirror, self.checkpoints.verified)?;
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Forget(last)) => self.forget(mirror, last)?,
                Err(Stop::Moved) => {}
            }
            rpc.pause(PAUSE * (attempt + 1));
        }
        Err(ChainError::Unsteady { attempts: ATTEMPTS })
    }

    fn sync_once(&mut self, rpc: &Rpc, mirror: &mut NativeL1) -> Result<(), Stop> {
        let head = self.latest(rpc)?;
        self.roll_back(rpc, mirror, head)?;
        self.read(rpc, mirror, head)?;
        if rpc.block(head.number)? != Some(head) {
            return Err(Stop::Moved);
        }
        match self.compare(rpc, mirror, head) {
            // Why: nodes forget the state after older blocks, and after those that were dropped.
            Err(ChainError::Node { .. }) if rpc.latest()? != head => return Err(Stop::Moved),
            Err(ChainError::NotTheContract { .. }) if rpc.code(self.contract)?.is_empty() => {
                return Err(self.gone().into());
            }
            compared => compared?,
        }
        self.unchecked.clear();
        self.checkpoints
            .push(head, rpc.now(), mirror.head()?.height, 0);
        if self.checkpoints.verified != head.number {
            self.checkpoints.verified = head.number;
            self.save()?;
        }
        (self.head, self.time) = (head.number, head.time);
        Ok(())
    }

    /// Writes the checkpoints, which the mirror on disk has reached.
    fn save(&mut self) -> Result<(), ChainError> {
        self.checkpoints.save(&self.file)?;
        self.reached.clone_from(&self.checkpoints);
        Ok(())
    }

    /// Applies the events after the last checkpoint, up to a block.
    fn read(&mut self, rpc: &Rpc, mirror: &NativeL1, head: BlockId) -> Result<(), Stop> {
        let read = self.read_events(rpc, mirror, head);
        if read.is_err() {
            // Blocks that were not committed are gone from the mirror.
            self.checkpoints.clone_from(&self.reached);
        }
        read
    }

    fn read_events(&mut self, rpc: &Rpc, mirror: &NativeL1, head: BlockId) -> Result<(), Stop> {
        let (first, last) = (self.checkpoints.blocks[0].number, self.checkpoints.last());
        let unread = last.number + 1;
        let mut before = (last.number, last.hash);
        let mut from = unread.saturating_sub(AGAIN).max(first + 1);
        let (mut range, mut group, mut grouped) = (Range::new(), mirror.begin_blocks()?, 0);
        while from <= head.number {
            let (logs, to) = rpc.logs(self.contract, (from, head.number), None, &mut range)?;
            for (number, logs) in by_block(logs, from, to).ok_or(Stop::Moved)? {
                if number < unread {
                    if logs.len() as u64 > self.checkpoints.events(number) {
                        tracing::info!(number, "the node had said less of this block's events");
                        return Err(Stop::Forget(number - 1));
                    }
                    continue;
                }
                let block = rpc.block(number)?.ok_or(Stop::Moved)?;
                let follows = number != before.0 + 1 || block.parent == before.1;
                if !follows || logs.iter().any(|log| log.block_hash != Some(block.hash)) {
                    return Err(Stop::Moved);
                }
                before = (number, block.hash);
                let height;
                (group, height) = self.apply(rpc, mirror, group, (block, &logs))?;
                self.checkpoints.push(block, rpc.now(), height, logs.len());
                grouped += 1;
                if grouped == GROUP {
                    group.commit()?;
                    self.save()?;
                    (group, grouped) = (mirror.begin_blocks()?, 0);
                }
            }
            if to >= unread && to < head.number {
                let block = rpc.block(to)?.ok_or(Stop::Moved)?;
                group.commit()?;
                self.checkpoints
                    .push(block, rpc.now(), mirror.head()?.height, 0);
                self.save()?;
                (group, grouped) = (mirror.begin_blocks()?, 0);
            }
            from = to + 1;
        }
        if grouped > 0 {
            group.commit()?;
            self.reached.clone_from(&self.checkpoints);
        }
        Ok(())
    }

    /// Goes back to the last checkpoint that is not after this block, or to the first: what was read since
    /// may be lies, though the blocks exist.
    fn forget(&mut self, mirror: &mut NativeL1, last: u64) -> Result<(), ChainError> {
        let blocks = &self.checkpoints.blocks;
        let kept = blocks.iter().skip(1).filter(|block| block.number <= last);
        self.drop_after(mirror, 1 + kept.count())
    }

    /// Keeps this many checkpoints, and takes the mirror back to the last of them.
    fn drop_after(&mut self, mirror: &mut NativeL1, kept: usize) -> Result<(), ChainError> {
        self.checkpoints.blocks.truncate(kept);
        let last = self.checkpoints.last().number;
        self.checkpoints.verified = self.checkpoints.verified.min(last);
        self.save()?;
        self.align(mirror)
    }

    /// The last block. Nodes behind one address may be of different ages: an older one is asked again. The
    /// block before it is the one that it names.
    fn latest(&self, rpc: &Rpc) -> Result<BlockId, Stop> {
        let mut head = rpc.latest()?;
        for attempt in 0..BEHIND {
            if head.number >= self.checkpoints.last().number {
                break;
            }
            rpc.pause(PAUSE * (attempt + 1));
            head = rpc.latest()?;
        }
        match head.number.checked_sub(1) {
            Some(before) if rpc.block(before)?.map(|block| block.hash) != Some(head.parent) => {
                Err(Stop::Moved)
            }
            _ => Ok(head),
        }
    }

    /// Goes back to the last checkpoint that the chain still has, once the chain has another block in the
    /// place of a later one, or does not have it and the node is not behind.
    fn roll_back(&mut self, rpc: &Rpc, mirror: &mut NativeL1, head: BlockId) -> Result<(), Stop> {
        let blocks = &self.checkpoints.blocks;
        let (mut kept, mut replaced) = (blocks.len(), false);
        while let Some(last) = kept.checked_sub(1).and_then(|place| blocks.get(place)) {
            if last.number <= head.number {
                // Why moved: a node that has a block has those before it.
                let there = rpc.block(last.number)?.ok_or(Stop::Moved)?;
                if there.hash == last.hash {
                    break;
                }
                replaced = true;
            }
            kept -= 1;
        }
        let mut missing = blocks[kept..].iter();
        let lags = |block: &Checkpoint| block.events > 0 && rpc.may_lag(head, block.seen);
        if !replaced && (kept == 0 || missing.any(lags)) {
            let (got, seen) = (head.number, self.checkpoints.last().number);
            return Err(ChainError::Behind { got, seen }.into());
        }
        if kept == 0 {
            return Err(self.gone().into());
        }
        if kept < blocks.len() {
            let last = blocks[kept - 1].number;
            tracing::info!(block = last, "the chain does not have what was seen after");
            return Ok(self.drop_after(mirror, kept)?);
        }
        Ok(self.align(mirror)?)
    }

    /// The chain does not have the deployment.
    fn gone(&self) -> ChainError {
        ChainError::DeploymentGone {
            contract: self.contract,
            number: self.checkpoints.blocks[0].number,
        }
    }

    /// Whether the chain has this block, and the mirror has executed it; none if that is not known yet.
    /// `events`: the block has events of the contract.
    pub(crate) fn has_block(
        &self,
        rpc: &Rpc,
        (number, hash): (u64, B256),
        events: bool,
    ) -> Result<Option<bool>, ChainError> {
        if self.head < number {
            return Ok(None);
        }
        let there = rpc.block(number)?.map(|there| there.hash == hash);
        // Checkpoints of old blocks are dropped.
        let kept = self.checkpoints.blocks.get(1);
        let kept = kept.is_some_and(|oldest| oldest.number <= number);
        let missed = events && kept && self.checkpoints.events(number) == 0;
        Ok(there.filter(|there| !(*there && missed)))
    }

    /// Takes the mirror back to the last checkpoint.
    fn align(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        let (height, last) = (mirror.head()?.height, self.checkpoints.last().height);
        if height == last {
            return Ok(());
        }
        self.state = None;
        self.unchecked.extend(moved_since(mirror, last)?);
        match height.checked_sub(last) {
            Some(blocks) => match mirror.reorg(blocks) {
                Ok(_) => Ok(()),
                Err(L1Error::Refused(Refusal::ReorgTooDeep { .. })) => self.rebuild(mirror),
                Err(error) => Err(error.into()),
            },
            // Why: a mirror's file that is older than its checkpoints, a copy from a backup.
            None => self.rebuild(mirror),
        }
    }

    /// Begins again from the deployment: the mirror is only a copy.
    fn rebuild(&mut self, mirror: &mut NativeL1) -> Result<(), ChainError> {
        tracing::info!("making the mirror anew");
        let first = self.checkpoints.blocks[0];
        let deployment = mirror.deployment().clone();
        let keys = deployment.parameters().shapes.iter().filter_map(|listed| {
            let id = listed.shape.id;
            Some((id, mirror.key(id)?.clone()))
        });
        let keys: BTreeMap<u16, VerifyingKey> = keys.collect();
        let genesis = Genesis::new(deployment.parameters().clone(), Vec::new());
        let genesis = genesis.map_err(l1::OpenError::from)?;
        let draft = self.file.with_extension("again");
        for left in [draft.clone(), checkpoints_file(&draft)] {
            match std::fs::remove_file(&left) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(&left, "remove it")(error));
                }
                _ => {}
            }
        }
        let before = BlockId {
            number: first.number,
            hash: first.hash,
            parent: B256::ZERO,
            time: 0,
        };
        drop(create_mirror(&draft, &genesis, &keys, before)?);
        // Why in this order: checkpoints must never say more than the mirror has.
        let fresh = Checkpoints::load(&draft)?;
        fresh.save(&self.file)?;
        std::fs::rename(&draft, &self.file).map_err(io(&self.file, "replace it"))?;
        let left = checkpoints_file(&draft);
        std::fs::remove_file(&left).map_err(io(&left, "remove it"))?;
        *mirror = NativeL1::open(&self.file, AllowDevKeys::Yes)?;
        self.reached.clone_from(&fresh);
        self.checkpoints = fresh;
        Ok(())
    }

    /// Applies what the contract did in a block, and returns the mirror's height after it.
    fn apply<'m>(
        &mut self,
        rpc: &Rpc,
        mirror: &'m NativeL1,
        mut group: Blocks<'m>,
        (block, logs): (BlockId, &[Log]),
    ) -> Result<(Blocks<'m>, u64), Stop> {
        let exits = logs.iter().position(is_exit).unwrap_or(logs.len());
        let (before, exits) = logs.split_at(exits);
        let mut height = 0;
        if !before.is_empty() {
            let calls = |calls: &mut Calls<'_, '_>| self.apply_all(rpc, calls, block, before);
            (group, height) = group.block(block.time, calls)?;
        }
        if !exits.is_empty() {
            // Why committed: the paths of accounts that leave come from the mirror's own batches.
            group.commit()?;
            self.rebuild_state(mirror, block)?;
            let calls = |calls: &mut Calls<'_, '_>| self.apply_all(rpc, calls, block, exits);
            (group, height) = mirror.begin_blocks()?.block(block.time, calls)?;
        }
        Ok((group, height))
    }

    /// Applies events of a block in their order.
    fn apply_all(
        &mut self,
        rpc: &Rpc,
        calls: &mut Calls<'_, '_>,
        block: BlockId,
        logs: &[Log],
    ) -> Result<u64, Stop> {
        let mut position = 0;
        while let Some(log) = logs.get(position) {
            let event = Event::decode(log)
                .ok_or_else(|| disagree(block, "an event", "it is none that the contract has"))?;
            position += 1;
            if let Event::BatchFinalized { number, .. } = event {
                let hash = log.transaction_hash.ok_or(Stop::Moved)?;
                let same = |log: &&Log| log.transaction_hash == Some(hash);
                let of_transaction = logs[position..].iter().take_while(same);
                let more = of_transaction
                    .filter(|log| matches!(Event::decode(log), Some(Event::BatchFinalized { .. })));
                let count = 1 + more.count();
                self.apply_batches(rpc, calls, block, hash, (number, count))?;
                position = skip_batches(logs, position, hash);
                continue;
            }
            self.apply_event(calls, block, event)?;
        }
        Ok(calls.head().height)
    }

    /// Applies an event that is not of batches.
    fn apply_event(
        &mut self,
        calls: &mut Calls<'_, '_>,
        block: BlockId,
        event: Event,
    ) -> Result<(), ChainError> {
        let refused = |what: String| {
            move |error: L1Error| match error {
                L1Error::Refused(refusal) => disagree(block, what, refusal),
                other => other.into(),
            }
        };
        let same = |what: &str, expected: u128, got: u128| match expected == got {
            true => Ok(()),
            false => Err(disagree(
                block,
                what,
                format!("computed {expected}, the contract says {got}"),
            )),
        };
        match event {
            // The constructor's own; ETH is listed from the start.
            Event::TokenAdded { token: 0, .. } | Event::Credited => {}
            Event::BatchFinalized { .. } => {}
            Event::TokenAdded { token, erc20 } => {
                let id = calls.add_token(erc20);
                let id = id.map_err(refused(format!("token {token}")))?;
                same("the id of a token", id.into(), token.into())?;
            }
            Event::Queued {
                number,
                op,
                payer,
                time,
            } => {
                self.unchecked.insert(op.token());
                let what = format!("entry {number} of the queue");
                let applied = apply_entry(calls, op, payer).map_err(refused(what))?;
                let entry = calls.entry(applied)?;
                if (applied, entry.op, entry.time) != (number, op, time) {
                    return Err(disagree(
                        block,
                        format!("entry {number} of the queue"),
                        "it is another",
                    ));
                }
            }
            Event::Claimed {
                owner,
                token,
                amount,
            } => {
                self.unchecked.insert(token);
                let paid = calls.claim(owner, token);
                let paid = paid.map_err(refused(format!("a claim of {owner}")))?;
                same("a claim", paid, amount)?;
            }
            Event::Frozen => calls.freeze().map_err(refused("the freeze".to_owned()))?,
            Event::Exited { index, amount } => {
                let exit = self.exit_of(block, index)?;
                self.unchecked.insert(exit.account.token);
                let paid = calls.exit(&exit);
                let paid = paid.map_err(refused(format!("the exit of account {index}")))?;
                same("an exit", paid, amount)?;
            }
            Event::DepositCancelled { number, amount } => {
                let cancelled = calls.cancel_deposit(number);
                let cancelled = cancelled.map_err(refused(format!("cancelled entry {number}")))?;
                self.unchecked.insert(cancelled.token);
                same("a cancelled deposit", cancelled.amount, amount)?;
            }
            Event::FeesCollected { amount } => {
                same("the operator's fees", calls.collect_fees(), amount)?;
            }
            Event::OperatorReturned { until } => {
                let returned = calls.return_operator(calls.head().operator);
                returned.map_err(refused("the operator's return".to_owned()))?;
                let computed = calls.head().operator_back_at + OPERATORS_HOUR;
                same("the operator's hour", computed.into(), until.into())?;
            }
            Event::OperatorOffered { to } => {
                let offered = calls.offer_operator(calls.head().operator, Some(to));
                offered.map_err(refused(format!("the office offered to {to}")))?;
            }
            Event::OperatorChanged { from, to, fees } => {
                self.unchecked.insert(0);
                let what = format!("the office that {from} hands over to {to}");
                if calls.head().operator != from {
                    return Err(disagree(block, what, "it is somebody else's"));
                }
                let credited = calls.accept_operator(to).map_err(refused(what))?;
                same("the fees of a former operator", credited, fees)?;
            }
        }
        Ok(())
    }

    /// The state under the mirror's last root.
    fn rebuild_state(&mut self, mirror: &NativeL1, block: BlockId) -> Result<(), ChainError> {
        let root = mirror.head()?.root;
        if self.state.as_ref().is_none_or(|state| state.root() != root) {
            let state = final_state(mirror, |_| ());
            self.state = Some(state.map_err(|error| disagree(block, "the exits", error))?);
        }
        Ok(())
    }

    /// The path of an account that left, from the mirror's own data: whoever called may have done so
    /// through another contract, where its arguments are not seen.
    fn exit_of(&self, block: BlockId, index: u32) -> Result<Exit, ChainError> {
        let wrong =
            |reason: String| disagree(block, format!("the exit of account {index}"), reason);
        let state = self.state.as_ref();
        let state = state.ok_or_else(|| wrong("there is no state".to_owned()))?;
        let proof = state
            .prove(index)
            .map_err(|error| wrong(error.to_string()))?;
        let account = state.account(index).copied();
        Ok(Exit {
            index,
            account: account.ok_or_else(|| wrong("it has no leaf".to_owned()))?,
            siblings: proof.siblings,
        })
    }

    /// Applies the batches of a transaction, from its call data.
    fn apply_batches(
        &mut self,
        rpc: &Rpc,
        calls: &mut Calls<'_, '_>,
        block: BlockId,
        hash: B256,
        (number, count): (u64, usize),
    ) -> Result<(), Stop> {
        use alloy::consensus::Transaction as _;
        let what = || format!("batch {number} in transaction {hash}");
        let transaction = rpc.transaction(hash)?.ok_or(Stop::Moved)?;
        if transaction.block_hash != Some(block.hash) {
            return Err(Stop::Moved);
        }
        let from = l1::bytes::Bytes(transaction.inner.signer().into_array());
        let deployment = calls.deployment();
        let shape_of = |id| deployment.shape(id).map(|listed| &listed.shape);
        let (domain, root) = (deployment.domain(), calls.head().root);
        let batches = calldata::decode(transaction.input(), shape_of, &domain, &root)
            .map_err(|error| disagree(block, what(), error))?;
        if batches.len() != count || calls.head().next_batch != number {
            let reason = format!("{count} batches from {number} on are announced");
            return Err(disagree(block, what(), reason).into());
        }
        let submissions: Vec<_> = batches.into_iter().map(|batch| batch.submission).collect();
        let finalized = match calls.submit_batches(from, &submissions) {
            Err(L1Error::Refused(refusal)) => {
                return Err(disagree(block, what(), refusal).into());
            }
            finalized => finalized?,
        };
        for batch in finalized {
            for entry in &batch.words.l1_ops {
                self.unchecked.insert(entry.op.token());
            }
            for withdrawal in &batch.words.withdrawals {
                if let Some(registered) = calls.registered(withdrawal.index)? {
                    self.unchecked.insert(registered.token);
                }
            }
        }
        Ok(())
    }

    /// Contract and mirror say the same after a block.
    fn compare(&self, rpc: &Rpc, mirror: &NativeL1, block: BlockId) -> Result<(), ChainError> {
        let contract = Contract {
            rpc,
            address: self.contract,
            at: Some(block.hash),
        };
        let ours = Standing::of(mirror)?;
        if let Some(difference) = ours.difference(&contract.standing()?) {
            return Err(disagree(block, "where it stands", difference));
        }
        let moved = self.unchecked.range(1..).copied();
        for token in iter::once(0).chain(moved) {
            let (ours, theirs) = (mirror.totals(token)?, contract.totals(token)?);
            if ours != theirs {
                let reason = format!("computed {ours:?}, the contract has {theirs:?}");
                return Err(disagree(
                    block,
                    format!("the money of token {token}"),
                    reason,
                ));
            }
        }
        Ok(())
    }
}

/// Tokens whose money the mirror's blocks after a height moved; all that were ever moved if it does not
/// know any more.
fn moved_since(mirror: &NativeL1, height: u64) -> Result<BTreeSet<u32>, ChainError> {
    match mirror.tokens_moved_after(height)? {
        Some(tokens) => Ok(tokens),
        None => Ok(mirror.tokens_ever_moved()?),
    }
}

/// Events of each block in order; none if they are not of these blocks, or were removed.
fn by_block(logs: Vec<Log>, from: u64, to: u64) -> Option<BTreeMap<u64, Vec<Log>>> {
    let mut blocks: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
    for log in logs {
        let number = log.block_number?;
        if log.removed || !(from..=to).contains(&number) {
            return None;
        }
        blocks.entry(number).or_default().push(log);
    }
    for logs in blocks.values_mut() {
        logs.sort_by_key(|log| log.log_index);
    }
    Some(blocks)
}

/// Where the events after a transaction's batches begin.
fn skip_batches(logs: &[Log], from: usize, transaction: B256) -> usize {
    let rest = logs[from..].iter();
    from + rest
        .take_while(|log| log.transaction_hash == Some(transaction))
        .count()
}

fn is_exit(log: &Log) -> bool {
    matches!(Event::decode(log), Some(Event::Exited { .. }))
}

/// Queues what the contract queued, and returns the number of the entry.
fn apply_entry(calls: &mut Calls<'_, '_>, op: L1Op, payer: Address) -> Result<u64, L1Error> {
    match op {
        L1Op::Create {
            token, amount, key, ..
        } => calls.deposit(&Deposit {
            caller: payer,
            token,
            amount,
            key,
            q: cofactor_inverse_point(&key),
            fee: calls.deployment().parameters().l1_fee,
        }),
        L1Op::TopUp { index, amount, .. } => calls.top_up(payer, index, amount),
        L1Op::ForcedExit { index, .. } => calls.request_exit(payer, index),
    }
}

fn disagree(block: BlockId, what: impl Into<String>, reason: impl ToString) -> ChainError {
    ChainError::Disagree {
        block: block.number,
        what: what.into(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
