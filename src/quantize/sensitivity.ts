import { collect } from '../calibrate/collect.js';
import { operandsOf, viewStart, withOperands } from '../graph/nodes.js';
import type { AttentionNode, ConstantNode, Graph, GraphNode, LinearNode } from '../graph/types.js';
import { softmaxDither, softmaxWeight } from '../kernels/attention.js';
import type { SoftmaxBits, SoftmaxKind } from '../program/types.js';
import { agreementOf } from '../report/agreement.js';
import { roundToNearest } from './compensate.js';
import { askedBits } from './layer-bits.js';
import { rowsNeeded, type Plan } from './plan.js';
import { CODE_LIMIT } from './scales.js';
import { MAX_FINE_KEYS, SCORE_BITS, SCORE_UNIT, softmaxKind } from './scores.js';
import type { SequenceSettings } from './settings.js';
import { codesSource, type Target, type ValueScales } from './value-scales.js';

/** Where the error of a model with 8-bit inputs and softmax weights would come from. */
export interface Sensitivities {
  /** By the id of the value. */
  readonly inputs: ReadonlyMap<string, Sensitivity>;
  /** By the id of the attention. */
  readonly softmax: ReadonlyMap<string, Sensitivity>;
  /** What rounding all weights does, as a share of the logits' energy: no input can take that away. */
  readonly weights: number;
}

/** What 8-bit codes of one value, the input of linear layers, or of one attention's softmax do to the model. */
export interface Sensitivity {
  /** Squared error of the logits, as a share of their energy, with all else in float. */
  readonly error: number;
  /** Multiply-adds that read the codes: what a second plane of them adds. */
  readonly macs: number;
}

/** What gets a second plane. */
export interface Sensitive {
  /** Values whose codes have 16 bits, by id. */
  readonly inputs: ReadonlySet<string>;
  /** Attentions whose softmax weights have 12, by id. */
  readonly softmax: ReadonlySet<string>;
}

export const NOTHING_MEASURED: Sensitivities = { inputs: new Map(), softmax: new Map(), weights: 0 };
export const NOTHING_SENSITIVE: Sensitive = { inputs: new Set(), softmax: new Set() };

