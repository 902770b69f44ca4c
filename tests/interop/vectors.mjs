// Prints crates/interop/tests/all/vectors.json: what snarkjs' curve library makes of hashes.
// Run in this folder after `npm ci`: node vectors.mjs > ../../crates/interop/tests/all/vectors.json
import { createHash } from "node:crypto";
import { buildBn128, ChaCha } from "ffjavascript";

const curve = await buildBn128(true);

// Eight big-endian words seed a stream.
function stream(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return new ChaCha(Array.from({ length: 8 }, (_, word) => view.getUint32(4 * word)));
}

function pointInG2(byte) {
  const point = curve.G2.toAffine(curve.G2.fromRng(stream(new Uint8Array(64).fill(byte))));
  const [x, y] = curve.G2.toObject(point);
  return { byte, point: [...x, ...y].map(String) };
}

const value = "01020304";
let hash = Buffer.from(value, "hex");
for (let i = 0; i < 1 << 10; i++) hash = createHash("sha256").update(hash).digest();
const random = stream(Uint8Array.from(hash));
const secret = curve.Fr.toObject(curve.Fr.fromRng(random));
const s = curve.G1.toObject(curve.G1.toAffine(curve.G1.fromRng(random)));

const vectors = {
  hash_to_g2: [0, 1, 7, 170, 255].map(pointInG2),
  beacon: { value, secret: String(secret), s: s.slice(0, 2).map(String) },
};
console.log(JSON.stringify(vectors, null, 2));
process.exit(0);
