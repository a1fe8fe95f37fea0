/**
 * Every number of every op: where some value of it lets an op overflow, or leaves its range, the file with that value,
 * its hash computed anew, is refused by loading and by `ivit verify`; the same file without that change is accepted.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { verify } from '../../src/api/verify.js';
import { InputError } from '../../src/errors.js';
import { proveBounds } from '../../src/program/bounds.js';
import { decodeModel } from '../../src/program/model.js';
import { OP_KINDS, definitionOf, type OpKind } from '../../src/program/ops/index.js';
import type { AttentionOp, LinearOp, MatmulOp, Op, Program } from '../../src/program/types.js';
import { tensorsOf } from '../../src/program/tensors.js';
import {
  tinyFloatProgram,
  tinyIbertProgram,
  tinyPaperProgram,
  tinyProductProgram,
  tinyProgram,
} from '../program/tiny.js';
import { GIANTS, fileOf } from './giants.js';
import { sha256, withHeader, withTensors } from './rehash.js';

const LIMIT = (1n << 63n) - 1n;
const MOST = 2 ** 31 - 1;

interface Attack {
  /** The number that is changed, as its field is called. */
  readonly field: string;
  /** Accepted as it is. */
  readonly program: Program;
  readonly op: string;
  /** What an attacker writes: a number of the op's JSON, or one element of its tensor. */
  readonly value: number | bigint | string;
  readonly at?: number;
  readonly reason: RegExp;
}

