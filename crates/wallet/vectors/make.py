"""Wallet files made without this project's code, as test vectors of the format.

    python3 -m venv venv && venv/bin/pip install argon2-cffi==25.1.0 pycryptodome==4.4.0 blake3==1.0.11
    venv/bin/python make.py ../../ledger/tests/vectors/eddsa_poseidon.json

Private and public keys are circomlibjs's, from the vectors that are named. `wallets.json` lists each
file with its passphrase and its key, or with the fault that a reader must report.
"""

import copy
import json
import sys
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from Crypto.Cipher import ChaCha20_Poly1305

HERE = Path(__file__).parent
CASES = json.loads(Path(sys.argv[1]).read_text())["cases"]
PASSPHRASE = "correct horse battery staple"


def address(public):
    context = "quire 1 native L1 address"
    return blake3(public, derive_key_context=context).digest(20)


def plain(case):
    public = bytes.fromhex(case["public_key_packed_hex"])
    return {
        "version": 1,
        "public_key": public.hex(),
        "address": "0x" + address(public).hex(),
        "private_key": case["private_key_hex"],
    }


def encrypted(case, passphrase, memory_kib, passes, lanes, salt, nonce):
    public = bytes.fromhex(case["public_key_packed_hex"])
    numbers = b"".join(n.to_bytes(4, "big") for n in (memory_kib, passes, lanes))
    bound = b"quire wallet 2" + public + address(public) + numbers
    key = hash_secret_raw(
        passphrase.encode(), salt, passes, memory_kib, lanes, 32, Type.ID, version=0x13
    )
    cipher = ChaCha20_Poly1305.new(key=key, nonce=nonce)
    cipher.update(bound)
    ciphertext, tag = cipher.encrypt_and_digest(bytes.fromhex(case["private_key_hex"]))
    return {
        "version": 2,
        "public_key": public.hex(),
        "address": "0x" + address(public).hex(),
        "crypto": {
            "kdf": "argon2id",
            "memory_kib": memory_kib,
            "passes": passes,
            "lanes": lanes,
            "salt": salt.hex(),
            "cipher": "xchacha20poly1305",
            "nonce": nonce.hex(),
            "ciphertext": (ciphertext + tag).hex(),
        },
    }


def changed(file, **fields):
    file = copy.deepcopy(file)
    for name, value in fields.items():
        place = file["crypto"] if name in file.get("crypto", {}) else file
        if value is None:
            del place[name]
        else:
            place[name] = value
    return file


def flipped(digits):
    return digits[:-1] + ("0" if digits[-1] != "0" else "1")


def main():
    alice, bob = CASES[0], CASES[1]
    salt, nonce = bytes(range(16)), bytes(range(100, 124))
    light = encrypted(alice, PASSPHRASE, 1 << 10, 1, 1, salt, nonce)
    crypto = light["crypto"]
    good = {
        "plain": (plain(alice), None, alice),
        "light": (light, PASSPHRASE, alice),
        "standard": (
            encrypted(bob, "pässword", 1 << 16, 3, 1, salt[::-1], nonce[::-1]),
            "pässword",
            bob,
        ),
        "lanes": (encrypted(bob, "p", 1 << 11, 2, 4, salt, nonce), "p", bob),
    }
    damaged = {
        "wrong-passphrase": (light, "incorrect", "Passphrase"),
        "salt": (changed(light, salt=flipped(crypto["salt"])), PASSPHRASE, "Passphrase"),
        "nonce": (changed(light, nonce=flipped(crypto["nonce"])), PASSPHRASE, "Passphrase"),
        "ciphertext": (
            changed(light, ciphertext=flipped(crypto["ciphertext"])),
            PASSPHRASE,
            "Passphrase",
        ),
        "passes": (changed(light, passes=2), PASSPHRASE, "Passphrase"),
        "other-public-key-and-address": (
            changed(
                light, public_key=plain(bob)["public_key"], address=plain(bob)["address"]
            ),
            PASSPHRASE,
            "Passphrase",
        ),
        "short-salt": (changed(light, salt="00"), PASSPHRASE, "Digits"),
        "nonce-not-hex": (changed(light, nonce="zz" * 24), PASSPHRASE, "Digits"),
        "memory": (changed(light, memory_kib=2**32 - 1), None, "Costs"),
        "work": (changed(light, memory_kib=1 << 20, passes=32), None, "Costs"),
        "no-lanes": (changed(light, lanes=0), None, "Costs"),
        "other-kdf": (changed(light, kdf="scrypt"), None, "Algorithms"),
        "other-cipher": (changed(light, cipher="aes-256-gcm"), None, "Algorithms"),
        "other-address": (
            changed(light, address=plain(bob)["address"]),
            None,
            "OtherAddress",
        ),
        "other-private-key": (
            changed(plain(alice), private_key=bob["private_key_hex"]),
            None,
            "OtherKey",
        ),
        "odd-private-key": (changed(plain(alice), private_key="0"), None, "PrivateKey"),
        "public-key-digits": (changed(light, public_key="00"), None, "PublicKeyDigits"),
        "not-a-point": (changed(light, public_key="ff" * 32), None, "PublicKey"),
        "version": (changed(light, version=3), None, "Version"),
        "plain-version-encrypted": (changed(light, version=1), None, "Fields"),
        "both": (changed(light, private_key=alice["private_key_hex"]), None, "Fields"),
        "no-address": (changed(light, address=None), None, "NotAWallet"),
        "one-field-more": (changed(light, comment="x"), None, "NotAWallet"),
    }
    listed = {
        "made_with": "make.py: argon2-cffi, pycryptodome and blake3 of Python; keys of circomlibjs",
        "good": [],
        "damaged": [],
    }
    for name, (file, passphrase, case) in good.items():
        text = json.dumps(file, indent=2) + "\n"
        (HERE / f"{name}.json").write_text(text)
        entry = {"file": f"{name}.json", "passphrase": passphrase}
        entry["private_key"] = case["private_key_hex"]
        entry["public_key"] = case["public_key_packed_hex"]
        entry["address"] = plain(case)["address"]
        listed["good"].append(entry)
    for name, (file, passphrase, fault) in damaged.items():
        entry = {"name": name, "passphrase": passphrase, "fault": fault, "wallet": file}
        listed["damaged"].append(entry)
    text = json.dumps(listed, indent=1, ensure_ascii=False) + "\n"
    (HERE / "wallets.json").write_text(text)


main()
