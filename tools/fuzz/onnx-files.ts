/** ONNX files: fields of the protobuf dropped, doubled, moved and set to extremes; lengths stay right. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Random } from '../../src/images/random.js';
import { importModel } from '../../src/importer/index.js';
import { changeBytes, pick, type Recipe, type Target } from './target.js';

/** The smallest files of the zoos, so that many are tried. */
const MAX_BASE_BYTES = 200_000;

/** One field of a message: a number, bytes, or a message again. */
interface Field {
  readonly tag: number;
  value: bigint | Uint8Array | Field[];
}

const VALUES = [
  0n,
  1n,
  2n,
  3n,
  7n,
  8n,
  16n,
  255n,
  2n ** 16n,
  2n ** 24n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 62n,
].flatMap((value) => [value, BigInt.asUintN(64, -value)]);

export function onnxTarget(...zoos: readonly string[]): Target {
  const bases = zoos
    .flatMap((zoo) => readdirSync(zoo).map((name) => path.join(zoo, name)))
    .filter((file) => file.endsWith('.onnx.gz'))
    .map((file) => new Uint8Array(gunzipSync(readFileSync(file))))
    .filter((bytes) => bytes.length < MAX_BASE_BYTES);
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-fuzz-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return {
    name: 'onnx',
    bases: bases.length,
    make: ({ base, steps }: Recipe) =>
      steps.reduce<Uint8Array>((bytes, step) => changeFile(bytes, new Random(step)), bases[base]),
    async use(bytes) {
      const file = path.join(folder, 'model.onnx');
      writeFileSync(file, bytes);
      await importModel(file);
      return true;
    },
  };
}

function changeFile(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.integer(6) === 0) return changeBytes(bytes, random);
  const fields = parse(bytes, 0);
  if (fields === null || fields.length === 0) return changeBytes(bytes, random);
  changeFields(fields, random);
  return encode(fields);
}

function changeFields(root: Field[], random: Random): void {
  let fields = root;
  let field = pick(random, fields);
  while (Array.isArray(field.value) && field.value.length > 0 && random.integer(8) > 0) {
    fields = field.value;
    field = pick(random, fields);
  }
  const at = fields.indexOf(field);
  switch (random.integer(5)) {
    case 0:
      fields.splice(at, 1);
      return;
    case 1:
      fields.splice(random.integer(fields.length + 1), 0, { ...field });
      return;
    case 2:
      field.value = pick(random, fields).value;
      return;
    default:
      if (typeof field.value === 'bigint') field.value = pick(random, VALUES);
      else if (field.value instanceof Uint8Array) field.value = changeBytes(field.value, random);
      else fields.splice(at, 1, pick(random, fields));
  }
}

/** Most nesting that is looked into; strings that happen to read as messages are taken for them. */
const MAX_DEPTH = 8;
/** Weights are left whole. */
const MAX_MESSAGE = 100_000;

function parse(bytes: Uint8Array, depth: number): Field[] | null {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint | null => {
    let value = 0n;
    for (let shift = 0n; at < bytes.length && shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    return null;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === null || tag < 8n || tag > 8000n) return null;
    const wire = Number(tag & 7n);
    if (wire === 0) {
      const value = varint();
      if (value === null) return null;
      fields.push({ tag: Number(tag), value });
      continue;
    }
    const length = wire === 1 ? 8n : wire === 5 ? 4n : wire === 2 ? varint() : null;
    if (length === null || BigInt(at) + length > BigInt(bytes.length)) return null;
    const part = bytes.subarray(at, (at += Number(length)));
    const inner =
      wire === 2 && depth < MAX_DEPTH && (depth === 0 || part.length < MAX_MESSAGE) ? parse(part, depth + 1) : null;
    fields.push({ tag: Number(tag), value: inner ?? part });
  }
  return fields;
}

function encode(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { tag, value } of fields) {
    parts.push(encodeVarint(BigInt(tag)));
    if (typeof value === 'bigint') {
      parts.push(encodeVarint(value));
      continue;
    }
    const content = value instanceof Uint8Array ? value : encode(value);
    if ((tag & 7) === 2) parts.push(encodeVarint(BigInt(content.length)));
    parts.push(content);
  }
  return Buffer.concat(parts);
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
