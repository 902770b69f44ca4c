//! The meaning of error messages that nodes spell in their own words: limits, reverted calls, refused transactions.

/// What it means that a node refuses a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No node takes it as long as the state is the same.
    Final,
    /// A higher fee may help.
    Fee,
    /// The words are not known: perhaps a node has it all the same.
    Unclear,
}

/// True if the node limits the number of requests, so that the same request may succeed later. A limit on the size
/// of one answer is not meant.
pub(crate) fn is_limit(code: i64, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let too_much = ["result", "range", "blocks", "response size"];
    let (too_much, limit) = (
        too_much.iter().any(|word| message.contains(word)),
        message.contains("rate limit") || message.contains("too many requests"),
    );
    code == 429 || limit || (code == -32005 && !too_much)
}

/// True if the message says that a call reverted.
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

/// A message in small letters without spaces: nodes spell the same words in several ways.
fn squeezed(message: &str) -> String {
    let words = message.split_whitespace();
    words.collect::<String>().to_ascii_lowercase()
}

pub(crate) fn is_known(message: &str) -> bool {
    let message = squeezed(message);
    message.contains("alreadyknown") || message.contains("alreadyimported")
}

/// The meaning of a message for a refused transaction. Words that are not known may be those of a gateway whose
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
