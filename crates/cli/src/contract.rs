//! `quire l1 deploy` and `quire l1 connect`: the rollup's contract on a real chain.
//!
//! Both make `D/rollup` with a mirror of the contract; every other command then works as on a native L1
//! and sends its calls through the node that `--l1` names. Invariant: the Ethereum key comes from a file
//! and is shown nowhere; of a node's address only the host is.

use anyhow::Result;
#[cfg(not(feature = "chain"))]
use anyhow::bail;

use crate::args::{AddTokenArgs, ConnectArgs, DeployArgs};
use crate::fault::Fault;
use crate::settings::Settings;

/// `quire l1 deploy`.
///
/// # Errors
/// If a key is missing, or the chain refuses.
#[cfg(not(feature = "chain"))]
pub fn deploy(_: &Settings, _: &DeployArgs) -> Result<()> {
    bail!(Fault::left_out("a client for Ethereum", "chain"))
}

/// `quire l1 connect`.
///
/// # Errors
/// If there is no rollup at the address.
#[cfg(not(feature = "chain"))]
pub fn connect(_: &Settings, _: &ConnectArgs) -> Result<()> {
    bail!(Fault::left_out("a client for Ethereum", "chain"))
}

/// `quire l1 add-token`.
///
/// # Errors
/// If the contract refuses.
#[cfg(not(feature = "chain"))]
pub fn add_token(_: &Settings, _: &AddTokenArgs) -> Result<()> {
    bail!(Fault::left_out("a client for Ethereum", "chain"))
}

/// `quire l1 cancel`.
///
/// # Errors
/// If the node does not answer.
#[cfg(not(feature = "chain"))]
pub fn cancel(_: &Settings) -> Result<()> {
    bail!(Fault::left_out("a client for Ethereum", "chain"))
}

#[cfg(feature = "chain")]
pub use with_chain::{add_token, cancel, connect, deploy};

#[cfg(feature = "chain")]
mod with_chain {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use anyhow::{Context, ensure};
    use batcher::Batcher;
    use chain::{Access, EthKey, Found, create_mirror, genesis_of};
    use circuits::shapes::{SHAPES, compile};
    use files::{Class, Classified, FolderDraft};
    use l1::bytes::Bytes;
    use l1::genesis::{ListedShape, Operator, Token};
    use l1::{Address, Deposit, NativeL1, Parameters};
    use ledger::babyjubjub::{Point, cofactor_inverse_point};
    use ledger::field::to_hex;
    use ledger::shape::Shape;
    use ledger::time::Span;
    use prover::key::{AllowDevKeys, KeyInfo, Origin, VerifyingKey};
    use rollup::Call;
    use rollup::L1;
    use rollup::batcher_settings;
    use rollup::create::check_absent;
    use rollup::create::random_salt;
    use rollup::shape::shapes_by_name;
    use serde::Serialize;
    use wallet::Locked;

    use super::*;
    use crate::config::FILE_NAME;
    use crate::deploying::{Deploying, Planned};
    use crate::deployment::caller;
    use crate::init::{ListedToken, listed_tokens, operator};
    use crate::interrupt::{remove_on_interrupt, shield};
    use crate::link::outbox;
    use crate::unacknowledged::UnacknowledgedFacts;
    use crate::wallet::write_secret;
    use rollup::amount::{Amount, ETH, TokenFacts, Tokens};
    use rollup::keys::{check_exists, key_path, shape_bytes};
    use rollup::operator::operator_file;
    use rollup::place::make_folder;
    use rollup::shape::DEFAULT_SHAPE;
    use rollup::shape::shape_name;
    use rollup::user::learn_token;

    /// Tokens whose names are asked for and shown, of those that are listed.
    const SHOWN: usize = 16;

    /// What `l1 deploy` and `l1 connect` print.
    #[derive(Serialize)]
    struct Facts {
        data_dir: String,
        chain_id: u64,
        contract: String,
        block: Option<u64>,
        domain: String,
        operator: String,
        shapes: Vec<String>,
        tokens: Vec<ListedToken>,
        fee_accounts: Vec<FeeAccount>,
        l1_fee: Amount,
        timestamp_slack: u64,
        takeover_after: u64,
        freeze_after: u64,
        frozen: bool,
        state_root: String,
    }