export interface SensitivityRequest {
  readonly graph: Graph;
  readonly plan: Plan;
  readonly scales: ValueScales;
  readonly settings: SequenceSettings;
  /** u8 HWC pixels. A handful of them is used: each gives as many errors as there are logits. */
  readonly images: readonly Uint8Array[];
  /** Runs of the float model, about; each image takes one for every value. */
  readonly runs: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly threads: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Float values of an image, by node. */
type ValueOf = (id: string) => Float32Array;

/** What could get a second plane. */
interface Candidate {
  readonly kind: 'inputs' | 'softmax';
  /** Whose value the error of 8 bits is added to, for the linear layers that read it. */
  readonly node: GraphNode;
  readonly macs: number;
  /** The values that the error is computed from. */
  readonly sources: readonly string[];
  readonly errorOf: (valueOf: ValueOf) => Float32Array;
}

/**
 * Measures, for every value that linear layers read in 8 bits, what its rounding and clipping alone does to the logits, and
 * the same of every softmax with 8-bit weights: the float model runs once for each and each image, with that error added.
 * Values for whose layers the user asked for a number of bits are left out.
 */
export async function measureSensitivities(request: SensitivityRequest): Promise<Sensitivities> {
  const candidates = [...inputCandidates(request), ...softmaxCandidates(request)];
  if (candidates.length === 0) return NOTHING_MEASURED;
  const { mean, std, threads } = request;
  const images = spread(request.images, Math.max(1, Math.floor(request.runs / candidates.length)));
  const common = { mean, std, threads, statistics: new Set<string>(), statisticsImages: 0, histograms: false };
  const rowsOf = (id: string): number => request.plan.nodes.get(id)!.rows;
  const sampled = new Set(candidates.flatMap(({ sources }) => sources));
  const allRows = new Map([...sampled].map((id) => [id, () => Int32Array.from({ length: rowsOf(id) }, (_, r) => r)]));
  const exact = await collect({ ...common, graph: request.graph, images, samples: allRows });
  try {
    const runs = images.flatMap((pixels, image) => candidates.map((candidate) => ({ pixels, image, candidate })));
    const zeros = new Float32Array(candidates.reduce((most, { node }) => Math.max(most, node.rows * node.cols), 0));
    const valuesOf = (image: number): ValueOf => (id) => {
      const { rows, cols } = request.plan.nodes.get(id)!;
      return exact.samples.read(id, image * rows * cols, (image + 1) * rows * cols);
    };
    const addedTo = (node: GraphNode, run: number): Float32Array => {
      const { image, candidate } = runs[run];
      return candidate.node === node ? candidate.errorOf(valuesOf(image)) : zeros.subarray(0, node.rows * node.cols);
    };
    const places = new Set(candidates.map(({ node }) => node));
    const rounded = await collect({
      ...common,
      graph: withErrors(request, places),
      images: runs.map(({ pixels }) => pixels),
      samples: new Map(),
      given: new Map([...places].map((node) => [errorId(node.id), (run: number) => addedTo(node, run)])),
      onProgress: request.onProgress,
    });
    rounded.samples.close();
    const inWeights = await collect({ ...common, graph: withRoundedWeights(request), images, samples: new Map() });
    inWeights.samples.close();
    const errorOf = (logits: readonly Float32Array[]): number => 10 ** (-agreementOf(exact.logits, logits).sqnrDb / 10);
    const logitsOf = (c: number): Float32Array[] => images.map((_, image) => rounded.logits[image * candidates.length + c]);
    const measured = candidates.map(({ kind, node, macs }, c) => ({ kind, id: node.id, sensitivity: { error: errorOf(logitsOf(c)), macs } }));
    const of = (wanted: Candidate['kind']) => new Map(measured.filter(({ kind }) => kind === wanted).map(({ id, sensitivity }) => [id, sensitivity]));
    return { inputs: of('inputs'), softmax: of('softmax'), weights: errorOf(inWeights.logits) };
  } finally {
    exact.samples.close();
  }
}

/** So many of a list's elements, evenly spread; all of them where there are fewer. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
}

/** Least share of the whole error that is worth a share of work: the model is to be as near to float as its speed allows. */
const LEAST_WORTH = 1 / 3;

/**
 * What to give a second plane: what takes the most error away for its work, as long as the share of the whole error that
 * each takes away is at least a third of the share that it adds to the work of linear layers, and all together add no more
 * than `most` of that.
 */
export function chooseSensitive({ inputs, softmax, weights }: Sensitivities, most: number): Sensitive {
  const chosen = { inputs: new Set<string>(), softmax: new Set<string>() };
  const listed = (values: ReadonlyMap<string, Sensitivity>, to: Set<string>) => [...values].map(([id, sensitivity]) => ({ id, to, ...sensitivity }));
  const all = [...listed(inputs, chosen.inputs), ...listed(softmax, chosen.softmax)];
  const work = [...inputs.values()].reduce((sum, { macs }) => sum + macs, 0);
  const error = all.reduce((sum, value) => sum + value.error, weights);
  let spent = 0;
  for (const value of all.sort((a, b) => b.error / b.macs - a.error / a.macs)) {
    if (value.error * work < LEAST_WORTH * error * value.macs) break;
    if (spent + value.macs > most * work) continue;
    spent += value.macs;
    value.to.add(value.id);
  }
  return chosen;
}

/** The values that linear layers read, those with a layer left out that has 16 bits already or whose bits the user chose. */
function inputCandidates({ graph, plan, scales, settings }: SensitivityRequest): Candidate[] {
  const readers = new Map<string, LinearNode[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'linear') continue;
    const source = codesSource(plan, node.x);
    readers.set(source, [...(readers.get(source) ?? []), node]);
  }
  const isOpen = (node: LinearNode): boolean => scales.inputBits(node) === 8 && askedBits(node.name, settings.options.layerBits) === undefined;
  const macsOf = (node: LinearNode): number => rowsNeeded(plan, node) * node.cols * node.inFeatures;
  return [...readers]
    .filter(([, layers]) => layers.every(isOpen))
    .map(([id, layers]) => {
      const codes = scales.target(id, 'codes', layers[0].inFeatures);
      return {
        kind: 'inputs',
        node: plan.nodes.get(id)!,
        macs: layers.reduce((sum, layer) => sum + macsOf(layer), 0),
        sources: [id],
        errorOf: (valueOf) => roundingError(valueOf(id), codes),
      };
    });
}

/** The attentions whose output linear layers read as it is. */
function softmaxCandidates({ graph, plan, settings }: SensitivityRequest): Candidate[] {
  const kind = softmaxKind(settings.options);
  return graph.nodes
    .filter((node) => node.op === 'attention')
    .filter((node) => plan.form.get(node.id) === 'codes' && node.keys <= MAX_FINE_KEYS)
    .map((node) => ({
      kind: 'softmax',
      node,
      macs: rowsNeeded(plan, node) * node.heads * node.keys * node.valueDim,
      sources: operandsOf(node),
      errorOf: (valueOf) => softmaxError(node, kind, valueOf),
    }));
}

