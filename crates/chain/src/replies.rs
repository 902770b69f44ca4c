//! What a node's own words mean: limits, reverted calls, refused transactions.

/// What a node's refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Waiting does not help.
    Final,
    /// A higher fee helps.
    Fee,
    /// Perhaps a node has it all the same.
    Unclear,
}

/// True if the node says that it was asked too much, and to come back later. What it says of one
/// question that asks for too much is an answer.
pub(crate) fn is_limit(code: i64, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let too_much = ["result", "range", "blocks", "response size"];
    let (too_much, limit) = (
        too_much.iter().any(|word| message.contains(word)),
        message.contains("rate limit") || message.contains("too many requests"),
    );
    code == 429 || limit || (code == -32005 && !too_much)
}

/// True if the words are those of nodes for a call that reverted.
pub(crate) fn is_revert(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["revert", "invalid opcode", "out of gas"]
        .iter()
        .any(|word| message.contains(word))
}

/// The returned bytes in a node's words: the last run of `0x` and hexadecimal digits in quotes.
pub(crate) fn revert_data(message: &str) -> Option<Vec<u8>> {
    let start = message.rfind("\"0x")?;
    let digits = message[start + 3..].split('"').next()?;
    hex::decode(digits).ok()
}

/// A node's words in small letters without spaces: nodes spell them in several ways.
fn squeezed(message: &str) -> String {
    let words = message.split_whitespace();
    words.collect::<String>().to_ascii_lowercase()
}

pub(crate) fn is_known(message: &str) -> bool {
    let message = squeezed(message);
    message.contains("alreadyknown") || message.contains("alreadyimported")
}

/// What a node's words for a refused transaction mean. Words that are not known may be a gateway's, whose
/// node has the transaction.
pub(crate) fn meaning(message: &str) -> Refusal {
    let message = squeezed(message);
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let fee = ["underpriced", "lessthanblockbasefee", "feecap", "feetoolow"];
    let never = [
        "insufficientfunds",
        "intrinsicgas",
        "exceedsblockgaslimit",
        "gaslimittoohigh",
        "oversizeddata",
        "initcodesize",
        "invalidsender",
        "invalidchainid",
        "typenotsupported",
    ];
    match (has(&never), has(&fee)) {
        (true, _) => Refusal::Final,
        (false, true) => Refusal::Fee,
        (false, false) => Refusal::Unclear,
    }
}
