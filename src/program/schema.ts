/** The JSON half of a program in a file, and which tensors complete each op. */
import * as v from 'valibot';
import type { Dtype, TensorData } from './container.js';
import { malformed, quote } from './container.js';
import type { Op, Program } from './types.js';

const integer = v.pipe(v.number(), v.safeInteger());
const pair = v.tuple([integer, integer]);
const decimalInteger = v.pipe(
  v.string(),
  v.regex(/^(0|-?[1-9][0-9]{0,18})$/),
  v.transform((digits) => BigInt(digits)),
);

const output = v.variant('type', [
  v.strictObject({ type: v.literal('u8'), zero: integer }),
  ...(['i8', 'i16', 'i32', 'rows'] as const).map((type) => v.strictObject({ type: v.literal(type) })),
]);
const base = { name: v.string(), rows: integer, cols: integer, out: output };
const view = v.strictObject({ x: integer, stride: integer, offset: integer, headStride: integer });

const opSchema = v.variant('op', [
  v.strictObject({
    op: v.literal('patches'),
    ...base,
    kernel: pair,
    stride: pair,
    pad: pair,
    dilation: pair,
    outSize: pair,
  }),
  v.strictObject({
    op: v.literal('linear'),
    ...base,
    x: integer,
    inFeatures: integer,
    weightBits: v.picklist([4, 6, 8]),
    shift: integer,
    rowShift: integer,
    residual: v.nullable(integer),
    weightsOf: v.optional(integer),
  }),
  v.strictObject({ op: v.literal('constant'), ...base }),
  v.strictObject({
    op: v.literal('layerNorm'),
    ...base,
    x: integer,
    center: v.boolean(),
    epsilon: decimalInteger,
    shift: integer,
  }),
  v.strictObject({ op: v.literal('activation'), ...base, x: integer, spacing: integer, shift: integer }),
  v.strictObject({ op: v.literal('paperNorm'), ...base, x: integer, shift: integer }),
  v.strictObject({ op: v.literal('paperGelu'), ...base, x: integer, x0: integer, shift: integer }),
  v.strictObject({
    op: v.literal('attention'),
    ...base,
    q: view,
    k: view,
    v: view,
    batch: integer,
    heads: integer,
    queries: integer,
    keys: integer,
    dim: integer,
    valueDim: integer,
    softmax: v.union([
      v.picklist(['shift', 'quadratic']),
      v.strictObject({ kind: v.literal('paper'), x0: integer, bits: v.picklist([8, 16]) }),
    ]),
    softmaxBits: v.picklist([8, 12]),
    fractionBits: integer,
    scoreShift: integer,
    biasBatch: integer,
    biasHeads: integer,
    shift: integer,
  }),
  v.strictObject({ op: v.literal('add'), ...base, a: integer, b: integer }),
  v.strictObject({ op: v.literal('rescale'), ...base, x: integer, shift: integer }),
  v.strictObject({ op: v.literal('meanRows'), ...base, x: integer, group: integer, shift: integer }),
  v.strictObject({ op: v.literal('gather'), ...base, sources: v.array(integer), piece: integer, fill: integer }),
]);

const programSchema = v.strictObject({
  input: v.strictObject({ height: integer, width: integer, channels: integer }),
  ops: v.array(opSchema),
  output: integer,
});

/** A program without its tensors, as its JSON says it. */
export type ProgramOutline = v.InferOutput<typeof programSchema>;
export type OpOutline = ProgramOutline['ops'][number];

/** A tensor that belongs to an op: it is named `<op name>.<field>`; a field `q.rows` is the `rows` of the op's `q`. */
export interface TensorField {
  readonly field: string;
  readonly dtype: Dtype;
  /** null: a list of any length. */
  readonly shape: readonly number[] | null;
  /** An absent tensor means null. */
  readonly optional?: true;
}

