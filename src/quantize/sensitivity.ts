import { collect } from '../calibrate/collect.js';
import { withOperands } from '../graph/nodes.js';
import type { ConstantNode, Graph, GraphNode, LinearNode } from '../graph/types.js';
import { agreementOf } from '../report/agreement.js';
import { roundToNearest } from './compensate.js';
import { askedBits } from './layer-bits.js';
import type { Plan } from './plan.js';
import { CODE_LIMIT } from './scales.js';
import type { SequenceSettings } from './settings.js';
import { codesSource, type Target, type ValueScales } from './value-scales.js';

/** Where the error of a model with 8-bit inputs would come from. */
export interface Sensitivities {
  /** By the id of the value. */
  readonly inputs: ReadonlyMap<string, Sensitivity>;
  /** What rounding all weights does, as a share of the logits' energy: no input can take that away. */
  readonly weights: number;
}

/** What 8-bit codes of one value, the input of linear layers, do to the model. */
export interface Sensitivity {
  /** Squared error of the logits, as a share of their energy, with all else in float. */
  readonly error: number;
  /** Multiply-adds of the layers that read the value: what a second plane of 8 bits adds. */
  readonly macs: number;
}

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

/** A value that linear layers read as 8-bit codes. */
interface Candidate {
  readonly node: GraphNode;
  readonly codes: Target;
  readonly macs: number;
}

/**
 * Measures, for every value that linear layers read in 8 bits, what its rounding and clipping alone does to the logits: the
 * float model runs once for each value and image, with the error of that value's codes added to it. Values for whose layers
 * the user asked for a number of bits are left out.
 */
export async function measureSensitivities(request: SensitivityRequest): Promise<Sensitivities> {
  const candidates = candidatesOf(request);
  if (candidates.length === 0) return { inputs: new Map(), weights: 0 };
  const { mean, std, threads } = request;
  const images = spread(request.images, Math.max(1, Math.floor(request.runs / candidates.length)));
  const common = { mean, std, threads, statistics: new Set<string>(), statisticsImages: 0, histograms: false };
  const allRows = new Map(candidates.map(({ node }) => [node.id, () => Int32Array.from({ length: node.rows }, (_, r) => r)]));
  const exact = await collect({ ...common, graph: request.graph, images, samples: allRows });
  try {
    const runs = images.flatMap((pixels, image) => candidates.map((candidate) => ({ pixels, image, candidate })));
    const zeros = new Float32Array(candidates.reduce((most, { node }) => Math.max(most, node.rows * node.cols), 0));
    const addedTo = ({ node, codes }: Candidate, run: number): Float32Array => {
      const size = node.rows * node.cols;
      const { image, candidate } = runs[run];
      return candidate.node === node ? roundingError(exact.samples.read(node.id, image * size, (image + 1) * size), codes) : zeros.subarray(0, size);
    };
    const rounded = await collect({
      ...common,
      graph: withErrors(request, candidates),
      images: runs.map(({ pixels }) => pixels),
      samples: new Map(),
      given: new Map(candidates.map((candidate) => [errorId(candidate.node.id), (run: number) => addedTo(candidate, run)])),
      onProgress: request.onProgress,
    });
    rounded.samples.close();
    const inWeights = await collect({ ...common, graph: withRoundedWeights(request), images, samples: new Map() });
    inWeights.samples.close();
    const errorOf = (logits: readonly Float32Array[]): number => 10 ** (-agreementOf(exact.logits, logits).sqnrDb / 10);
    const logitsOf = (c: number): Float32Array[] => images.map((_, image) => rounded.logits[image * candidates.length + c]);
    return {
      inputs: new Map(candidates.map(({ node, macs }, c) => [node.id, { error: errorOf(logitsOf(c)), macs }])),
      weights: errorOf(inWeights.logits),
    };
  } finally {
    exact.samples.close();
  }
}

/** So many of a list's elements, evenly spread; all of them where there are fewer. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
}

/**
 * The values to give 16 bits: those that take the most error away for their work, as long as each takes away at least the
 * share of the whole error that it adds to the work of linear layers, and all together add no more than `most` of that.
 */
export function chooseSensitive({ inputs, weights }: Sensitivities, most: number): Set<string> {
  const all = [...inputs].map(([id, sensitivity]) => ({ id, ...sensitivity }));
  const work = all.reduce((sum, { macs }) => sum + macs, 0);
  const error = all.reduce((sum, value) => sum + value.error, weights);
  const chosen = new Set<string>();
  let spent = 0;
  for (const value of all.sort((a, b) => b.error / b.macs - a.error / a.macs)) {
    if (value.error * work < error * value.macs) break;
    if (spent + value.macs > most * work) continue;
    spent += value.macs;
    chosen.add(value.id);
  }
  return chosen;
}

/** The values that linear layers read, those with a layer left out that has 16 bits already or whose bits the user chose. */
function candidatesOf({ graph, plan, scales, settings }: SensitivityRequest): Candidate[] {
  const readers = new Map<string, LinearNode[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'linear') continue;
    const source = codesSource(plan, node.x);
    readers.set(source, [...(readers.get(source) ?? []), node]);
  }
  const isOpen = (node: LinearNode): boolean => scales.inputBits(node) === 8 && askedBits(node.name, settings.options.layerBits) === undefined;
  const macsOf = (node: LinearNode): number => (plan.needed.get(node.id)?.length ?? node.rows) * node.cols * node.inFeatures;
  return [...readers]
    .filter(([, layers]) => layers.every(isOpen))
    .map(([id, layers]) => ({
      node: plan.nodes.get(id)!,
      codes: scales.target(id, 'codes', layers[0].inFeatures),
      macs: layers.reduce((sum, layer) => sum + macsOf(layer), 0),
    }));
}

const errorId = (id: string): string => `${id}#error`;
const roundedId = (id: string): string => `${id}#rounded`;

/** The graph whose linear layers read each candidate's value plus an error, a constant to be given. */
function withErrors({ graph, plan }: SensitivityRequest, candidates: readonly Candidate[]): Graph {
  const isCandidate = new Set(candidates.map(({ node }) => node.id));
  const readsCodes = (node: GraphNode): boolean => node.op === 'linear' || (node.op === 'gather' && plan.form.get(node.id) === 'codes');
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    const reading = readsCodes(node) ? withOperands(node, (id) => (isCandidate.has(id) ? roundedId(id) : id)) : node;
    if (!isCandidate.has(node.id)) return [reading];
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