const folder = mkdtempSync(path.join(tmpdir(), 'ivit-numbers-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The file with one element of a tensor, or one number of an op's JSON, as the attack says. */
function attacked({ program, op: name, field, value, at = 0 }: Attack): Uint8Array {
  const bytes = fileOf(program);
  const op = program.ops.find((one) => one.name === name)!;
  if (tensorsOf(op).some(([tensor]) => tensor === field))
    return withTensors(bytes, (tensors) => {
      (tensors.get(`${name}.${field}`) as Int32Array)[at] = value as number;
    });
  return withHeader(bytes, (json) => {
    const header = JSON.parse(json) as { __metadata__: { program: string } };
    const changed = JSON.parse(header.__metadata__.program) as { ops: Record<string, unknown>[] };
    changed.ops.find((one) => one['name'] === name)![field] = value;
    header.__metadata__.program = JSON.stringify(changed);
    return JSON.stringify(header);
  });
}

const opOf = (program: Program, name: string) => program.ops.find((op) => op.name === name)!;

const withOp = (program: Program, name: string, fields: object): Program => ({
  ...program,
  ops: program.ops.map((op) => (op.name === name ? ({ ...op, ...fields } as Op) : op)),
});

/** The array with other first elements. */
function beginning<T extends Int8Array | Int16Array | Int32Array | BigInt64Array>(array: T, first: T[number][]): T {
  const copy = array.slice() as T;
  first.forEach((value, i) => (copy[i] = value));
  return copy;
}

type Requantizing = Extract<Op, { multiplier: Int32Array; shift: number }>;

const OVERFLOW = /overflows (15|31|40|53|63) bits/;

/** The most that channel 0 may add to its largest product: the op's requantization is at its limit then. */
function atLimit(program: Program, name: string): Program {
  const bound = proveBounds(program)[program.ops.findIndex((op) => op.name === name)];
  const { multiplier, shift, ...op } = opOf(program, name) as Requantizing;
  const half = 1n << BigInt(shift - 1);
  if ('offset' in op) {
    const far = LIMIT - bound * BigInt(Math.abs(multiplier[0])) - half;
    return withOp(program, name, { offset: beginning(op.offset as BigInt64Array, [far]) });
  }
  return withOp(program, name, { multiplier: beginning(multiplier, [Number((LIMIT - half) / bound)]) });
}

/** Multiplier, shift and offset of an op whose requantization can overflow. */
function requantization(program: Program, op: string): Attack[] {
  const limit = atLimit(program, op);
  const { multiplier, shift, ...rest } = opOf(limit, op) as Requantizing;
  const common = { program: limit, op, reason: OVERFLOW };
  const away = multiplier[0] < 0 ? multiplier[0] - 1 : multiplier[0] + 1;
  const attacks: Attack[] = [
    { ...common, field: 'multiplier', value: away },
    { ...common, field: 'shift', value: 'offset' in rest ? shift + 1 : 62 },
  ];
  if ('offset' in rest) attacks.push({ ...common, field: 'offset', value: (rest.offset as BigInt64Array)[0] + 1n });
  return attacks;
}

/** A program of small size with one such op, which is called `big`. */
const small = (kind: string): Program => GIANTS[kind](2 ** 4);

const tiny = tinyProgram();
const paper = tinyPaperProgram();
const ibert = tinyIbertProgram();
const float = tinyFloatProgram();
const products = tinyProductProgram();
const nameOf = (program: Program, kind: OpKind) => program.ops.find(({ op }) => op === kind)!.name;

/** Layers of one row of 192 pixels: `a` on `u8`, `b` on what `a` writes. */
function layers(type: 'i16' | 'rows'): Program {
  const layer = (name: string, x: number, inFeatures: number, cols: number, out: Op['out']): LinearOp => ({
    ...{ op: 'linear', name, rows: 1, cols, out, x, inFeatures, weightBits: 8, rowShift: 0, residual: null, shift: 20 },
    weight: new Int8Array(cols * inFeatures).fill(127),
    bias: new Int32Array(cols),
    multiplier: new Int32Array(cols).fill(1000),
  });
  const patch: Op = {
    ...{ op: 'patches', name: 'p', rows: 1, cols: 192, out: { type: 'u8', zero: 0 }, kernel: [8, 8], stride: [8, 8] },
    ...{ pad: [0, 0], dilation: [1, 1], outSize: [1, 1] },
  };
  const last = { ...layer('b', 2, 4096, 3, { type: 'i32' }), rowShift: type === 'rows' ? 18 : 0 };
  const ops = [patch, layer('a', 1, 192, 4096, { type }), last];
  return { input: { height: 8, width: 8, channels: 3 }, ops, output: 3 };
}

const silent = withOp(layers('i16'), 'a', {
  weight: new Int8Array(4096 * 192),
  bias: beginning(new Int32Array(4096), [MOST]),
});
const sums = Array.from({ length: 20 }, (_, t) => withOp(layers('rows'), 'b', { rowShift: t })).find(isAccepted)!;

function isAccepted(program: Program): boolean {
  try {
    proveBounds(program);
    return true;
  } catch {
    return false;
  }
}

const TAPS = 2 ** 14 + 1;
const mixing = withOp(small('mixRows'), 'big', {
  ...{ rows: 1, taps: TAPS },
  index: new Int32Array(TAPS).fill(-1, TAPS - 1),
  weight: new Int16Array(TAPS).fill(32767),
});
const mixed = withOp(mixing, 'mean', { group: 1 });
const lastTap = { program: mixed, op: 'big', at: TAPS - 1, reason: OVERFLOW };

const shaped = atLimit(small('lookup'), 'big');
const divided = atLimit(withOp(small('divide'), 'big', { bits: 3 }), 'big');
const scores = withOp(small('attention of many windows'), 'big', { bias: new Int32Array(1) });

const attack = (
  program: Program,
  op: string,
  field: string,
  value: Attack['value'],
  reason = OVERFLOW,
  at = 0,
): Attack => ({ program, op, field, value, reason, at });

/** By op: one attack at least on each of its numbers. */
const ATTACKS: { readonly [K in OpKind]: readonly Attack[] } = {
  patches: [],
  add: [],
  windows: [],
  maxPool: [],
  constant: [attack(tiny, nameOf(tiny, 'constant'), 'data', 2 ** 24, /not within/)],
  linear: [
    attack(silent, 'a', 'weight', 127),
    attack(layers('i16'), 'a', 'bias', MOST),
    ...requantization(layers('i16'), 'b'),
    attack(sums, 'b', 'rowShift', (opOf(sums, 'b') as LinearOp).rowShift - 1),
  ],
  layerNorm: [
    ...requantization(tiny, nameOf(tiny, 'layerNorm')),
    attack(tiny, nameOf(tiny, 'layerNorm'), 'epsilon', String(2n ** 53n + 1n), /epsilon/),
  ],
  activation: [
    ...requantization(tiny, 'gelu'),
    attack(tiny, 'gelu', 'knots', -32767),
    attack(tiny, 'gelu', 'spacing', 16, /spacing is 16/),
  ],
  attention: [
    attack(scores, 'big', 'bias', 2 ** 28 + 1, /bias\[0\] is 268435457/),
    attack(scores, 'big', 'scoreMultiplier', -(2 ** 31), /most negative/),
    attack(scores, 'big', 'scoreShift', 63, /scoreShift is 63/),
    attack(scores, 'big', 'fractionBits', 12, /fractionBits is 12/),
    attack(scores, 'big', 'multiplier', -(2 ** 31), /most negative/),
    attack(scores, 'big', 'shift', 63, /shift is 63/),
  ],
  rescale: requantization(tiny, nameOf(tiny, 'rescale')),
  meanRows: requantization(GIANTS['add'](2 ** 6), 'mean'),
  gather: [
    attack(small('gather'), 'big', 'index', 1, /outside its sources/),
    attack(small('gather'), 'big', 'fill', 2 ** 24, /fill is 16777216/),
  ],
  paperNorm: requantization(paper, nameOf(paper, 'paperNorm')),
  paperGelu: [
    ...requantization(paper, nameOf(paper, 'paperGelu')),
    attack(paper, nameOf(paper, 'paperGelu'), 'x0', -(2 ** 15) - 1, /x0 is -32769/),
  ],
  ibertGelu: [
    ...requantization(ibert, nameOf(ibert, 'ibertGelu')),
    attack(ibert, nameOf(ibert, 'ibertGelu'), 'fractionBits', 13, /fractionBits is 13/),
  ],
  floatNorm: [
    ...requantization(float, nameOf(float, 'floatNorm')),
    attack(float, nameOf(float, 'floatNorm'), 'epsilon', String(2n ** 53n + 1n), /epsilon/),
  ],
  floatGelu: [
    ...requantization(float, nameOf(float, 'floatGelu')),
    attack(float, nameOf(float, 'floatGelu'), 'fractionBits', 5, /fractionBits is 5/),
  ],
  multiply: [...requantization(small('multiply'), 'big'), ...requantization(products, nameOf(products, 'multiply'))],
  divide: [...requantization(small('divide'), 'big'), attack(divided, 'big', 'bits', 4)],
  lookup: [
    ...requantization(small('lookup'), 'big'),
    attack(shaped, 'big', 'table', 2 ** 17),
    attack(shaped, 'big', 'table', 2 ** 21 + 1, /table\[0\] is 2097153/),
  ],
  softmax: [
    ...requantization(small('softmax'), 'big'),
    attack(small('softmax'), 'big', 'scoreMultiplier', 2 ** 31, /scoreMultiplier is 2147483648/),
    attack(small('softmax'), 'big', 'scoreMultiplier', -(2 ** 31), /scoreMultiplier is -2147483648/),
    attack(small('softmax'), 'big', 'scoreShift', 63, /scoreShift is 63/),
    attack(small('softmax'), 'big', 'fractionBits', 12, /fractionBits is 12/),
  ],
  matmul: requantization(small('matmul of many rows'), 'big'),
  rotate: [...requantization(small('rotate'), 'big'), attack(small('rotate'), 'big', 'partner', 4, /partner/)],
  depthwise: [
    ...requantization(small('depthwise'), 'big'),
    {
      ...attack(small('depthwise'), 'big', 'weight', 5, OVERFLOW, 2),
      program: withOp(small('depthwise'), 'big', { weight: beginning(new Int16Array(9), [32767, 32767]) }),
    },
  ],
  mixRows: [
    ...requantization(small('mixRows'), 'big'),
    { ...lastTap, field: 'index', value: 0 },
    {
      ...{ ...lastTap, field: 'weight', value: 32767 },
      program: withOp(mixed, 'big', {
        index: new Int32Array(TAPS),
        weight: new Int16Array(TAPS).fill(32767).fill(0, TAPS - 1),
      }),
    },
  ],
  groupNorm: [
    ...requantization(small('groupNorm'), 'big'),
    attack(small('groupNorm'), 'big', 'epsilon', String(2n ** 53n + 1n), /epsilon/),
  ],
};

const all = OP_KINDS.flatMap((kind) => ATTACKS[kind].map((one) => ({ kind, ...one })));
test.each(all)('$kind: $field of $op is $value', async ({ kind: _, ...one }) => {
  expect(() => decodeModel(fileOf(one.program), sha256)).not.toThrow();
  const bytes = attacked(one);
  expect(() => decodeModel(bytes, sha256)).toThrow(InputError);
  expect(() => decodeModel(bytes, sha256)).toThrow(one.reason);
  expect(() => decodeModel(bytes, sha256)).toThrow(`Op ${JSON.stringify(one.op)}`);
  const file = path.join(folder, 'm.ivit');
  writeFileSync(file, bytes);
  await expect(verify(file)).rejects.toThrow(one.reason);
});

/** Fields that are shapes and places, which other tests attack: test/program/model.test.ts. */
const SHAPES = new Set(
  [
    'x,a,b,q,k,v,cos,sin,column,sources,residual,weightsOf,inFeatures,weightBits,groupSize,center,piece,group,taps',
    'groups,kind',
    'softmax,softmaxBits,batch,heads,queries,keys,dim,valueDim,biasBatch,biasHeads,m,n,size,kernel,stride,pad',
    'dilation,outSize,q.rows,k.rows,v.rows,a.rows,b.rows',
  ].flatMap((fields) => fields.split(',')),
);

test('every number of every op is attacked', () => {
  const programs = [tiny, paper, ibert, float, products, scores, ...Object.keys(GIANTS).map(small)];
  for (const kind of OP_KINDS) {
    const op = programs.flatMap(({ ops }) => ops).find((one) => one.op === kind)!;
    const definition = definitionOf(op);
    const fields = [...Object.keys(definition.fields), ...definition.tensors(op).map(({ field }) => field)];
    const numbers = fields.filter((field) => !SHAPES.has(field));
    expect([...new Set(ATTACKS[kind].map(({ field }) => field))].sort(), kind).toEqual(numbers.sort());
  }
});

describe('what no value of a number can make overflow, with all others at their extremes, is accepted', () => {
  const extremes = [MOST, -MOST];
  test.each(extremes)('linear with u8 inputs, and attention: multipliers of %i, shifts of 62', (value) => {
    const layer = withOp(layers('i16'), 'a', { multiplier: new Int32Array(4096).fill(value), shift: 62 });
    expect(() => decodeModel(fileOf(layer), sha256)).not.toThrow();
    const { multiplier, scoreMultiplier } = opOf(scores, 'big') as AttentionOp;
    const attended = withOp(scores, 'big', {
      ...{ multiplier: multiplier.map(() => value), shift: 62 },
      ...{ scoreMultiplier: scoreMultiplier.map(() => value), scoreShift: 62 },
    });
    expect(() => decodeModel(fileOf(attended), sha256)).not.toThrow();
  });
});

describe('sizes that are too long for a sum, whatever their file would hold', () => {
  const bounded = (program: Program, fields: object) => () => proveBounds(withOp(program, 'big', fields));
  test.each<[string, Program, object]>([
    ['attention: dim', scores, { dim: 2 ** 18 }],
    ['attention: keys', scores, { keys: 2 ** 17 }],
    [
      'meanRows: group',
      withOp(small('add'), 'mean', { name: 'big', group: 2 ** 28 }),
      { multiplier: Int32Array.of(MOST) },
    ],
    ['matmul: k', atLimit(small('matmul of many rows'), 'big'), { k: 2 } satisfies Partial<MatmulOp>],
  ])('%s', (_, program, fields) => expect(bounded(program, fields)).toThrow(OVERFLOW));
});