    /// What a user of the deployment must know before money goes into it.
    fn duties(facts: &Facts) -> String {
        let fees = match facts.fee_accounts.is_empty() {
            true => {
                "none: the operator has no account, so only operations without a fee are executed"
                    .to_owned()
            }
            false => {
                let each = facts.fee_accounts.iter();
                let each = each.map(|of| format!("token {} by account {}", of.token, of.account));
                each.collect::<Vec<_>>().join(", ")
            }
        };
        let frozen = match facts.frozen {
            true => "it is frozen for good: leave with `quire exit plan`\n",
            false => "",
        };
        format!(
            "fees taken   {fees}\n\
             timestamps   a batch's may lie {} before its block's\n\
             take-over    once an entry of the queue has waited {}, anybody may submit batches who has the\n\
             \x20            proving keys: they are not on the chain, so ask the operator where they are\n\
             \x20            published; without them nobody can take over, and the end is a freeze\n\
             freeze       once an entry has waited {}, anybody may freeze it, and everybody leaves with a proof\n\
             {frozen}",
            Span(facts.timestamp_slack),
            Span(facts.takeover_after),
            Span(facts.freeze_after),
        )
    }

    /// An account that takes fees.
    #[derive(Serialize)]
    struct FeeAccount {
        token: u32,
        account: u32,
    }

    /// Connects to the node that `--l1` names.
    fn access(settings: &Settings, expected: Option<u64>, key: Option<EthKey>) -> Result<Access> {
        let url = settings
            .l1_url
            .as_deref()
            .with_context(|| Fault::usage("name a node of the chain with --l1 http://HOST"))?;
        Ok(Access::new(url, expected, key, &outbox(settings))?)
    }

    /// The key that signs transactions.
    fn signing_key(settings: &Settings) -> Result<EthKey> {
        let path = settings.eth_key_file.as_deref();
        let path = path.with_context(|| {
            Fault::usage("name the Ethereum key that signs with --eth-key-file")
        })?;
        Ok(EthKey::load(path)?)
    }

    /// `quire l1 deploy`.
    ///
    /// # Errors
    /// If a key is missing, or the chain refuses.
    pub fn deploy(settings: &Settings, args: &DeployArgs) -> Result<()> {
        let begun = Deploying::find(settings)?;
        if begun.is_none() {
            check_absent(settings)?;
        }
        let mut access = access(settings, args.chain_id, Some(signing_key(settings)?))?;
        let (planned, keys) = plan(settings, args, &access)?;
        let deploying = match begun {
            Some(begun) => {
                let named = args.operator.as_deref();
                let fees = named.map(|name| operator(settings, Some(name)));
                begun.check(&planned, fees.transpose()?.as_ref())?;
                // Why told: a data directory can come from somebody else.
                settings.ui.note(format!(
                    "going on with the deployment that was begun here; its fees go to the wallet {}",
                    begun.address
                ));
                begun
            }
            None => {
                let fees = operator(settings, args.operator.as_deref())?;
                Deploying::begin(settings, planned, fees)?
            }
        };
        let mut block = None;
        if !settings.has_deployment() {
            let task = settings.ui.task("deploying the contract", None);
            let found = access.deploy(deploying.planned.parameters.clone(), keys)?;
            task.done();
            block = Some(found.block);
            let contract = genesis_of(&found)?.deployment().contract();
            settings.ui.note(format!("the contract is {contract}"));
            put_in_place(settings, &found, |folder, l1| {
                write_secret(&operator_file(folder), &deploying.wallet)?;
                drop(Batcher::create(folder, batcher_settings(l1)?, Vec::new())?);
                Ok(())
            })?;
        }
        let mirror = NativeL1::open(&settings.l1_file, AllowDevKeys::Yes);
        let mirror = mirror.context("cannot open the L1")?;
        deploying.check_is(mirror.deployment().parameters())?;
        drop(mirror);
        name_node(settings)?;
        access.acknowledge_deployment()?;
        drop(access);
        let mut l1 = L1::open(settings)?;
        // Why not all that are listed: anybody may list tokens, and each account is paid for.
        let mut tokens = vec![ETH];
        for token in &deploying.planned.tokens {
            tokens.push(list_token(&mut l1, *token)?);
        }
        for token in tokens {
            fee_account(settings, &mut l1, token, &deploying.public)?;
        }
        tell(settings, &l1, block)?;
        l1.acknowledge()?;
        deploying.end()
    }

