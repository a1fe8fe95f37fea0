import { coarsen, compose, gcd, isIdentity, type Layout } from '../layout.js';
import { operandsOf, withOperands } from '../nodes/index.js';
import type { AffineNode, GatherNode, GraphNode, LinearNode, MixRowsNode } from '../types.js';
import type { Draft, Pass } from './pass.js';

/** Layers of at most so many channels sum as many rows. */
const MOST_CHANNELS = 16;
/** Shorter rows are not worth it. */
const LEAST_RUN = 16;

/** A layer's channels are so many rows of its source, `run` elements each, for each of `blocks`. */
interface Rows {
  readonly run: number;
  readonly blocks: number;
  /** [blocks, channels]: rows of the source. */
  readonly index: Int32Array;
}

/**
 * A small layer whose channels are whole maps that lie apart, as the heads of attention are which CaiT mixes: in place
 * of a rearrangement, element by element, before it and after it, rows are summed where they lie.
 */
export const mixInPlace: Pass = (draft) => {
  const byId = new Map(draft.nodes.map((node) => [node.id, node]));
  for (const layer of draft.nodes) {
    if (layer.op !== 'linear' || layer.id === draft.output || layer.weightsOf !== undefined) continue;
    if (layer.inFeatures > MOST_CHANNELS || layer.cols > MOST_CHANNELS) continue;
    const before = byId.get(layer.x)!;
    if (before.op !== 'gather' || before.sources.length !== 1 || before.cols !== layer.inFeatures) continue;
    const source = byId.get(before.sources[0])!;
    const fitting = rowsAndReaders(before, layer, source.rows * source.cols, draft);
    if (fitting === null) continue;
    draft.note('heads mixed where they lie');
    return replaced(draft, layer, source.id, fitting);
  }
  return null;
};

interface Fitting {
  readonly rows: Rows;
  /** What rearranges the layer's output, with what it picks of the rows that are summed. */
  readonly after: ReadonlyMap<GatherNode, Layout>;
}

/** The longest runs that are rows of the source and that whoever reads the layer moves as a whole. */
function rowsAndReaders(before: GatherNode, layer: LinearNode, size: number, draft: Draft): Fitting | null {
  for (let most = gcd(layer.rows, size); most >= LEAST_RUN;) {
    const rows = rowsOf(before, layer, most);
    if (rows === null) return null;
    const after = readersAfter(layer, rows, draft);
    if (after === null) return null;
    const common = [...after.values()].reduce((all, { piece }) => gcd(all, piece), rows.run);
    if (common === rows.run) return { rows, after };
    most = common;
  }
  return null;
}

/** The rows of the source that a layer's channels are, in runs that divide `most`; null where they are too short. */
function rowsOf({ piece, index }: GatherNode, layer: LinearNode, most: number): Rows | null {
  const { rows, inFeatures: channels } = layer;
  if (piece !== 1 || index.includes(-1)) return null;
  let run = most;
  for (let r = 0; r < rows && run >= LEAST_RUN; r++)
    for (let k = 0; k < channels; k++) {
      const from = index[r * channels + k];
      if (r > 0 && from === index[(r - 1) * channels + k] + 1) continue;
      run = gcd(gcd(run, r), from);
    }
  if (run < LEAST_RUN) return null;
  const blocks = rows / run;
  const starts = Int32Array.from(
    { length: blocks * channels },
    (_, i) => index[Math.floor(i / channels) * run * channels + (i % channels)] / run,
  );
  return { run, blocks, index: starts };
}

/** What rearranges the layer's output, as rearrangements of the rows that are summed; null: something else reads it. */
function readersAfter(layer: LinearNode, { run }: Rows, { nodes }: Draft): Map<GatherNode, Layout> | null {
  const size = layer.rows * layer.cols;
  const { cols } = layer;
  // Element (r, n) of the layer is element r mod run of row (block, n).
  const index = new Int32Array(size);
  for (let r = 0, at = 0; r < layer.rows; r++) {
    const first = Math.floor(r / run) * cols * run + (r % run);
    for (let n = 0; n < cols; n++) index[at++] = first + n * run;
  }
  const inner = [{ layout: { piece: 1, index }, sizes: [size], starts: [0] }];
  const after = new Map<GatherNode, Layout>();
  for (const node of nodes) {
    if (!operandsOf(node).includes(layer.id)) continue;
    if (node.op !== 'gather' || node.sources.length !== 1) return null;
    after.set(node, coarsen(compose(node, inner), [size]));
  }
  return after.size > 0 ? after : null;
}

function replaced(
  { nodes, output, hints }: Draft,
  layer: LinearNode,
  source: string,
  { rows: { run, blocks, index }, after }: Fitting,
): readonly GraphNode[] {
  const { id, name, cols, inFeatures: taps } = layer;
  const mix: MixRowsNode = {
    ...{ op: 'mixRows', id, name, rows: blocks * cols, cols: run, x: source, taps },
    index: Int32Array.from({ length: blocks * cols * taps }, (_, i) => {
      const [block, k] = [Math.floor(i / (cols * taps)), i % taps];
      return index[block * taps + k];
    }),
    factors: Float32Array.from({ length: blocks * cols * taps }, (_, i) => layer.weight[i % (cols * taps)]),
  };
  const biased: AffineNode = {
    ...{ op: 'affine', id: `${id}#biased`, name, rows: blocks, cols: cols * run, x: id },
    scale: new Float32Array(cols * run).fill(1),
    shift: Float32Array.from({ length: cols * run }, (_, i) => layer.bias[Math.floor(i / run)]),
  };
  const hasBias = layer.bias.some((b) => b !== 0) && !onlySoftmax(nodes, after, run);
  if (hasBias) hints.set(biased.id, hints.get(id)!);
  const mixed = hasBias ? biased : mix;
  const names = new Map<string, string>();
  const gathers = new Map<GraphNode, GatherNode>();
  for (const [gather, layout] of after) {
    const isSame = isIdentity(layout, mixed.rows * mixed.cols) && gather.cols === mixed.cols && gather.id !== output;
    if (isSame) names.set(gather.id, mixed.id);
    else gathers.set(gather, { ...gather, ...layout, sources: [mixed.id] });
  }
  return nodes
    .filter((node) => !names.has(node.id))
    .flatMap((node): GraphNode[] => {
      if (node === layer) return hasBias ? [mix, biased] : [mix];
      return [gathers.get(node) ?? withOperands(node, (operand) => names.get(operand) ?? operand)];
    });
}

/** Whether softmax alone reads it, of rows within a run: what is added to a whole row changes nothing. */
function onlySoftmax(nodes: readonly GraphNode[], after: ReadonlyMap<GatherNode, Layout>, run: number): boolean {
  const ids = new Set([...after.keys()].map(({ id }) => id));
  const readers = nodes.filter((node) => operandsOf(node).some((id) => ids.has(id)));
  return readers.length > 0 && readers.every((node) => node.op === 'softmax' && run % node.cols === 0);
}
