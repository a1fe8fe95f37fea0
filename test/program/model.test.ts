/* eslint-disable @typescript-eslint/no-explicit-any -- outlines are damaged in ways that no type allows */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { decodeContainer, encodeContainer } from '../../src/program/container.js';
import { decodeWeights, type Coding } from '../../src/program/codebook.js';
import { Random } from '../../src/images/random.js';
import { FORMAT_VERSION, decodeModel, encodeModel } from '../../src/program/model.js';
import type { IvitModel } from '../../src/program/model.js';
import type { LinearOp, Op } from '../../src/program/types.js';
import { packWeights, packedLength, unpackWeights } from '../../src/program/pack.js';
import { codedWeights } from './coded.js';
import { tinyModel, tinyIbertProgram, tinyPaperProgram, tinyProductProgram, tinyProgram } from './tiny.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const encode = (model: IvitModel) => encodeModel(model, sha256);
const decode = (bytes: Uint8Array) => decodeModel(bytes, sha256);

/** What reading a model gives: the model, and the hash that stands in its file. */
const stored = (model: IvitModel, bytes: Uint8Array) => ({
  ...model,
  formatVersion: FORMAT_VERSION,
  hash: decodeContainer(bytes).metadata.get('hash'),
});

/** The one-line reason for which bytes are refused; fails where they are accepted or another error comes. */
function refusal(bytes: Uint8Array): string {
  try {
    decode(bytes);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).not.toMatch(/[\n\r]/);
    return error.message;
  }
  throw new Error('the file was accepted');
}

/** The file again with changed metadata and tensors, and with a valid hash. */
function rebuilt(
  bytes: Uint8Array,
  change: (
    metadata: Map<string, string>,
    tensors: Map<string, { dtype: 'I8' | 'I32' | 'I64' | 'I16' | 'U8'; shape: number[]; data: Uint8Array }>,
  ) => void,
): Uint8Array {
  const container = decodeContainer(bytes);
  const metadata = new Map(container.metadata);
  const tensors = new Map(
    [...container.tensors].map(([name, t]) => [
      name,
      { ...t, shape: [...t.shape], data: t.data.slice() as unknown as Uint8Array },
    ]),
  );
  change(metadata, tensors);
  metadata.set('hash', `sha256:${'0'.repeat(64)}`);
  const changed = encodeContainer({ metadata, tensors });
  const at = Buffer.from(changed).indexOf('"hash":"sha256:') + '"hash":"sha256:'.length;
  changed.set(Buffer.from(sha256(changed)), at);
  return changed;
}

describe('round trip', () => {
  test.each([
    ['a model', tinyProgram],
    ['a model with the published kernels', tinyPaperProgram],
    ["a model with I-BERT's kernels", tinyIbertProgram],
    ['a model with products', tinyProductProgram],
  ])('%s comes back equal, with the same bytes and the same logits', async (_, programOf) => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.uint8Array({ minLength: 192, maxLength: 192 }), async (seed, pixels) => {
        const model = tinyModel(programOf(seed));
        const bytes = encode(model);
        const read = decode(bytes);
        expect(read).toEqual(stored(model, bytes));
        expect(encode(read)).toEqual(bytes);
        const logits = await createReferenceEngine(model.program).run(pixels);
        expect(await createReferenceEngine(read.program).run(pixels)).toEqual(logits);
      }),
      { numRuns: 20 },
    );
  });

  test('labels may be absent, and hold any text', () => {
    expect(decode(encode({ ...tinyModel(), labels: null })).labels).toBeNull();
    const labels = ['"hash":"sha256:', '\u2028 \u{1F431}', ''];
    expect(decode(encode({ ...tinyModel(), labels })).labels).toEqual(labels);
  });

  test('8-bit weights are views on the file', () => {
    const bytes = encode(tinyModel());
    const linear = decode(bytes).program.ops.filter((op) => op.op === 'linear');
    const isView = (data: object): boolean => (data as Int8Array).buffer === bytes.buffer;
    // fc1 and fc2 are packed.
    expect(linear.map(({ weight }) => isView(weight))).toEqual(linear.map(({ weightBits }) => weightBits === 8));
    expect(linear.filter(({ weightBits }) => weightBits < 8).length).toBe(2);
  });

  const goldenFile = (name: string): Uint8Array => new Uint8Array(readFileSync(path.join(import.meta.dirname, name)));

  test('the golden file reads as the model it was made from', () => {
    const golden = goldenFile('golden.ivit');
    expect(decode(golden)).toEqual(stored(tinyModel(), golden));
    expect(encode(tinyModel())).toEqual(golden);
  });

  test('so does one of version 3, whose tensors are as wide as their fields', () => {
    const golden = goldenFile('golden-3.ivit');
    expect(decode(golden)).toEqual({ ...stored(tinyModel(), golden), formatVersion: 3 });
    expect(golden.length).toBeGreaterThan(encode(tinyModel()).length);
  });

  test('a tensor may be of any narrower signed type', () => {
    const wide = rebuilt(goldenFile('golden-3.ivit'), (metadata) => void metadata.set('version', '4'));
    expect(decode(wide).program).toEqual(tinyModel().program);
  });
});

