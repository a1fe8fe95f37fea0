/** The JSON half of a program in a file, and which tensors complete each op. */
import * as v from 'valibot';
import type { TensorData } from './container.js';
import { malformed, quote } from './container.js';
import { jsonError, parseJsonOnce } from './json.js';
import { OP_KINDS, definitionOf, type Op, type OpKind, type OpOf } from './ops/index.js';
import { integer, type Outline, type TensorField } from './ops/definition.js';
import { canShareWeights, type LinearOp } from './ops/linear.js';
import type { Program } from './types.js';

const output = v.variant('type', [
  v.strictObject({ type: v.literal('u8'), zero: integer }),
  ...(['i8', 'i16', 'i32', 'rows'] as const).map((type) => v.strictObject({ type: v.literal(type) })),
]);

const opSchema = v.variant(
  'op',
  OP_KINDS.map((op) =>
    v.strictObject({
      op: v.literal(op),
      name: v.string(),
      rows: integer,
      cols: integer,
      out: output,
      ...definitionOf({ op }).fields,
    }),
  ),
);

const programSchema = v.strictObject({
  input: v.strictObject({ height: integer, width: integer, channels: integer }),
  ops: v.array(opSchema),
  output: integer,
});

/** An op without its tensors, as the program's JSON says it. */
export type OpOutline = { [K in OpKind]: Outline<OpOf<K>> }[OpKind];

/** A program without its tensors. */
export interface ProgramOutline extends Omit<Program, 'ops'> {
  readonly ops: readonly OpOutline[];
}

/** The tensors of an op, from its outline. */
export function tensorFields(op: OpOutline | Op): readonly TensorField[] {
  return definitionOf(op as Op).tensors(op as Op);
}

/** @throws InputError naming the place in the JSON that is not as the format says */
export function parseOutline(json: string): ProgramOutline {
  let value: unknown;
  try {
    value = parseJsonOnce(json);
  } catch (error) {
    throw malformed(`its program cannot be read: ${jsonError(error)}`);
  }
  const result = v.safeParse(programSchema, value);
  if (result.success) return result.output as unknown as ProgramOutline;
  const issue = result.issues[0];
  throw malformed(
    `its program is not valid at ${quote(v.getDotPath(issue) ?? 'its root')}: ` +
      `${issue.message.replace(/\s+/g, ' ').slice(0, 200)}`,
  );
}

/** The program without its tensors, and the tensors by field, op by op. Tied weights belong to the first layer. */
export function splitProgram(program: Program): { json: string; tensors: ReadonlyMap<string, TensorData>[] } {
  const tensors: Map<string, TensorData>[] = [];
  const ops = program.ops.map((op) => {
    const own = new Map<string, TensorData>();
    tensors.push(own);
    const outline = outlineOf({ ...op }, '', own);
    if (op.op === 'linear' && op.weightsOf !== undefined) for (const field of SHARED) own.delete(field);
    return outline;
  });
  // Through the schema, which settles the order of keys and refuses what could not be read back.
  const outline = parseOutline(toJson({ ...program, ops }));
  return { json: toJson(outline), tensors };
}

/** What tied layers share. */
const SHARED = ['weight', 'codebook', 'factor'] as const;

/** The weights that a layer of a file takes from one before it. */
export function tiedWeights(
  op: Outline<LinearOp>,
  before: readonly Op[],
): Pick<LinearOp, 'weight' | 'codebook' | 'factor'> {
  const owner = before[op.weightsOf!];
  if (canShareWeights(op, owner)) {
    const { weight, codebook, factor } = owner;
    return codebook === undefined ? { weight } : { weight, codebook, factor };
  }
  throw malformed(`${quote(op.name)} shares the weights of op ${op.weightsOf}, which is no such layer before it`);
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
    else if (VIEWS.has(field) && typeof item === 'object') outline[key] = outlineOf(item!, `${field}.`, tensors);
    else outline[key] = item;
  }
  return outline;
}

const VIEWS = new Set(['q', 'k', 'v', 'a', 'b']);
const OPTIONAL_FIELDS = new Set(['bias', 'q.rows', 'k.rows', 'v.rows', 'a.rows', 'b.rows']);