    /// What the arguments ask for, with a salt, and the verifying keys.
    fn plan(
        settings: &Settings,
        args: &DeployArgs,
        access: &Access,
    ) -> Result<(Planned, BTreeMap<u16, VerifyingKey>)> {
        let shapes = shapes_by_name(&args.shape, DEFAULT_SHAPE)?;
        let (mut listed, mut ids, mut keys) = (Vec::new(), Vec::new(), BTreeMap::new());
        for shape in &shapes {
            let key = verifying_key(settings, shape)?;
            let fingerprint = Bytes(key.info().fingerprint);
            listed.push(ListedShape {
                shape: *shape,
                fingerprint,
            });
            ids.push(key.id_hex());
            keys.insert(shape.id, key);
        }
        let parameters = Parameters {
            chain_id: access.chain_id(),
            contract: None,
            salt: Bytes(random_salt()),
            operator: Operator {
                name: "operator".to_owned(),
                address: access.caller()?,
            },
            shapes: listed,
            l1_fee: Amount::parse_eth(&args.l1_fee)?.value(),
            pending_cap: args.pending_cap,
            timestamp_slack: args.timestamp_slack,
            takeover_after: args.takeover_after,
            freeze_after: args.freeze_after,
            tokens: vec![Token::eth()],
        };
        // The chain is part of a rollup's name only with its contract.
        let unnamed = Parameters {
            chain_id: 0,
            ..parameters.clone()
        };
        unnamed.check()?;
        Ok((Planned::new(parameters, ids, args.token.clone()), keys))
    }

    /// The id of a token, which the contract gets if it has it not.
    fn list_token(l1: &mut L1, token: Address) -> Result<u32> {
        let place = |l1: &L1| -> Result<Option<usize>> {
            let tokens = l1.tokens()?;
            Ok(tokens.iter().position(|listed| listed.address == token))
        };
        if place(l1)?.is_none() {
            l1.call(Call::AddToken(token))?;
        }
        let place = place(l1)?.with_context(|| format!("the chain has dropped token {token}"))?;
        if let Some(display) = l1.link.token_display(token)? {
            l1.native.keep_token_display(token, &display)?;
        }
        u32::try_from(place).context("token ids have 32 bits")
    }

    /// The operator's account that takes fees in a token, into which nothing is deposited if there is none.
    fn fee_account(
        settings: &Settings,
        l1: &mut L1,
        token: u32,
        public: &Point,
    ) -> Result<Option<u32>> {
        let deposit = Deposit {
            caller: l1.operator()?,
            token,
            amount: 0,
            key: *public,
            q: cofactor_inverse_point(public),
            fee: l1.deployment().parameters().l1_fee,
        };
        let call = Call::Deposit(&deposit);
        let there = batcher_settings(l1)?.fee_accounts.contains_key(&token);
        if l1.link.is_unacknowledged(&l1.native, call) || !there {
            l1.queue_entry(settings, call)?;
        }
        Ok(batcher_settings(l1)?.fee_accounts.get(&token).copied())
    }

    /// What `l1 add-token` prints.
    #[derive(Serialize)]
    struct Added {
        #[serde(flatten)]
        token: TokenFacts,
        address: String,
        fee_account: Option<u32>,
    }

