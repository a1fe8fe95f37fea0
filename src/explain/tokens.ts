/** Which patch of the image each token of a program stands for. */
import { operandsOf } from '../program/operands.js';
import type { AttentionOp, GatherOp, Op, Program } from '../program/types.js';

/** What attention rollout needs to know of a Vision Transformer. */
export interface TokenLayout {
  /** Patches down and across. */
  readonly grid: readonly [number, number];
  /** The patch of each token; −1: a class token, a register. */
  readonly patchOf: Int32Array;
  /** The token that the output reads; null: several, whose mean is taken. */
  readonly reader: number | null;
  /** The blocks' attentions, by index of the op. */
  readonly attentions: ReadonlySet<number>;
}

/**
 * The layout of a model in which every token attends to every other in each block; null: attention in windows, of
 * several sizes of map, or none, so that what a token looks at is not told by the weights alone.
 */
export function tokenLayout(program: Program): TokenLayout | null {
  const patches = program.ops.find((op) => op.op === 'patches');
  if (patches?.op !== 'patches') return null;
  const maps = patchMaps(program);
  const last = program.ops.findLastIndex((op) => op.op === 'attention');
  const all = program.ops.flatMap((op, i) => (op.op === 'attention' ? [{ op, i }] : []));
  // The rows that the output reads may have an attention of their own beside that of all rows, with the same scores.
  const whole = all.filter(({ op }) => op.queries === op.keys);
  const [first] = whole;
  if (first === undefined || all.some(({ op }) => op.batch > 1 || op.keys !== first.op.keys)) return null;
  const patchOf = patchesOfKeys(first.op, maps);
  const seen = new Set(patchOf);
  seen.delete(-1);
  if (seen.size !== patches.rows) return null;
  return {
    grid: patches.outSize,
    patchOf,
    reader: readerOf(program, last, first.op.keys),
    attentions: new Set(whole.map(({ i }) => i)),
  };
}

/** By value: the patch that each of its rows is made from, −1 where it is from none. */
function patchMaps({ ops }: Program): Map<number, Int32Array> {
  const maps = new Map<number, Int32Array>();
  for (const [i, op] of ops.entries()) {
    const map = op.op === 'patches' ? Int32Array.from({ length: op.rows }, (_, row) => row) : mapOf(op, maps, ops);
    if (map !== undefined) maps.set(i + 1, map);
  }
  return maps;
}

function mapOf(op: Op, maps: ReadonlyMap<number, Int32Array>, ops: readonly Op[]): Int32Array | undefined {
  if (op.op === 'gather') return gathered(op, maps, ops);
  return operandsOf(op)
    .map((id) => maps.get(id))
    .find((map) => map?.length === op.rows);
}

function gathered(op: GatherOp, maps: ReadonlyMap<number, Int32Array>, ops: readonly Op[]): Int32Array | undefined {
  if (op.piece !== op.cols || !op.sources.some((id) => maps.has(id))) return undefined;
  const rows = op.sources.flatMap((id) => Array.from(maps.get(id) ?? new Int32Array(ops[id - 1].rows).fill(-1)));
  return op.index.map((from) => (from < 0 ? -1 : rows[from]));
}

function patchesOfKeys({ k, keys }: AttentionOp, maps: ReadonlyMap<number, Int32Array>): Int32Array {
  const map = maps.get(k.x);
  return Int32Array.from({ length: keys }, (_, key) => map?.[k.rows === null ? key : k.rows[key]] ?? -1);
}

function readerOf({ ops }: Program, last: number, tokens: number): number | null {
  for (const op of ops.slice(last + 1)) {
    if (op.op !== 'gather' || op.index.length !== 1 || op.piece !== op.cols) continue;
    if (ops[op.sources[0] - 1].rows === tokens) return op.index[0];
  }
  return null;
}
