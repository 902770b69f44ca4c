//! Why the contract refuses a call: its errors, decoded, and what to do.

use l1::evm::abi;
use l1::evm::artifacts::ROLLUP;
use serde::Deserialize;

#[derive(Deserialize)]
struct Abi {
    abi: Vec<AbiItem>,
}

#[derive(Deserialize)]
struct AbiItem {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<AbiInput>,
}

#[derive(Deserialize)]
struct AbiInput {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The contract's error in words, with advice.
pub(crate) fn reason(returned: &Result<Vec<u8>, String>) -> String {
    let bytes = match returned {
        Ok(bytes) => bytes,
        Err(words) => return words.clone(),
    };
    let (selector, data) = bytes.split_at(bytes.len().min(4));
    let abi: Abi = serde_json::from_str(ROLLUP.json).expect("the committed artifact has an ABI");
    let errors = abi.abi.iter().filter(|item| item.kind == "error");
    for error in errors {
        let types: Vec<&str> = error
            .inputs
            .iter()
            .map(|input| input.kind.as_str())
            .collect();
        let signature = format!("{}({})", error.name, types.join(","));
        if abi::selector(&signature) != selector {
            continue;
        }
        let values = error.inputs.iter().zip(data.chunks_exact(32));
        let shown: Vec<String> = values.map(|(input, word)| shown(input, word)).collect();
        let mut text = error.name.clone();
        if !shown.is_empty() {
            text.push_str(&format!(" ({})", shown.join(", ")));
        }
        return match advice(&error.name) {
            "" => text,
            advice => format!("{text}: {advice}"),
        };
    }
    match bytes.is_empty() {
        true => {
            "it gives no reason; a token that refuses, or a balance that is too small".to_owned()
        }
        false => format!(
            "it returns 0x{}",
            hex::encode(&bytes[..bytes.len().min(68)])
        ),
    }
}

fn shown(input: &AbiInput, word: &[u8]) -> String {
    let digits = hex::encode(word);
    let digits = digits.trim_start_matches('0');
    let value = match input.kind.as_str() {
        "address" => format!("0x{}", hex::encode(&word[12..])),
        _ => match u128::from_str_radix(digits, 16) {
            Ok(number) => number.to_string(),
            Err(_) if digits.is_empty() => "0".to_owned(),
            Err(_) => format!("0x{digits}"),
        },
    };
    format!("{} {value}", input.name)
}

/// Advice on an error of the contract.
fn advice(name: &str) -> &'static str {
    match name {
        "NotOperator" => "only the operator may do this: use its Ethereum key",
        "NotPlainAccount" => "use an account without code, which signs the transaction itself",
        "NotOpen" => {
            "only the operator may submit batches, as long as the queue does not wait too long; `quire l1 status` says from when on anybody may"
        }
        "OperatorsHour" => {
            "the operator has returned and is alone until then; try again afterwards"
        }
        "OverdueLeftBehind" => {
            "queue entries are overdue: take as many of them as the shape has L1 slots"
        }
        "NothingToReturnTo" => "batches are the operator's alone: submit them",
        "ReturnTooSoon" => "until then submit as anybody may",
        "OfferedToItself" => "offer the operator role to another address",
        "NotOffered" => "the operator has to offer its role to this address first",
        "Starved" => "the transaction needs more gas; nothing is said about the proof",
        "IsFrozen" => "the rollup is frozen for good: leave with `quire exit plan`",
        "NotFrozen" => "ask for an exit through the queue; after the deadline `quire freeze`",
        "Unregistered" => "give the index that the deposit returned",
        "NotOwner" => "use the Ethereum key of the account's owner",
        "ExitIsPending" => "the account's exit waits in the queue already",
        "TooManyPending" => "wait until a batch has consumed some of the queue",
        "WrongBatchNumber" => {
            "another batch was final first: another operator may be at work; run the command again to follow the chain"
        }
        "BadTimestamp" => "the batch is too old or too young for the chain; run `quire run` again",
        "NothingToClaim" => "a withdrawal is claimable once its batch is final",
        "QueueEmpty" => {
            "nothing waits, so nobody can freeze; `quire exit request` puts something there"
        }
        "NotOverdue" => "the operator still has time; wait until the deadline",
        "AlreadyExited" => "the account has left before",
        "NotInTree" | "OtherToken" => "make the plan again with `quire exit plan`",
        "TokenFailed" => "the token refuses the payment: check balance and approval",
        _ => "",
    }
}