    /// `quire l1 add-token`.
    ///
    /// # Errors
    /// If the contract refuses.
    pub fn add_token(settings: &Settings, args: &AddTokenArgs) -> Result<()> {
        let mut l1 = L1::open(settings)?;
        ensure!(
            l1.link.is_remote(),
            Fault::usage(
                "a native L1 has the tokens of its genesis: name them in `quire init --token`"
            )
        );
        let token = list_token(&mut l1, args.token)?;
        let caller = caller(&l1, settings, None)?;
        let wallet = operator_file(&settings.rollup_dir());
        let is_operator = caller == l1.operator()?;
        let fee_account = match is_operator && wallet.exists() {
            true => {
                let public = Locked::read(&wallet)?.public;
                fee_account(settings, &mut l1, token, &public)?
            }
            false => None,
        };
        let shown = Tokens::of(&l1)?.get(token);
        let facts = Added {
            token: shown.facts(),
            address: args.token.to_string(),
            fee_account,
        };
        let mut text = format!("{} is token {token}", facts.address);
        match shown.facts().decimals {
            Some(decimals) => {
                text.push_str(&format!(", shown as {shown} with {decimals} decimals"))
            }
            None => text.push_str(", which tells no decimals: its amounts are counted in units"),
        }
        if let Some(account) = fee_account {
            text.push_str(&format!("; account {account} takes fees in it"));
        }
        settings.ui.result(&facts, text)?;
        Ok(l1.acknowledge()?)
    }