describe('weights that layers share', () => {
  /** A second layer with the weights of `proj`, of so many bits. */
  const sharing = (weightBits = 8): IvitModel => {
    const tiny = tinyProgram();
    const before = tiny.ops.find(({ name }) => name === 'proj') as LinearOp;
    const proj: LinearOp = { ...before, weightBits, weight: before.weight.map((w) => w % 2 ** (weightBits - 1)) };
    const ops = tiny.ops.map((op) => (op === before ? proj : op));
    const weightsOf = ops.indexOf(proj);
    const twin: Op = { ...proj, name: 'twin', weightsOf, bias: proj.bias.map((b) => -b), residual: null };
    const sum: Op = { op: 'add', name: 'sum', rows: 5, cols: 8, out: { type: 'i32' }, a: ops.length + 1, b: 14 };
    const pool: Op = {
      ...(ops.find((op) => op.op === 'meanRows') as Extract<Op, { op: 'meanRows' }>),
      name: 'pool2',
      x: ops.length + 2,
    };
    const head = [ops.at(-2), ops.at(-1)].map((op, i) => ({
      ...op,
      name: `again ${i}`,
      x: ops.length + 3 + i,
    })) as Op[];
    return tinyModel({ ...tiny, ops: [...ops, twin, sum, pool, ...head], output: ops.length + 5 });
  };
  const shares = (change: (outline: any, tensors: Map<string, any>) => void, name = 'twin') =>
    refusal(
      rebuilt(encode(sharing()), (metadata, tensors) => {
        const program = JSON.parse(metadata.get('program')!);
        change(
          program.ops.find((op: { name: string }) => op.name === name),
          tensors,
        );
        metadata.set('program', JSON.stringify(program));
      }),
    );

  test.each([8, 6, 4])('of %i bits are in the file once, and one array when read', (weightBits) => {
    const model = sharing(weightBits);
    const bytes = encode(model);
    const { tensors } = decodeContainer(bytes);
    expect(tensors.has('proj.weight')).toBe(true);
    expect(tensors.has('twin.weight')).toBe(false);
    const apart = model.program.ops.map((op) =>
      op.op === 'linear' && op.name === 'twin' ? { ...op, weightsOf: undefined } : op,
    );
    expect(bytes.length).toBeLessThan(encode({ ...model, program: { ...model.program, ops: apart } }).length);
    const read = decode(bytes);
    expect(read).toEqual(stored(model, bytes));
    const weightOf = (name: string) =>
      read.program.ops.flatMap((op) => (op.op === 'linear' && op.name === name ? [op.weight] : []))[0];
    expect(weightOf('twin')).toBe(weightOf('proj'));
    expect(encode(read)).toEqual(bytes);
  });

  test.each([
    ['no op at all', 99],
    ['itself', 17],
    ['a negative index', 9 - 17],
    ['another kind of op', 2],
    ['a layer with other inputs', 1],
    ['a layer with other outputs', 7],
  ])('of %s are refused', (_, weightsOf) => {
    expect(shares((twin) => (twin.weightsOf = weightsOf))).toMatch(
      new RegExp(`"twin" shares the weights of op ${weightsOf}, which is no such layer before it`),
    );
  });

  test('of a layer after it that has them are refused', () => {
    const change = (proj: { weightsOf: number }, tensors: Map<string, unknown>) => {
      proj.weightsOf = 17;
      tensors.delete('proj.weight');
    };
    expect(shares(change, 'proj')).toMatch(/"proj" shares the weights of op 17, which is no such layer before it/);
  });

  test('of another number of bits are refused', () => {
    expect(shares((twin) => (twin.weightBits = 6))).toMatch(
      /"twin" shares the weights of op 9, which is no such layer before it/,
    );
  });

  test('beside weights of its own are refused', () => {
    expect(shares((_, tensors) => void tensors.set('twin.weight', tensors.get('proj.weight')!))).toMatch(
      /no op owns its tensor "twin.weight"/,
    );
  });
});

