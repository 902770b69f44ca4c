#!/usr/bin/env python3
"""Asks cvc5 whether small gadgets say what they should, over BN254's scalar field.

    python3 -m venv venv && venv/bin/pip install cvc5-gpl==1.4.2
    cargo run --release -p interop --example gadgets -- gadgets
    venv/bin/python tests/interop/solve.py gadgets

The package `cvc5` has no solver for finite fields (CoCoA is GPL); `cvc5-gpl` has. The files are read
here a second time, independently of the Rust reader. Public inputs are shared by both copies of a
system, all else is theirs; a constraint a*b = c is asserted as it stands.
"""
import multiprocessing
import struct
import sys
import time
from pathlib import Path

import cvc5
from cvc5 import Kind

PRIME = 21888242871839275222246405745257275088548364400416034343698204186575808495617
SECONDS = 60


def read(path):
    """Wires, number of public wires (1 included), constraints as lists of (wire, coefficient)."""
    data = path.read_bytes()
    assert data[:8] == b"r1cs\x01\0\0\0", path
    at, sections = 12, {}
    for _ in range(struct.unpack_from("<I", data, 8)[0]):
        number, size = struct.unpack_from("<IQ", data, at)
        sections[number] = data[at + 12 : at + 12 + size]
        at += 12 + size
    header = sections[1]
    assert int.from_bytes(header[4:36], "little") == PRIME
    wires, outputs, inputs, _, _, count = struct.unpack_from("<IIIIQI", header, 36)
    body, at, rows = sections[2], 0, []
    for _ in range(count):
        row = []
        for _ in range(3):
            (terms,) = struct.unpack_from("<I", body, at)
            at += 4
            combination = []
            for _ in range(terms):
                (wire,) = struct.unpack_from("<I", body, at)
                value = int.from_bytes(body[at + 4 : at + 36], "little")
                combination.append((wire, value))
                at += 36
            row.append(combination)
        rows.append(row)
    assert at == len(body)
    return wires, 1 + outputs + inputs, rows


class System:
    def __init__(self):
        self.terms = cvc5.TermManager()
        self.solver = cvc5.Solver(self.terms)
        self.solver.setLogic("QF_FF")
        self.sort = self.terms.mkFiniteFieldSort(str(PRIME))

    def constant(self, value):
        return self.terms.mkFiniteFieldElem(str(value), self.sort)

    def wire(self, name):
        return self.terms.mkConst(self.sort, name)

    def combination(self, terms, wires):
        parts = [
            self.terms.mkTerm(Kind.FINITE_FIELD_MULT, self.constant(value), wires[wire])
            for wire, value in terms
        ]
        if not parts:
            return self.constant(0)
        return parts[0] if len(parts) == 1 else self.terms.mkTerm(Kind.FINITE_FIELD_ADD, *parts)

    def equal(self, left, right):
        return self.terms.mkTerm(Kind.EQUAL, left, right)

    def hold(self, rows, wires):
        for row in rows:
            a, b, c = (self.combination(terms, wires) for terms in row)
            product = self.terms.mkTerm(Kind.FINITE_FIELD_MULT, a, b)
            self.solver.assertFormula(self.equal(product, c))


def ask(path, question):
    count, public, rows = read(path)
    system = System()
    first = [system.constant(1)] + [system.wire(f"w{i}") for i in range(1, count)]
    system.hold(rows, first)
    if question != "impossible":
        second = first[:public] + [system.wire(f"v{i}") for i in range(public, count)]
        system.hold(rows, second)
        same = system.equal(first[-1], second[-1])
        system.solver.assertFormula(system.terms.mkTerm(Kind.NOT, same))
    return str(system.solver.checkSat())


def ask_within(path, question):
    """The answer, from a process that can be stopped: the solver does not look at the clock."""
    with multiprocessing.Pool(1) as pool:
        try:
            return pool.apply_async(ask, (path, question)).get(SECONDS)
        except multiprocessing.TimeoutError:
            return "no answer"


def main(folder):
    wrong = asked = 0
    for question, expected in [("unique", "unsat"), ("impossible", "unsat"), ("planted", "sat")]:
        for path in sorted((Path(folder) / question).glob("*.r1cs")):
            start = time.monotonic()
            got = ask_within(path, question)
            verdict = "as it should be" if got == expected else f"WRONG, expected {expected}"
            print(f"{question}/{path.stem}: {got}, {verdict} ({time.monotonic() - start:.1f} s)", flush=True)
            asked += 1
            wrong += got != expected
    sys.exit(1 if wrong or not asked else 0)


if __name__ == "__main__":
    main(sys.argv[1])