    /// `quire l1 cancel`. It needs no mirror: a deployment may be what waits.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn cancel(settings: &Settings) -> Result<()> {
        let mut access = access(settings, None, Some(signing_key(settings)?))?;
        let task = settings.ui.task("taking nonces", None);
        let ended = access.cancel()?;
        task.done();
        let ended: Vec<UnacknowledgedFacts> = ended.into_iter().map(Into::into).collect();
        let mut text: String = ended.iter().map(UnacknowledgedFacts::line).collect();
        if ended.is_empty() {
            text.push_str("nothing waits");
        }
        settings.ui.result(&ended, text.trim_end())
    }

    /// The verifying key of a shape, checked to be for its circuit.
    fn verifying_key(settings: &Settings, shape: &Shape) -> Result<VerifyingKey> {
        let name = shape_name(shape);
        let path = key_path(&settings.keys_dir, &name, "vk");
        check_exists(&path, &name)?;
        let key = VerifyingKey::load(&path, settings.dev_keys)
            .with_context(|| format!("the key {} cannot be used", path.display()))?;
        key.check_origin(settings.dev_keys)?;
        key.check_origin_known()?;
        let compiled = compile(shape).with_context(|| format!("shape {name}"))?;
        key.check_circuit(&compiled.r1cs.fingerprint())?;
        Ok(key)
    }

    /// `quire l1 connect`.
    ///
    /// # Errors
    /// If there is no rollup at the address.
    pub fn connect(settings: &Settings, args: &ConnectArgs) -> Result<()> {
        if is_mirror_of(settings, args)? {
            let unused = match args.from_block {
                0 => "",
                _ => ", and --from-block is not used",
            };
            settings.ui.note(format!(
                "this directory has the contract's deployment already: nothing is made{unused}"
            ));
            return tell(settings, &L1::open(settings)?, None);
        }
        check_absent(settings)?;
        let access = access(settings, args.chain_id, None)?;
        let known = SHAPES.map(|(_, shape)| shape);
        let mut listed = Vec::new();
        for shape in access.listed(args.contract, &known)? {
            let name = shape_name(&shape);
            let task = settings
                .ui
                .task(format!("compiling the circuit of shape {name}"), None);
            let compiled = compile(&shape).with_context(|| format!("shape {name}"))?;
            task.done();
            let info = KeyInfo {
                name,
                shape: shape_bytes(&shape)?,
                fingerprint: compiled.r1cs.fingerprint(),
                origin: Origin::Unknown,
            };
            listed.push((shape, info));
        }
        let found = access.find(args.contract, &listed, args.from_block)?;
        drop(access);
        // Why first: killed between the two, the same command can be given again.
        put_in_place(settings, &found, |_, _| name_node(settings))?;
        settings.ui.note(
            "the contract's keys are taken from the chain, which does not tell how their secrets were chosen: you trust who made them",
        );
        let l1 = L1::open(settings)?;
        // Why not all: anybody may list tokens, and each is asked.
        for token in Tokens::of(&l1)?.iter().take(SHOWN) {
            learn_token(&l1, token)?;
        }
        tell(settings, &l1, Some(found.block))
    }

    /// True if an earlier command has made the mirror of this contract here, and no deployment waits to be
    /// finished.
    fn is_mirror_of(settings: &Settings, args: &ConnectArgs) -> Result<bool> {
        let is_begun = settings.deploying_dir().exists();
        if settings.l1_url.is_none() || is_begun || !settings.l1_file.exists() {
            return Ok(false);
        }
        let mirror = NativeL1::open_to_read(&settings.l1_file, AllowDevKeys::Yes);
        let mirror = mirror.map_err(|error| {
            let advice = match error.class() {
                Class::Damaged => format!(
                    "cannot open the L1; the chain has all of it: move {} away, which may hold wallets and operations too, and connect again",
                    settings.rollup_dir().display()
                ),
                _ => "cannot open the L1".to_owned(),
            };
            anyhow::Error::new(error).context(advice)
        })?;
        let parameters = mirror.deployment().parameters();
        let is_meant = args.chain_id.is_none_or(|id| id == parameters.chain_id);
        Ok(is_meant && parameters.contract == Some(args.contract))
    }

    /// Makes the mirror, and what `more` adds, in a draft folder and puts it in place whole.
    fn put_in_place(
        settings: &Settings,
        found: &Found,
        more: impl FnOnce(&Path, &NativeL1) -> Result<()>,
    ) -> Result<()> {
        make_folder(&settings.data_dir)?;
        let folder = FolderDraft::begin(&settings.rollup_dir())?;
        remove_on_interrupt(folder.path());
        let genesis = genesis_of(found)?;
        genesis.save(folder.path())?;
        let file = folder.path().join("l1.redb");
        let mirror = create_mirror(&file, &genesis, &found.keys, found.before)?;
        more(folder.path(), &mirror)?;
        drop(mirror);
        let _shield = shield();
        Ok(folder.put_new()?)
    }

    /// Makes the data directory remember its node, unless it has a configuration already.
    fn name_node(settings: &Settings) -> Result<()> {
        let file: PathBuf = settings.data_dir.join(FILE_NAME);
        let Some(url) = settings.l1_url.as_ref().filter(|_| !file.exists()) else {
            return Ok(());
        };
        let url = serde_json::to_string(url).context("cannot write the node's address")?;
        // Why not readable by others: the address may hold a password.
        write_secret(&file, format!("l1 = {url}\n").as_bytes())
    }

    fn tell(settings: &Settings, l1: &L1, block: Option<u64>) -> Result<()> {
        let deployment = l1.deployment();
        let parameters = deployment.parameters();
        let tokens = Tokens::of(l1)?;
        let names: Vec<String> = tokens
            .iter()
            .take(SHOWN)
            .map(|token| token.to_string())
            .collect();
        let more = match tokens.iter().count().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let fee_accounts = batcher_settings(l1)?.fee_accounts;
        let facts = Facts {
            data_dir: settings.data_dir.display().to_string(),
            chain_id: parameters.chain_id,
            contract: deployment.contract().to_string(),
            block,
            domain: to_hex(&l1.domain()),
            operator: l1.operator()?.to_string(),
            shapes: (parameters.shapes.iter())
                .map(|listed| shape_name(&listed.shape))
                .collect(),
            tokens: listed_tokens(&l1.tokens()?),
            fee_accounts: (fee_accounts.into_iter())
                .map(|(token, account)| FeeAccount { token, account })
                .collect(),
            l1_fee: Amount::wei(parameters.l1_fee),
            timestamp_slack: parameters.timestamp_slack,
            takeover_after: parameters.takeover_after,
            freeze_after: parameters.freeze_after,
            frozen: l1.head()?.frozen,
            state_root: to_hex(&l1.head()?.root),
        };
        let block = block.map_or(String::new(), |block| format!(", block {block}"));
        let text = format!(
            "contract     {} on chain {}{block}\ndirectory    {}\noperator     {}\nshapes       {}\n\
             tokens       {}{more}\nL1 fee       {}\nstate root   {}\n{}\
             go on with `quire wallet new NAME` and `quire deposit --wallet NAME --amount A --eth-key-file F`",
            facts.contract,
            facts.chain_id,
            facts.data_dir,
            facts.operator,
            facts.shapes.join(", "),
            names.join(", "),
            facts.l1_fee,
            facts.state_root,
            duties(&facts),
        );
        settings.ui.result(&facts, text)
    }
}