describe('coded weights', () => {
  const coded = (seed: number): IvitModel => {
    const tiny = tinyProgram();
    const ops = tiny.ops.map((op) =>
      op.name === 'proj' ? { ...op, ...codedWeights(new Random(seed), op as LinearOp) } : op,
    );
    return tinyModel({ ...tiny, ops: ops as Op[] });
  };

  test('round trip', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (seed) => {
        const bytes = encode(coded(seed));
        const read = decode(bytes);
        expect(read).toEqual(stored(coded(seed), bytes));
        expect(encode(read)).toEqual(bytes);
      }),
    );
  });

  test('are what the format says', () => {
    const coding = { weightBits: 2, groupSize: 2, codebook: Int8Array.of(-80, -9, 0, 81), factor: Int8Array.of(-8, 7) };
    // (81·8 + 8) >> 4 = 41, (−9·8 + 8) >> 4 = −4; (−80·23 + 8) >> 4 = −115
    expect([...decodeWeights(Int8Array.of(1, -1, -2), 3, coding)]).toEqual([41, -4, -115]);
  });

  test.each<[string, (outline: any, tensors: Map<string, any>) => void, RegExp]>([
    ['groups of no power of two', (op) => (op.groupSize = 3), /not valid at "ops.\d+.groupSize"/],
    ['groups of nothing', (op) => (op.groupSize = 0), /not valid at "ops.\d+.groupSize"/],
    ['groups without their factors', (op) => (op.groupSize = 1), /tensor "proj.factor" has shape|has no tensor/],
    ['8 bits', (op) => (op.weightBits = 8), /tensor "proj.(codebook|weight)"/],
    ['no codebook', (_, tensors) => void tensors.delete('proj.codebook'), /has no tensor "proj.codebook"/],
    ['levels that pass 127', (_, tensors) => tensors.get('proj.codebook').data.fill(127), /its codebook passes 127/],
    ['no groups', (op) => delete op.groupSize, /no op owns its tensor "proj/],
  ])('with %s are refused', (_, change, reason) => {
    const model = coded(7);
    const proj = model.program.ops.find(({ name }) => name === 'proj') as LinearOp;
    proj.factor!.fill(7);
    const weight = decodeWeights(new Int8Array(proj.weight.length), proj.inFeatures, proj as LinearOp & Coding);
    const ops = model.program.ops.map((op) => (op === proj ? { ...proj, weight } : op));
    const bytes = encode(tinyModel({ ...model.program, ops }));
    const changed = rebuilt(bytes, (metadata, tensors) => {
      const program = JSON.parse(metadata.get('program')!);
      change(
        program.ops.find((op: { name: string }) => op.name === 'proj'),
        tensors,
      );
      metadata.set('program', JSON.stringify(program));
    });
    expect(refusal(changed)).toMatch(reason);
  });
});

