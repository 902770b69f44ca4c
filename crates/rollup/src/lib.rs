//! A rollup under way: L1 and batcher together.
//!
//! L1 is the truth, the batcher's database a copy that can be made again. Invariants: batches are
//! sealed on confirmed queue entries, by L1's clock; what L1 has finalized is what the batcher
//! notes as final, and nothing else; a sealed batch that L1 can no longer accept is reopened with
//! all that follow it, and nothing that was acknowledged is lost on the way.
//!
//! - [`audit`]: whether money and roots add up.
//! - [`clock`]: which times may be kept.
//! - [`error`]: why a step was not taken.
//! - [`right`]: who may submit batches, and the operator's return.
//! - [`rollup`]: sealing, proving and submitting on both.
//! - [`follow`]: what the batcher does when L1 moved without it: finality, reorganizations, Δ.
//! - [`mod@restore`]: the batcher's database and the state from L1's data alone.
//! - [`settlement`]: where calls of L1 go: to the native L1, or to a contract that it mirrors.
//! - [`waiting`]: what waits on its way to finality, and for what.
//! - [`leave`]: what an owner needs to leave a frozen rollup, from L1's data alone.
//!
//! Rules are left to `ledger` and `l1`, order of operations to `batcher`, files and wallets to the
//! program.

pub mod audit;
pub mod clock;
pub mod error;
pub mod follow;
pub mod leave;
pub mod restore;
pub mod right;
pub mod rollup;
pub mod settlement;
pub mod waiting;

pub use audit::{Audit, Depth};
pub use clock::{Clock, ClockError};
pub use error::{FollowError, RollupError};
pub use follow::{Followed, Reopening};
pub use leave::{ExitPlan, LeaveError, Left, PlanError};
pub use restore::{RestoreError, final_state, genesis_accounts, restore};
pub use rollup::{Rollup, SealLimit, settings};
pub use settlement::{Call, Called, Link, Outcome, SettleError, Settlement, Standing, Unsettled};
pub use waiting::Wait;
