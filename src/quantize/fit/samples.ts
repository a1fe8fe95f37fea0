import type { Graph } from '../../graph/types.js';
import type { Plan } from '../plan/types.js';

/** Which rows of which values stand for a linear layer when it is fitted. */
export interface SampleRows {
  /** Rows of the layer's input and output that are looked at in image i. */
  rows(image: number, linearId: string): Int32Array;
  /** Importance of a row. */
  weight(linearId: string, row: number): number;
  /** The float value that tells what the layer should give: its own output, the sum it is fused into, or its input. */
  targetOf(linearId: string): { readonly id: string; readonly isInput: boolean };
  /** Node ids to sample from the float model, with their rows. */
  readonly wanted: ReadonlyMap<string, (image: number) => Int32Array>;
}

/** A row that the output reads directly (the class token) counts as much as this many others. */
const OUTPUT_ROW_WEIGHT = 8;

/**
 * Picks `perImage` rows of every linear layer, among those that reach the output, the same for layers with equally many
 * rows; rows that the output reads directly are always among them.
 */
export function chooseSamples(graph: Graph, plan: Plan, perImage: number): SampleRows {
  const tied = new Set(graph.nodes.flatMap((node) => (node.op === 'linear' ? [node.weightsOf] : [])));
  const outputRows = rowsReadByOutput(graph, plan);
  const picks = new Map<string, Int32Array>();
  const rows = (image: number, id: string): Int32Array => {
    const node = plan.nodes.get(id)!;
    // Weights that serve the output rows too are fitted to them as well.
    const needed = tied.has(id) ? null : (plan.needed.get(id) ?? null);
    const pick = `${image} ${node.rows} ${needed === null ? '' : needed.join()}`;
    let known = picks.get(pick);
    if (known === undefined) {
      const always = outputRows.filter(
        (r) => r < node.rows && outputRows.length < perImage && node.rows === outputRowsOf(graph, plan),
      );
      known = pickRows(
        needed ?? Int32Array.from({ length: node.rows }, (_, r) => r),
        always,
        perImage,
        image * 7919 + node.rows,
      );
      picks.set(pick, known);
    }
    return known;
  };
  const targets = new Map<string, { id: string; isInput: boolean }>();
  for (const node of graph.nodes) {
    if (node.op === 'patchEmbed') targets.set(node.id, { id: node.id, isInput: false });
    if (node.op !== 'linear') continue;
    const fused = plan.residual.get(node.id);
    const x = plan.nodes.get(node.x)!;
    const byInput =
      fused === undefined &&
      node.inFeatures < node.cols &&
      x.rows === node.rows &&
      x.cols === node.inFeatures &&
      x.op !== 'windows';
    targets.set(
      node.id,
      fused !== undefined
        ? { id: fused.add, isInput: false }
        : byInput
          ? { id: node.x, isInput: true }
          : { id: node.id, isInput: false },
    );
  }
  return {
    rows,
    weight: (id, row) =>
      plan.nodes.get(id)!.rows === outputRowsOf(graph, plan) && outputRows.includes(row) ? OUTPUT_ROW_WEIGHT : 1,
    targetOf: (id) => targets.get(id)!,
    wanted: new Map([...targets].map(([id, target]) => [target.id, (image: number) => rows(image, id)])),
  };
}

/** Rows of the widest token sequence that the head picks out: the class token. Empty where the head averages all. */
function rowsReadByOutput(graph: Graph, plan: Plan): number[] {
  const pooled = lastPick(graph, plan);
  return pooled === null ? [] : Array.from(pooled.rows);
}

function outputRowsOf(graph: Graph, plan: Plan): number {
  return lastPick(graph, plan)?.of ?? -1;
}

/** The last value of which only some rows reach the output, and these rows. */
function lastPick(graph: Graph, plan: Plan): { rows: Int32Array; of: number } | null {
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const rows = plan.needed.get(graph.nodes[i].id);
    if (rows) return { rows, of: graph.nodes[i].rows };
  }
  return null;
}

/** Distinct rows out of `from`, `always` first, in ascending order; deterministic in the seed. */
function pickRows(from: Int32Array, always: readonly number[], count: number, seed: number): Int32Array {
  if (from.length <= count) return from;
  const picked = new Set(always);
  let state = seed >>> 0;
  while (picked.size < count) {
    // Numerical Recipes' linear congruential generator; its high bits are random enough to spread rows.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    picked.add(from[Math.floor((state / 2 ** 32) * from.length)]);
  }
  return Int32Array.from(picked).sort();
}