describe('weights of fewer than 8 bits', () => {
  test('round trip', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 7 }), fc.array(fc.integer({ min: -127, max: 127 })), (bits, values) => {
        const weights = Int8Array.from(values, (value) => value % (1 << (bits - 1)));
        const packed = packWeights(weights, bits);
        expect(packed.length).toBe(packedLength(weights.length, bits));
        expect(unpackWeights(packed, weights.length, bits)).toEqual(weights);
      }),
    );
  });

  test('bit order as documented', () => {
    expect([...packWeights(Int8Array.of(1, -1, 2), 4)]).toEqual([0xf1, 0x02]);
    expect([...packWeights(Int8Array.of(1, -1, 2, 3), 6)]).toEqual([0xc1, 0x2f, 0x0c]);
  });
});

describe('damaged files', () => {
  const bytes = encode(tinyModel());

  test('every truncation is refused', () => {
    for (let length = 0; length < bytes.length; length += length < 64 ? 1 : 37) refusal(bytes.slice(0, length));
    expect(refusal(bytes.slice(0, bytes.length - 1))).toMatch(/truncated/);
    expect(refusal(bytes.slice(0, 100))).toMatch(/truncated/);
  });

  test('every flipped bit is refused', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const damaged = bytes.slice();
        damaged[at] ^= 1 << bit;
        refusal(damaged);
      }),
      { numRuns: 1500 },
    );
  });

  test('appended bytes and random bytes are refused', () => {
    refusal(new Uint8Array([...bytes, 0]));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => void refusal(noise)));
  });

  test('the data damaged: says that the hash differs', () => {
    const damaged = bytes.slice();
    damaged[damaged.length - 1] ^= 1;
    expect(refusal(damaged)).toBe('Not a valid .ivit file: its content does not match its hash: the file is damaged');
  });
});

