//! `quire l1`: where the native L1 stands, and the controls that trials need.

use anyhow::{Result, bail, ensure};
use l1::Head;
use ledger::field::to_hex;
use ledger::time::Utc;
use rollup::L1;
use serde::Serialize;

use rollup::{Call, Called, Outcome};

use crate::args::{AdvanceArgs, BlocksArgs, ChainCommand};
use crate::fault::Fault;
use crate::inspect::Escrow;
use crate::settings::Settings;
use crate::takeover::{RightFacts, operator_of};
use crate::ui::table;
use crate::unacknowledged::UnacknowledgedFacts;
use rollup::amount::{Amount, TokenFacts, Tokens};
use rollup::liveness::Liveness;
use rollup::text::count;
use rollup::text::right_text;

/// What `l1 status` prints.
#[derive(Serialize)]
struct ChainFacts {
    contract: String,
    height: u64,
    time: u64,
    #[serde(flatten)]
    liveness: Liveness,
    root: String,
    operator: String,
    offered_operator: Option<String>,
    submission: RightFacts,
    next_batch: u64,
    queue_head: u64,
    queue_tail: u64,
    next_index: u64,
    #[serde(flatten)]
    fees_token: TokenFacts,
    operator_fees: Amount,
    totals: Vec<Totals>,
    unacknowledged: Vec<UnacknowledgedFacts>,
}

/// What the controls print.
#[derive(Serialize)]
struct HeadFacts {
    height: u64,
    time: u64,
    frozen: bool,
    root: String,
}

/// What `l1 collect` prints.
#[derive(Serialize)]
struct Collected {
    #[serde(flatten)]
    token: TokenFacts,
    amount: Amount,
    to: String,
    earlier: bool,
}

/// What L1 holds of a token.
#[derive(Serialize)]
struct Totals {
    #[serde(flatten)]
    token: TokenFacts,
    #[serde(flatten)]
    held: Escrow,
}

/// `quire l1 …`.
///
/// # Errors
/// If L1 cannot be opened or refuses.
pub fn run(settings: &Settings, command: &ChainCommand) -> Result<()> {
    match command {
        ChainCommand::Deploy(args) => return crate::contract::deploy(settings, args),
        ChainCommand::Connect(args) => return crate::contract::connect(settings, args),
        ChainCommand::AddToken(args) => return crate::contract::add_token(settings, args),
        ChainCommand::Cancel => return crate::contract::cancel(settings),
        ChainCommand::Status => return status(settings, &L1::look(settings)?),
        _ => {}
    }
    let mut l1 = L1::open(settings)?;
    ensure!(
        matches!(command, ChainCommand::Collect) || !l1.link.is_remote(),
        Fault::usage("this control is of a native L1; a chain has its own")
    );
    match command {
        ChainCommand::Deploy(_)
        | ChainCommand::Connect(_)
        | ChainCommand::AddToken(_)
        | ChainCommand::Cancel
        | ChainCommand::Status => {}
        ChainCommand::Collect => return collect(settings, l1),
        ChainCommand::Mine(BlocksArgs { blocks, .. }) => {
            l1.mine(*blocks, l1.time_to_keep()?)?;
        }
        ChainCommand::Advance(AdvanceArgs { seconds, .. }) => {
            let now = l1.time_to_keep()?;
            l1.advance_time(*seconds)?;
            l1.mine(1, now)?;
        }
        ChainCommand::Reorg(BlocksArgs { blocks, .. }) => {
            l1.native.reorg(*blocks)?;
        }
    }
    let facts = facts_of(&l1.head()?);
    let text = format!("L1 is at block {}, {}", facts.height, Utc(facts.time));
    settings.ui.result(&facts, text)
}

/// `quire l1 collect`.
fn collect(settings: &Settings, mut l1: L1) -> Result<()> {
    let caller = operator_of(settings, &l1)?;
    let Called { outcome, earlier } = l1.call(Call::CollectFees { caller })?;
    let Outcome::Amount(amount) = outcome else {
        bail!("the chain told no amount; look at `quire l1 status`");
    };
    if earlier {
        settings.ui.note(
            "an earlier command that was interrupted has collected this; run the command again for what came since",
        );
    }
    let amount = Amount::wei(amount);
    let facts = Collected {
        token: amount.facts(),
        amount: amount.clone(),
        to: caller.to_string(),
        earlier,
    };
    let text = format!("{amount} of fees paid to {caller}");
    settings.ui.result(&facts, text)?;
    Ok(l1.acknowledge()?)
}

fn facts_of(head: &Head) -> HeadFacts {
    HeadFacts {
        height: head.height,
        time: head.time,
        frozen: head.frozen,
        root: to_hex(&head.root),
    }
}

fn status(settings: &Settings, l1: &L1) -> Result<()> {
    let head = l1.head()?;
    let right = l1.submission_right()?;
    let totals = l1.audit()?;
    let tokens = Tokens::of(l1)?;
    let operator_fees = Amount::wei(head.operator_fees);
    let facts = ChainFacts {
        contract: l1.deployment().contract().to_string(),
        height: head.height,
        time: head.time,
        liveness: Liveness::of(l1, l1.time_now()?)?,
        root: to_hex(&head.root),
        operator: head.operator.to_string(),
        offered_operator: head.offered_operator.map(|offered| offered.to_string()),
        submission: RightFacts::of(right),
        next_batch: head.next_batch,
        queue_head: head.queue_head,
        queue_tail: head.queue_tail,
        next_index: head.next_index,
        fees_token: operator_fees.facts(),
        operator_fees,
        totals: (totals.iter())
            .map(|(token, totals)| Totals {
                token: tokens.get(*token).facts(),
                held: Escrow::of(&tokens, *token, totals),
            })
            .collect(),
        unacknowledged: l1
            .link
            .unacknowledged()
            .into_iter()
            .map(Into::into)
            .collect(),
    };
    let heading = ["token", "escrow", "balances", "claimable", "pending"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (token, totals) in totals.keys().zip(&facts.totals) {
        let name = vec![tokens.get(*token).described()];
        rows.push([name, totals.held.cells().to_vec()].concat());
    }
    let unacknowledged = (facts.unacknowledged.iter()).map(UnacknowledgedFacts::line);
    let unacknowledged: String = match facts.unacknowledged.is_empty() {
        true => String::new(),
        false => format!(
            "\n\nsent, outcome unacknowledged\n{}",
            unacknowledged.collect::<String>()
        ),
    };
    let text = format!(
        "deployment   {}\nblock        {}, {}\nstate        {}\n\
         submits      {}\nbatches      {} final\nqueue        {} entries wait\naccounts     {} registered\n\
         fees         {} of the operator's to collect\nfinal root   {}\n\n{}{}",
        facts.contract,
        count(head.height),
        Utc(head.time),
        facts.liveness,
        right_text(right),
        count(head.next_batch - 1),
        count(head.queue_tail - head.queue_head),
        count(head.next_index - 1),
        facts.operator_fees,
        facts.root,
        table(&rows),
        unacknowledged.trim_end(),
    );
    settings.ui.result(&facts, text)
}
