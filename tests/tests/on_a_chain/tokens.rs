//! What ERC-20s say of themselves, honest and hostile.

use l1::Address;
use l1::bytes::Bytes;
use serde_json::json;

use crate::Life;

/// Code of a contract that answers `decimals()` with a number and everything else with these bytes.
fn token(returned: &[u8], decimals: u8) -> Vec<u8> {
    let length = u8::try_from(returned.len()).unwrap();
    let code = [
        // The selector; to 0x1c if it is that of decimals().
        &[0x60, 0x00, 0x35, 0x60, 0xe0, 0x1c, 0x80][..],
        &[0x63, 0x31, 0x3c, 0xe5, 0x67, 0x14, 0x60, 0x1c, 0x57],
        // The bytes behind the code.
        &[0x60, length, 0x60, 0x27, 0x60, 0x00, 0x39],
        &[0x60, length, 0x60, 0x00, 0xf3],
        &[
            0x5b, 0x60, decimals, 0x60, 0x00, 0x52, 0x60, 0x20, 0x60, 0x00, 0xf3,
        ],
    ]
    .concat();
    assert_eq!(code.len(), 0x27);
    [&code[..], returned].concat()
}

/// A string as contracts return it, of a length that need not be its own.
fn string(text: &str, length: u8) -> Vec<u8> {
    let mut returned = vec![0; 64];
    (returned[31], returned[63]) = (0x20, length);
    returned.extend_from_slice(text.as_bytes());
    returned.resize(64 + text.len().next_multiple_of(32), 0);
    returned
}

#[test]
fn tokens_say_what_they_are_called_and_lies_are_nothing() {
    let life = Life::begin(0);
    let mut short = [0; 32];
    short[..3].copy_from_slice(b"MKR");
    let endless = vec![0x5b, 0x60, 0x00, 0x56];
    let good = string("USDC", 4);
    type Case = (&'static str, Vec<u8>, Option<&'static str>, Option<u8>);
    let cases: [Case; 9] = [
        ("a string", token(&good, 6), Some("USDC"), Some(6)),
        ("32 bytes", token(&short, 18), Some("MKR"), Some(18)),
        ("ETH", token(&string("ETH", 3), 18), None, Some(18)),
        (
            "a long one",
            token(&string(&"A".repeat(64), 64), 6),
            None,
            Some(6),
        ),
        (
            "a lying length",
            token(&string("USDC", 200), 6),
            None,
            Some(6),
        ),
        (
            "controls",
            token(&string("US\u{1b}[2J", 6), 6),
            None,
            Some(6),
        ),
        ("too many decimals", token(&good, 78), Some("USDC"), None),
        ("an endless loop", endless, None, None),
        ("no code", Vec::new(), None, None),
    ];
    for (number, (what, code, symbol, decimals)) in (1u8..).zip(cases) {
        let address: Address = Bytes([number; 20]);
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        life.control("anvil_setCode", json!([address, format!("0x{hex}")]));
        life.rollup
            .link
            .learn_token(&life.rollup.l1, address)
            .unwrap();
        let display = life.rollup.l1.token_display(address).unwrap().unwrap();
        assert_eq!(
            (display.symbol(), display.decimals()),
            (symbol, decimals),
            "{what}"
        );
    }
    // What was said first stays, and what is said now is known.
    let address: Address = Bytes([1; 20]);
    let other = token(&string("DAI", 3), 18);
    let hex: String = other.iter().map(|byte| format!("{byte:02x}")).collect();
    life.control("anvil_setCode", json!([address, format!("0x{hex}")]));
    life.rollup
        .link
        .learn_token(&life.rollup.l1, address)
        .unwrap();
    let display = life.rollup.l1.token_display(address).unwrap().unwrap();
    assert_eq!(
        (display.symbol(), display.decimals()),
        (Some("USDC"), Some(6))
    );
    let said = life.rollup.link.token_display(address).unwrap().unwrap();
    assert_eq!(said.to_string(), "DAI with 18 decimals");
}