describe('files with a valid hash that break a rule', () => {
  const bytes = encode(tinyModel());

  /** Refusal after a change to the program's JSON. */
  const changed = (change: (program: any) => void) =>
    refusal(
      rebuilt(bytes, (metadata) => {
        const program = JSON.parse(metadata.get('program')!);
        change(program);
        metadata.set('program', JSON.stringify(program));
      }),
    );

  test('an unchanged rebuild is accepted', () => {
    expect(decode(rebuilt(bytes, () => undefined))).toEqual(stored(tinyModel(), bytes));
  });

  test('another format version', () => {
    expect(refusal(rebuilt(bytes, (metadata) => metadata.set('version', '2')))).toMatch(
      /format version "2"; this ivit reads 3 and 4/,
    );
  });

  test('a safetensors file of someone else', () => {
    expect(refusal(rebuilt(bytes, (metadata) => metadata.set('format', 'pt')))).toMatch(
      /safetensors file, but not one of ivit/,
    );
  });

  test.each<[string, (program: any) => void, RegExp]>([
    ['an operand from the future', (p) => (p.ops[1].x = 9), /"embed" \(linear\): it reads value 9/],
    ['a negative operand', (p) => (p.ops[5].a = -1), /"embedded" \(add\): it reads value -1/],
    ['a float', (p) => (p.ops[1].shift = 20.5), /ops\.1\.shift/],
    ['an unknown op', (p) => (p.ops[3].op = 'softplus'), /ops\.3\.op/],
    ['an unknown key', (p) => (p.ops[3].extra = 1), /ops\.3\.extra/],
    ['a shift beyond 62', (p) => (p.ops[1].shift = 63), /"embed" \(linear\): shift is 63/],
    ['rows that do not agree', (p) => (p.ops[1].rows = 5), /"embed" \(linear\): x has 192 elements, not 240/],
    ['a zero point beyond u8', (p) => (p.ops[6].out.zero = 256), /"norm1" \(layerNorm\): its zero point 256/],
    [
      'a type that cannot be read',
      (p) => (p.ops[7].out = { type: 'i16' }),
      /"attn" \(attention\): q has type i16, not i8/,
    ],
    ['a name twice', (p) => (p.ops[5].name = 'embed'), /not unique/],
    [
      'a view outside its source',
      (p) => (p.ops[8].q.offset = 17),
      /"attn" \(attention\): q reads up to column 25 of rows of 24/,
    ],
    ['an output that is not wide', (p) => (p.output = 8), /output has type i8, not i32/],
    ['an output that does not exist', (p) => (p.output = 99), /value 99, which does not exist/],
    [
      'a huge shape',
      (p) => Object.assign(p.ops[0], { outSize: [8192, 8192], rows: 8192 * 8192 }),
      /larger than 268435456/,
    ],
    ['a shape that overflows', (p) => Object.assign(p.ops[2], { rows: 2 ** 52 }), /cls/],
    ['an epsilon that is no integer', (p) => (p.ops[6].epsilon = '1e3'), /epsilon/],
    ['a huge epsilon', (p) => (p.ops[6].epsilon = '9007199254740993'), /epsilon is 9007199254740993/],
    [
      'other pixels than the recipe makes',
      (p) => Object.assign(p.input, { width: 16 }),
      /recipe makes 8×8 pixels, its program reads 8×16/,
    ],
    ['other channels than the normalization', (p) => Object.assign(p.input, { channels: 1 }), /./],
  ])('%s', (_what, change, reason) => {
    expect(changed(change)).toMatch(reason);
  });

  test('tensors of the wrong type, shape or number', () => {
    const wrong = (change: Parameters<typeof rebuilt>[1]) => refusal(rebuilt(bytes, change));
    expect(wrong((_, tensors) => void tensors.delete('embed.weight'))).toMatch(/no tensor "embed.weight"/);
    expect(wrong((_, tensors) => void tensors.set('x.weight', tensors.get('embed.weight')!))).toMatch(
      /no op owns its tensor "x.weight"/,
    );
    expect(wrong((_, tensors) => void (tensors.get('embed.weight')!.shape = [48, 8]))).toMatch(
      /shape \[48, 8\], not \[8, 48\]/,
    );
    expect(wrong((_, tensors) => void (tensors.get('embed.weight')!.dtype = 'U8'))).toMatch(/is U8, not I8/);
    expect(wrong((_, tensors) => void (tensors.get('embed.weight')!.data[0] = -128))).toMatch(
      /"embed" \(linear\): weight\[0\] is -128/,
    );
    expect(wrong((_, tensors) => void (tensors.get('tokens.index')!.data[0] = 5))).toMatch(
      /"tokens" \(gather\): it reads piece 5/,
    );
    expect(wrong((_, tensors) => void (tensors.get('attn.k.rows')!.data[0] = -1))).toMatch(
      /"attn" \(attention\): k reads row -1/,
    );
  });

  test('JSON nested far too deep', () => {
    const nested = '['.repeat(100_000) + ']'.repeat(100_000);
    const file = rebuilt(bytes, (metadata) =>
      metadata.set('program', metadata.get('program')!.replace('"kernel":[4,4]', `"kernel":${nested}`)),
    );
    expect(refusal(file)).toMatch(/nested more than 64 deep/);
  });

  test.each(['0', '-1', '1e-999', '1e999', '1e308'])('%s for the real value of one unit', (scale) => {
    expect(refusal(rebuilt(bytes, (metadata) => metadata.set('logitScale', scale)))).toMatch(/its logitScale cannot/);
  });

  test('labels that do not match the outputs', () => {
    expect(refusal(rebuilt(bytes, (metadata) => metadata.set('labels', '["a"]')))).toMatch(/1 labels for 3 classes/);
  });

  test.each([
    ['of a model', tinyProgram()],
    ['of a model with the published kernels', tinyPaperProgram()],
    ["of a model with I-BERT's kernels", tinyIbertProgram()],
    ['of a model with products', tinyProductProgram()],
  ])('any change of one JSON number %s is refused or leaves a program that runs', async (_, program) => {
    const original = encode(tinyModel(program));
    const json = decodeContainer(original).metadata.get('program')!;
    const numbers = [...json.matchAll(/-?\d+/g)];
    await fc.assert(
      fc.asyncProperty(
        fc.nat(numbers.length - 1),
        fc.oneof(fc.integer({ min: -2, max: 70 }), fc.integer()),
        async (i, value) => {
          const { index, 0: old } = numbers[i];
          const file = rebuilt(original, (metadata) =>
            metadata.set('program', json.slice(0, index) + value + json.slice(index + old.length)),
          );
          let model: IvitModel;
          try {
            model = decode(file);
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
            return;
          }
          const { height, width } = model.program.input;
          const logits = await createReferenceEngine(model.program).run(new Uint8Array(height * width * 3).fill(200));
          expect(logits.length).toBe(3);
        },
      ),
      { numRuns: 250 },
    );
  });
});