const errorId = (id: string): string => `${id}#error`;
const roundedId = (id: string): string => `${id}#rounded`;

/** The graph whose linear layers read each of `places` plus an error, a constant to be given. */
function withErrors({ graph, plan }: SensitivityRequest, places: ReadonlySet<GraphNode>): Graph {
  const ids = new Set([...places].map(({ id }) => id));
  const readsCodes = (node: GraphNode): boolean => node.op === 'linear' || (node.op === 'gather' && plan.form.get(node.id) === 'codes');
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    const reading = readsCodes(node) ? withOperands(node, (id) => (ids.has(id) ? roundedId(id) : id)) : node;
    if (!ids.has(node.id)) return [reading];
    const { id, name, rows, cols } = node;
    const error: ConstantNode = { op: 'constant', id: errorId(id), name: `${name}.error`, rows, cols, value: new Float32Array(0) };
    return [reading, error, { op: 'add', id: roundedId(id), name: `${name}.rounded`, rows, cols, a: id, b: error.id }];
  });
  return { ...graph, nodes };
}

/** The graph with the weights of its linear layers rounded to nearest. */
function withRoundedWeights({ graph, plan, scales, settings }: SensitivityRequest): Graph {
  const nodes = graph.nodes.map((node): GraphNode => {
    if (node.op !== 'linear') return node;
    const { cols: N, inFeatures: K } = node;
    const input = scales.target(codesSource(plan, node.x), 'codes', K).scale;
    const scaled = Float64Array.from(node.weight, (w, i) => w * input[i % K]);
    const { codes, scale } = roundToNearest(scaled, N, K, settings.options.weightBits);
    return { ...node, weight: Float32Array.from(codes, (code, i) => (code * scale[Math.floor(i / K)]) / input[i % K]) };
  });
  return { ...graph, nodes };
}

/** What codes of 8 bits add to a value, element by element. */
function roundingError(value: Float32Array, { out, scale, center }: Target): Float32Array {
  const cols = scale.length;
  const error = new Float32Array(value.length);
  for (let row = 0; row < value.length; row += cols) {
    let step = 1;
    if (out.type === 'rows') {
      let most = 0;
      for (let c = 0; c < cols; c++) most = Math.max(most, Math.abs((value[row + c] - center[c]) / scale[c]));
      step = most / CODE_LIMIT || 1;
    }
    for (let c = 0; c < cols; c++) {
      const exact = (value[row + c] - center[c]) / (scale[c] * step);
      const code = Math.max(-CODE_LIMIT - 1, Math.min(CODE_LIMIT, Math.round(exact)));
      error[row + c] = (code - exact) * scale[c] * step;
    }
  }
  return error;
}

/**
 * What softmax weights of 8 bits instead of 12 add to an attention's output, element by element: see `attendRow`. Queries,
 * keys and values are those of the float model.
 */
function softmaxError(node: AttentionNode, kind: SoftmaxKind, valueOf: ValueOf): Float32Array {
  const { queries, keys, dim, valueDim, heads } = node;
  const [q, k, v] = [node.q, node.k, node.v].map(({ source }) => valueOf(source));
  const error = new Float32Array(node.rows * node.cols);
  const scores = new Float64Array(keys);
  for (let row = 0; row < node.rows; row++) {
    const [window, query] = [Math.floor(row / queries), row % queries];
    for (let h = 0; h < heads; h++) {
      const biasAt = (((window % node.biasBatch) * node.biasHeads + (h % node.biasHeads)) * queries + query) * keys;
      const qAt = viewStart(node.q, row, h);
      for (let j = 0; j < keys; j++) {
        const kAt = viewStart(node.k, window * keys + j, h);
        let sum = 0;
        for (let c = 0; c < dim; c++) sum += q[qAt + c] * k[kAt + c];
        scores[j] = (sum * node.scale[h] + (node.bias === null ? 0 : node.bias[biasAt + j])) / SCORE_UNIT;
      }
      const [rounded, exact] = [weigh(scores, query, kind, 8), weigh(scores, query, kind, 12)];
      const at = row * node.cols + h * valueDim;
      for (let j = 0; j < keys; j++) {
        const vAt = viewStart(node.v, window * keys + j, h);
        for (let c = 0; c < valueDim; c++) error[at + c] += (rounded[j] - exact[j]) * v[vAt + c];
      }
    }
  }
  return error;
}

/** Softmax weights of one query's scores, their sum 1, as the integer kernels make them. */
function weigh(scores: Float64Array, query: number, kind: SoftmaxKind, bits: SoftmaxBits): Float64Array {
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((x, j) => softmaxWeight(Math.round(most - x), SCORE_BITS, kind, bits, softmaxDither(query, j, bits)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}
