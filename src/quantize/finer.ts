/** Networks that come out far from float are built again, with more bits throughout. */
import { macsOfGraph } from '../graph/describe.js';
import type { AttentionNode, Graph, GraphNode } from '../graph/types.js';
import { decibels } from '../number-format.js';
import { MAX_FINE_KEYS } from './build/scores.js';
import type { Sensitive } from './decide/bit-widths.js';
import type { Scheme } from './schemes/scheme.js';

/** How far each output is from float, in dB. */
interface Measured {
  readonly outputs: readonly { readonly sqnrDb: number }[];
  readonly notices: readonly string[];
}

/** An output farther from float than this, in dB, is worth another build of a network of so many multiply-adds. */
const FAR_DB: readonly { readonly macs: number; readonly db: number }[] = [
  // Of a small network twice the time of an image is little.
  { macs: 2 ** 28, db: 22 },
  // A larger one has to be of little use without.
  { macs: 2 ** 32, db: 20 },
];

/**
 * Whether another build with more bits is worth its time, and the work that it adds to every image: of a network
 * whose errors come through so strongly that what was measured of each of them alone did not tell. Who asks for few
 * bits of weights wants a small file, and keeps it.
 */
export function deservesFiner(graph: Graph, { techniques }: Scheme, built: Measured): boolean {
  const { residualPlanes, poorWork } = techniques;
  const limit = FAR_DB.find(({ macs }) => macsOfGraph(graph) <= macs);
  return residualPlanes && poorWork >= 1 && limit !== undefined && farthestDb(built) < limit.db;
}

/**
 * The finer of two results where its farthest output is nearer to float, with a notice; else the first.
 *
 * @param what has more bits in the finer one
 */
export function nearer<T extends Measured>(built: T, finer: T, what: string): T {
  const [before, after] = [farthestDb(built), farthestDb(finer)];
  if (!(after > before)) return built;
  const notice =
    `An output was ${decibels(before)} dB from the float model: ${what} more bits throughout, which takes more time ` +
    `an image, and it is at ${decibels(after)} dB`;
  return { ...finer, notices: [...built.notices, notice] };
}

/** In dB; an output that is always zero tells nothing. */
const farthestDb = ({ outputs }: Measured): number =>
  outputs.reduce((least, { sqnrDb }) => (sqnrDb < least ? sqnrDb : least), Infinity);

/** A quarter of the usual margin: four times the largest value seen, or twice for products, is left. */
const ROOM = 1 / 4;

/** The scheme whose 16-bit values have finer steps. */
export const finerScheme = (scheme: Scheme): Scheme => ({
  ...scheme,
  techniques: { ...scheme.techniques, room: ROOM },
});

/** More bits for every input, all softmax weights and all layers' weights. */
export function everythingSensitive({ nodes }: Graph): Omit<Sensitive, 'weightBits'> {
  const fineSoftmax = nodes.filter((node) => node.op === 'attention' && node.keys <= MAX_FINE_KEYS);
  return {
    inputs: new Set(nodes.map(({ id }) => id)),
    softmax: new Set(fineSoftmax.map(({ id }) => id)),
    weights: new Set(nodes.map(({ id }) => id)),
  };
}

/** Most scores of one attention on all images, which lie in memory at once: 256 MB, two or three times. */
const MOST_SCORES = 2 ** 26;

/** The graph with attention as products and a softmax, whose operands have 16 bits, where its scores fit memory. */
export function attentionAsProducts(graph: Graph, images = 1): Graph {
  const fits = ({ rows, heads, keys }: AttentionNode): boolean => images * rows * heads * keys <= MOST_SCORES;
  const nodes = graph.nodes.flatMap((node) => (node.op === 'attention' && fits(node) ? productsOf(node) : [node]));
  return { ...graph, nodes };
}

/** What a softmax cannot tell from −∞ beside scores of a sensible size; less would take the bits of these. */
const LOWEST_BIAS = -1e4;

/** Nodes that compute an attention, the last under its id. */
function productsOf(node: AttentionNode): GraphNode[] {
  const { id, name, rows, cols, q, k, v, batch, heads, queries, keys, dim, valueDim } = node;
  const named = (step: string, cols: number) => ({ id: `${id}#${step}`, name: `${name}.${step}`, rows, cols });
  const scores = named('scores', heads * keys);
  const scaled = named('scaled', heads * keys);
  const biased = named('biased', heads * keys);
  const weights = { ...named('weights', keys), rows: rows * heads };
  const bias = biasOf(node);
  return [
    { op: 'matmul', ...scores, a: q, b: k, batch, heads, m: queries, n: keys, dim },
    {
      ...{ op: 'affine', ...scaled, x: scores.id },
      scale: Float32Array.from({ length: scaled.cols }, (_, c) => node.scale[Math.floor(c / keys)]),
      shift: new Float32Array(scaled.cols),
    },
    ...(bias === null ? [] : [{ op: 'addConst' as const, ...biased, x: scaled.id, value: bias }]),
    { op: 'softmax', ...weights, x: bias === null ? scaled.id : biased.id },
    {
      ...{ op: 'matmul', id, name, rows, cols },
      a: { source: weights.id, stride: heads * keys, rows: null, offset: 0, headStride: keys },
      b: { ...v, transposed: true },
      ...{ batch, heads, m: queries, n: valueDim, dim: keys },
    },
  ];
}

/** [batch·queries, heads·keys] */
function biasOf({ bias, batch, biasBatch, biasHeads, heads, queries, keys }: AttentionNode): Float32Array | null {
  if (bias === null) return null;
  const value = new Float32Array(batch * queries * heads * keys);
  let at = 0;
  for (let w = 0; w < batch; w++)
    for (let i = 0; i < queries; i++)
      for (let h = 0; h < heads; h++) {
        const from = (((w % biasBatch) * biasHeads + (h % biasHeads)) * queries + i) * keys;
        for (let j = 0; j < keys; j++) value[at++] = Math.max(LOWEST_BIAS, bias[from + j]);
      }
  return value;
}