describe('the container', () => {
  /** A container with the given header text and body. */
  const raw = (header: unknown, body = new Uint8Array(0)) => {
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const bytes = new Uint8Array(8 + json.length + body.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    bytes.set(body, 8 + json.length);
    return bytes;
  };
  const tensor = (start: number, end: number, shape = [end - start], dtype = 'U8') => ({
    dtype,
    shape,
    data_offsets: [start, end],
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['a huge header length', new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 123]), /header length/],
    ['a header beyond the end', new Uint8Array([200, 0, 0, 0, 0, 0, 0, 0, 123, 125]), /truncated/],
    ['a header that is no JSON', raw('{"a":'), /not JSON/],
    ['a header that is no UTF-8', raw('"\u0000').fill(0xff, 8), /not JSON/],
    ['a header that is a list', raw([]), /not an object/],
    ['deep nesting', raw('['.repeat(100_000) + ']'.repeat(100_000)), /nested more than 64 deep/],
    ['a tensor that is a number', raw({ a: 1 }), /"a" is not an object/],
    ['overlapping tensors', raw({ a: tensor(0, 4), b: tensor(2, 6) }, new Uint8Array(6)), /overlaps/],
    ['the same bytes twice', raw({ a: tensor(0, 4), b: tensor(0, 4) }, new Uint8Array(4)), /overlaps/],
    ['a hole', raw({ a: tensor(0, 2), b: tensor(3, 4) }, new Uint8Array(4)), /hole/],
    ['bytes that follow', raw({ a: tensor(0, 2) }, new Uint8Array(4)), /2 bytes follow/],
    ['offsets beyond the end', raw({ a: tensor(0, 20) }), /truncated/],
    ['offsets that fall', raw({ a: tensor(4, 2, [2]) }, new Uint8Array(4)), /needs 2 bytes, not -2/],
    ['a shape that overflows', raw({ a: tensor(0, 0, [2 ** 40, 2 ** 40]) }), /needs 1208925819614629174706176 bytes/],
    ['a negative dimension', raw({ a: tensor(0, 0, [-1]) }), /no valid shape/],
    ['an unknown type', raw({ a: tensor(0, 4, [1], 'F32') }, new Uint8Array(4)), /type "F32"/],
    ['a type named as a method', raw({ a: tensor(0, 4, [1], 'toString') }, new Uint8Array(4)), /type "toString"/],
    ['metadata that are no strings', raw({ __metadata__: { a: 1 } }), /"a" is not a string/],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(() => decodeContainer(bytes)).toThrow(reason);
    expect(() => decodeContainer(bytes)).toThrow(InputError);
  });

  test('a misaligned tensor is refused', () => {
    const bytes = raw(`{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}} `.padEnd(59), new Uint8Array(4));
    expect(() => decodeContainer(bytes)).toThrow(/not aligned to 4 bytes/);
  });
});
