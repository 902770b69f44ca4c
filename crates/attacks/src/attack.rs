//! An attack, what the circuit says to it, and the rules that have none.

use std::collections::BTreeSet;

use crate::bench::{Pair, Workbench};

/// A forgery with its story.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Short and stable: what `quire attack run` takes.
    pub name: &'static str,
    /// The rule it breaks, as its path in [`RuleMap`](circuits::num::RuleMap).
    pub rule: &'static str,
    /// Rows of the attack list in `docs/soundness.md`; may be empty.
    pub rows: &'static [&'static str],
    /// What would happen without the rule: who loses what.
    pub story: &'static str,
    /// Makes the two witnesses.
    pub make: fn(&Workbench) -> Pair,
}

/// Rules that no witness can break alone, each with the reason.
pub const UNBREAKABLE_ALONE: [(&str, &str); 2] = [
    (
        "transfer/sender/signature_is_valid/variable_base/step_is_not_exceptional",
        EXCEPTIONAL,
    ),
    (
        "withdraw/sender/signature_is_valid/variable_base/step_is_not_exceptional",
        EXCEPTIONAL,
    ),
];

const EXCEPTIONAL: &str = "implied: the first exceptional step has a vertical second chord, \
                           0·slope = 2v with v ≠ 0, which no witness satisfies";

/// What the circuit says to an attack.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Rules that the honest neighbour violates: none, or the attack is badly made.
    pub neighbour: BTreeSet<String>,
    /// Rules that the forgery violates.
    pub violated: BTreeSet<String>,
    /// Whether the neighbour is accepted and the forgery violates its rule and no other; and, where
    /// a number is beyond its range, whether it is refused as it is.
    pub caught: bool,
}

impl Workbench {
    pub fn run(&self, attack: &Attack) -> Verdict {
        let pair = (attack.make)(self);
        let neighbour = self.violated(&pair.honest);
        let violated = self.violated(&pair.forged);
        let alone = !violated.is_empty() && violated.iter().all(|rule| rule == attack.rule);
        let in_range =
            (pair.forged.beyond()).is_none_or(|(_, beyond)| !self.violated(&beyond).is_empty());
        Verdict {
            caught: neighbour.is_empty() && alone && in_range,
            neighbour,
            violated,
        }
    }

    /// Rules without an attack, those of [`UNBREAKABLE_ALONE`] left out.
    pub fn rules_without(&self, attacks: &[Attack]) -> Vec<String> {
        let known = |rule: &String| {
            attacks.iter().any(|attack| attack.rule == *rule)
                || UNBREAKABLE_ALONE.iter().any(|(path, _)| path == rule)
        };
        self.rules()
            .into_iter()
            .filter(|rule| !known(rule))
            .collect()
    }
}

/// Two attacks, on the paying side of a transfer and of a withdrawal; `$rule` is the path below
/// that side, with its slash.
macro_rules! both_sides {
    ($name:literal, $rule:literal, $rows:expr, $story:literal, $make:path) => {
        [
            $crate::attack::Attack {
                name: concat!("transfer-", $name),
                rule: concat!("transfer/sender", $rule),
                rows: &$rows,
                story: $story,
                make: |bench| $make(bench, $crate::world::Side::Transfer),
            },
            $crate::attack::Attack {
                name: concat!("withdrawal-", $name),
                rule: concat!("withdraw/sender", $rule),
                rows: &$rows,
                story: $story,
                make: |bench| $make(bench, $crate::world::Side::Withdrawal),
            },
        ]
    };
}
pub(crate) use both_sides;