/** The tensors of an op, from its outline. */
export function tensorFields(op: OpOutline | Op): readonly TensorField[] {
  const perChannel = (field: string, dtype: Dtype): TensorField => ({ field, dtype, shape: [op.cols] });
  const multiplier = perChannel('multiplier', 'I32');
  const offset = perChannel('offset', 'I64');
  switch (op.op) {
    case 'patches':
    case 'add':
      return [];
    case 'linear': {
      const own = [perChannel('bias', 'I32'), multiplier];
      if ('weightsOf' in op && op.weightsOf !== undefined) return own;
      return [{ field: 'weight', dtype: 'I8', shape: [op.cols, op.inFeatures] }, ...own];
    }
    case 'constant':
      return [{ field: 'data', dtype: op.out.type === 'i8' ? 'I8' : 'I32', shape: [op.rows, op.cols] }];
    case 'layerNorm':
    case 'paperNorm':
    case 'paperGelu':
    case 'rescale':
      return [multiplier, offset];
    case 'activation':
      return [{ field: 'knots', dtype: 'I16', shape: [64] }, multiplier, offset];
    case 'attention':
      return [
        { field: 'q.rows', dtype: 'I32', shape: [op.batch, op.queries], optional: true },
        { field: 'k.rows', dtype: 'I32', shape: [op.batch, op.keys], optional: true },
        { field: 'v.rows', dtype: 'I32', shape: [op.batch, op.keys], optional: true },
        { field: 'scoreMultiplier', dtype: 'I32', shape: [op.heads] },
        { field: 'bias', dtype: 'I32', shape: [op.biasBatch, op.biasHeads, op.queries, op.keys], optional: true },
        multiplier,
      ];
    case 'meanRows':
      return [multiplier];
    case 'gather':
      return [{ field: 'index', dtype: 'I32', shape: null }];
  }
}

/** @throws InputError naming the place in the JSON that is not as the format says */
export function parseOutline(json: string): ProgramOutline {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw malformed('its program is not JSON');
  }
  const result = v.safeParse(programSchema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw malformed(
    `its program is not valid at ${quote(v.getDotPath(issue) ?? 'its root')}: ${issue.message.replace(/\s+/g, ' ').slice(0, 200)}`,
  );
}

/** The program without its tensors, and the tensors by field, op by op. Weights that layers share belong to the first. */
export function splitProgram(program: Program): { json: string; tensors: ReadonlyMap<string, TensorData>[] } {
  const tensors: Map<string, TensorData>[] = [];
  const owners = new Map<Int8Array, number>();
  const ops = program.ops.map((op, i) => {
    const own = new Map<string, TensorData>();
    tensors.push(own);
    const outline = outlineOf({ ...op }, '', own);
    if (op.op !== 'linear') return outline;
    const weightsOf = owners.get(op.weight);
    if (weightsOf === undefined) owners.set(op.weight, i);
    if (weightsOf === undefined || !haveSameWeights(op, program.ops[weightsOf])) return outline;
    own.delete('weight');
    return { ...outline, weightsOf };
  });
  // Through the schema, which settles the order of keys and refuses what could not be read back.
  const outline = parseOutline(toJson({ ...program, ops }));
  return { json: toJson(outline), tensors };
}

type Sized = Pick<Extract<Op, { op: 'linear' }>, 'op' | 'cols' | 'inFeatures' | 'weightBits'>;

/** Whether a linear layer may use the weights of another op: of one that has as many, and as wide ones. */
export function haveSameWeights(op: Sized, other: Op | undefined): other is Extract<Op, { op: 'linear' }> {
  return (
    other?.op === 'linear' &&
    other.cols === op.cols &&
    other.inFeatures === op.inFeatures &&
    other.weightBits === op.weightBits
  );
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? String(item) : item));
}

/** Moves typed arrays (and the nulls that stand for absent ones) out of an op or one of its views. */
function outlineOf(value: object, prefix: string, tensors: Map<string, TensorData>): object {
  const outline: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const field = prefix + key;
    if (ArrayBuffer.isView(item)) tensors.set(field, item as TensorData);
    else if (item === null && OPTIONAL_FIELDS.has(field)) continue;
    else if (VIEWS.has(field)) outline[key] = outlineOf(item as object, `${field}.`, tensors);
    else outline[key] = item;
  }
  return outline;
}

const VIEWS = new Set(['q', 'k', 'v']);
const OPTIONAL_FIELDS = new Set(['bias', 'q.rows', 'k.rows', 'v.rows']);
