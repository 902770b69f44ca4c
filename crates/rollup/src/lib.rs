//! The rollup: L1 and batcher of a deployment together, in a data directory, with its keys and provers.
//!
//! L1 is the truth, the batcher's database a copy that can be made again. Invariants: batches are
//! sealed on confirmed queue entries, by L1's clock; what L1 has finalized is what the batcher
//! notes as final, and nothing else; a sealed batch that L1 can no longer accept is reopened with
//! all that follow it, and nothing that was acknowledged is lost on the way. Nothing here asks or prints
//! anything: a caller says in a [`Place`] where everything is, and is told by its callback what happens.
//!
//! | to | use |
//! |---|---|
//! | say where a deployment is, wait for its files, stop early | [`place`], [`stop`], [`event`] |
//! | write a new file that takes a while | [`new_file`] |
//! | make one | [`create`] |
//! | make one of a history of transfers | [`history`] |
//! | open it | [`open`] (L1 alone), [`deployment`] (L1 and batcher) |
//! | find, make, check and publish keys | [`shape`], [`keys`], [`key_check`], [`key_export`] |
//! | seal, prove and submit | [`rollup`] (one step each), [`proving`], [`running`] |
//! | follow L1 | [`follow`]: finality, reorganizations, Δ; [`right`]: who may submit; [`clock`]: which times may be kept |
//! | send calls to L1 | [`settlement`]: to the native L1, or to a contract that it mirrors |
//! | read and print amounts with their tokens | [`amount`] |
//! | know where things stand | [`wait`], [`waiting`], [`liveness`], [`audit`] |
//! | deposit and claim | [`user`] |
//! | be the operator, offer and take its role, submit in its stead | [`operator`] |
//! | do without the operator | [`mod@restore`]: the batcher's database from L1's data alone; [`restoring`]: put into a data directory, whosever it is; [`leave`], [`exits`]: out of a frozen rollup |
//!
//! Rules are left to `ledger` and `l1`, order of operations to `batcher`, wallet files to `wallet`; names of
//! wallets, passphrases, arguments and output to the program.
#![allow(
    missing_docs,
    reason = "a field whose name says what it is needs no sentence"
)]

pub mod amount;
pub mod audit;
mod class;
pub mod clock;
pub mod create;
pub mod deployment;
pub mod error;
pub mod event;
pub mod exits;
pub mod follow;
pub mod history;
pub mod key_check;
pub mod key_export;
pub mod keys;
pub mod leave;
pub mod liveness;
pub mod new_file;
pub mod open;
pub mod operator;
pub mod place;
pub mod proving;
pub mod restore;
pub mod restoring;
pub mod right;
pub mod rollup;
pub mod running;
pub mod settlement;
pub mod shape;
pub mod stop;
pub mod text;
pub mod user;
pub mod wait;
pub mod waiting;
pub mod work;

pub use amount::{Amount, AmountError};
pub use audit::{Audit, Depth};
pub use clock::{Clock, ClockError};
pub use create::{CreateError, Draft, OperatorKey, Plan};
pub use deployment::{Deployment, Paused, batcher_settings};
pub use error::{DeploymentError, FollowError, LinkError, RollupError};
pub use event::{Event, Note, Work};
pub use follow::{Followed, Reopening};
pub use keys::{KeysError, Prepared};
pub use leave::{ExitPlan, LeaveError, Left, PlanError};
pub use open::L1;
pub use place::Place;
pub use restore::{RestoreError, final_state, genesis_accounts, restore};
pub use rollup::{Rollup, SealLimit, settings};
pub use settlement::{
    Call, Called, Link, Outcome, SettleError, Settlement, TransactionStatus, Unacknowledged,
};
pub use stop::Stop;
pub use wait::Wait;
pub use work::WorkError;
