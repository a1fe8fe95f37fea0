import { collect } from '../../calibrate/collect.js';
import { openProducts, type Products } from '../../calibrate/products.js';
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { operandsOf, withOperands } from '../../graph/nodes.js';
import type { ConstantNode, Graph, GraphNode, LinearNode } from '../../graph/types.js';
import { agreementOf } from '../../metrics/agreement.js';
import { SECOND_PLANE_BITS } from '../fit/weight-correction.js';
import { askedBits } from './layer-bits.js';
import { rowsNeeded, type Plan } from '../plan.js';
import { codesError, roundedWeights, softmaxError, weightsError, type ValueOf } from './rounding-errors.js';
import { MAX_FINE_KEYS, softmaxKind } from '../build/scores.js';
import type { SequenceSettings } from '../settings.js';
import { codesSource, type ValueScales } from './value-scales.js';

/** Where the error of a model with 8-bit inputs, weights and softmax weights would come from. */
export interface Sensitivities {
  /** Of values that linear layers read, by id. */
  readonly inputs: ReadonlyMap<string, Sensitivity>;
  /** Of softmax weights, by the id of the attention. */
  readonly softmax: ReadonlyMap<string, Sensitivity>;
  /** Of weights, by the id of the linear layer. */
  readonly weights: ReadonlyMap<string, Sensitivity>;
  /** What rounding the weights of all other layers does, as a share of the logits' energy. */
  readonly otherWeights: number;
  /** Multiply-adds of all linear layers. */
  readonly work: number;
  /** Bytes of all their weights in the file. */
  readonly weightBytes: number;
}

/** What too few bits of one value, of one attention's softmax weights or of one layer's weights do to the model. */
export interface Sensitivity {
  /** Squared error of the logits, as a share of their energy, with all else in float. */
  readonly error: number;
  /** Multiply-adds that a second plane of the codes adds; of weights also what reading them costs. */
  readonly macs: number;
  /** Bytes that it adds to the file. */
  readonly bytes: number;
}

/** What gets a second plane. */
export interface Sensitive {
  /** Values whose codes have 16 bits, by id. */
  readonly inputs: ReadonlySet<string>;
  /** Attentions whose softmax weights have 12, by id. */
  readonly softmax: ReadonlySet<string>;
  /** Linear layers whose weights have 12, by id. */
  readonly weights: ReadonlySet<string>;
}

export const NOTHING_MEASURED: Sensitivities = {
  inputs: new Map(),
  softmax: new Map(),
  weights: new Map(),
  otherWeights: 0,
  work: 0,
  weightBytes: 0,
};
export const NOTHING_SENSITIVE: Sensitive = { inputs: new Set(), softmax: new Set(), weights: new Set() };

export interface SensitivityRequest {
  readonly graph: Graph;
  readonly plan: Plan;
  /** Linear layers that share the weights of another one, by id. */
  readonly twins: ReadonlyMap<string, string>;
  readonly statistics: ReadonlyMap<string, ChannelStatistics>;
  readonly scales: ValueScales;
  readonly settings: SequenceSettings;
  /** u8 HWC pixels. A handful of them is used: each gives as many errors as there are logits. */
  readonly images: readonly Uint8Array[];
  /** Runs of the float model, about; each image takes one for every value, softmax and layer. */
  readonly runs: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly threads: number;
  readonly onProgress?: (done: number, total: number) => void;
}

type Kind = 'inputs' | 'softmax' | 'weights';

/** What could get a second plane. */
interface Candidate {
  readonly kind: Kind;
  /** Whose value the error is added to: for the linear layers that read it, or, if it is that of weights, for all who do. */
  readonly node: GraphNode;
  readonly macs: number;
  readonly bytes: number;
  /** The values that the error is computed from. */
  readonly sources: readonly string[];
  readonly errorOf: (valueOf: ValueOf) => Float32Array | Promise<Float32Array>;
}

/**
 * Measures, for every value that linear layers read in 8 bits, what its rounding and clipping alone does to the logits, and
 * the same of every softmax with 8-bit weights and of every layer's weights: the float model runs once for each and each
 * image, with that error added. Values for whose layers the user asked for a number of bits are left out.
 */
export async function measureSensitivities(request: SensitivityRequest): Promise<Sensitivities> {
  const { mean, std, threads } = request;
  const products = await openProducts(threads);
  try {
    const candidates = [
      ...inputCandidates(request),
      ...softmaxCandidates(request),
      ...weightCandidates(request, products),
    ];
    if (candidates.length === 0) return NOTHING_MEASURED;
    const images = spread(request.images, Math.max(1, Math.floor(request.runs / candidates.length)));
    const common = { mean, std, threads, statistics: new Set<string>(), statisticsImages: 0, histograms: false };
    const rowsOf = (id: string): number => request.plan.nodes.get(id)!.rows;
    const sampled = new Set(candidates.flatMap(({ sources }) => sources));
    const allRows = new Map([...sampled].map((id) => [id, () => Int32Array.from({ length: rowsOf(id) }, (_, r) => r)]));
    const exact = await collect({ ...common, graph: request.graph, images, samples: allRows });
    try {
      const runs = images.flatMap((pixels, image) => candidates.map((candidate) => ({ pixels, image, candidate })));
      const zeros = new Float32Array(candidates.reduce((most, { node }) => Math.max(most, node.rows * node.cols), 0));
      const valuesOf =
        (image: number): ValueOf =>
        (id) => {
          const { rows, cols } = request.plan.nodes.get(id)!;
          return exact.samples.read(id, image * rows * cols, (image + 1) * rows * cols);
        };
      const addedTo = (place: Candidate, run: number): Float32Array | Promise<Float32Array> => {
        const { image, candidate } = runs[run];
        const isHere = errorId(candidate) === errorId(place);
        return isHere ? candidate.errorOf(valuesOf(image)) : zeros.subarray(0, place.node.rows * place.node.cols);
      };
      const rounded = await collect({
        ...common,
        graph: withErrors(request, candidates),
        images: runs.map(({ pixels }) => pixels),
        samples: new Map(),
        given: new Map(candidates.map((place) => [errorId(place), (run: number) => addedTo(place, run)])),
        onProgress: request.onProgress,
      });
      rounded.samples.close();
      const inOthers = await collect({ ...common, graph: withRoundedWeights(request), images, samples: new Map() });
      inOthers.samples.close();
      const errorOf = (logits: readonly Float32Array[]): number =>
        10 ** (-agreementOf(exact.logits, logits).sqnrDb / 10);
      const logitsOf = (c: number): Float32Array[] =>
        images.map((_, image) => rounded.logits[image * candidates.length + c]);
      const measured = candidates.map(({ kind, node, macs, bytes }, c) => ({
        kind,
        id: node.id,
        sensitivity: { error: errorOf(logitsOf(c)), macs, bytes },
      }));
      const of = (wanted: Kind) =>
        new Map(measured.filter(({ kind }) => kind === wanted).map(({ id, sensitivity }) => [id, sensitivity]));
      return {
        inputs: of('inputs'),
        softmax: of('softmax'),
        weights: of('weights'),
        otherWeights: errorOf(inOthers.logits),
        ...sizesOf(request),
      };
    } finally {
      exact.samples.close();
    }
  } finally {
    await products.close();
  }
}

/** So many of a list's elements, evenly spread; all of them where there are fewer. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
}

/** Least share of the whole error that is worth a share of work or file: the model is to be as near to float as its speed allows. */
const LEAST_WORTH = 1 / 3;

/** What a share of the file costs, beside the same share of work. */
const FILE_COST = 1 / 2;

/**
 * What to give a second plane: what takes the most error away for its cost, as long as the share of the whole error that
 * each takes away is at least a third of its cost, and all together add no more than `most` to the work of linear layers.
 * The cost is the share that it adds to that work, plus half the share that it adds to the file's weights.
 */
export function chooseSensitive(
  { inputs, softmax, weights, otherWeights, work, weightBytes }: Sensitivities,
  most: number,
): Sensitive {
  const chosen = { inputs: new Set<string>(), softmax: new Set<string>(), weights: new Set<string>() };
  const listed = (values: ReadonlyMap<string, Sensitivity>, to: Set<string>) =>
    [...values].map(([id, { error, macs, bytes }]) => ({
      id,
      to,
      error,
      macs,
      cost: macs / work + FILE_COST * (bytes / weightBytes),
    }));
  const all = [
    ...listed(inputs, chosen.inputs),
    ...listed(softmax, chosen.softmax),
    ...listed(weights, chosen.weights),
  ];
  const error = all.reduce((sum, value) => sum + value.error, otherWeights);
  let spent = 0;
  for (const value of all.sort((a, b) => b.error / b.cost - a.error / a.cost)) {
    if (value.error < LEAST_WORTH * error * value.cost) break;
    if (spent + value.macs > most * work) continue;
    spent += value.macs;
    value.to.add(value.id);
  }
  return chosen;
}

const macsOf = (plan: Plan, node: LinearNode): number => rowsNeeded(plan, node) * node.cols * node.inFeatures;

/** The values that linear layers read, those with a layer left out that has 16 bits already or whose bits the user chose. */
function inputCandidates({ graph, plan, scales, settings }: SensitivityRequest): Candidate[] {
  const readers = new Map<string, LinearNode[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'linear') continue;
    const source = codesSource(plan, node.x);
    readers.set(source, [...(readers.get(source) ?? []), node]);
  }
  const isOpen = (node: LinearNode): boolean =>
    scales.inputBits(node) === 8 && askedBits(node.name, settings.options.layerBits) === undefined;
  return [...readers]
    .filter(([, layers]) => layers.every(isOpen))
    .map(([id, layers]) => {
      const codes = scales.inputCodes(layers[0]);
      return {
        kind: 'inputs',
        node: plan.nodes.get(id)!,
        macs: layers.reduce((sum, layer) => sum + macsOf(plan, layer), 0),
        bytes: 0,
        sources: [id],
        errorOf: (valueOf) => codesError(valueOf(id), codes),
      };
    });
}

/** The attentions whose output linear layers read as it is. */
function softmaxCandidates({ graph, plan, scales, settings }: SensitivityRequest): Candidate[] {
  const kind = softmaxKind(settings.options);
  return graph.nodes
    .filter((node) => node.op === 'attention')
    .filter(
      (node) => plan.form.get(node.id) === 'codes' && node.keys <= MAX_FINE_KEYS && scales.softmaxBits(node) === 8,
    )
    .map((node) => ({
      kind: 'softmax',
      node,
      macs: rowsNeeded(plan, node) * node.heads * node.keys * node.valueDim,
      bytes: 0,
      sources: operandsOf(node),
      errorOf: (valueOf) => softmaxError(node, kind, valueOf),
    }));
}

/** Multiply-adds in the time of reading a byte that no layer has read before: 10 GB/s beside 240 GMAC/s, on one core of a server. */
const READ_MACS = 24;

/** The linear layers of so few rows that a second plane of weights costs little but its place in the file. */
function weightCandidates(request: SensitivityRequest, products: Products): Candidate[] {
  const { graph, plan, scales, settings, statistics } = request;
  const { weightBits } = settings.options;
  return graph.nodes
    .filter((node) => node.op === 'linear')
    .filter((node) => mayHaveTwoPlanes(node, request))
    .map((node) => {
      const { scale } = scales.inputCodes(node);
      return {
        kind: 'weights',
        node,
        macs: macsOf(plan, node) + READ_MACS * node.weight.length,
        bytes: (node.weight.length * SECOND_PLANE_BITS) / 8,
        sources: [node.x],
        errorOf: (valueOf) => weightsError(node, weightBits, scale, statistics.get(node.x)!, valueOf, products),
      };
    });
}

function mayHaveTwoPlanes(node: LinearNode, { plan, scales, settings }: SensitivityRequest): boolean {
  return settings.secondWeightPlanes && scales.hasFewRows(node) && rowsNeeded(plan, node) > 0;
}

/** The graph with the weights of its other linear layers rounded to nearest. */
function withRoundedWeights(request: SensitivityRequest): Graph {
  const { graph, scales, settings } = request;
  const nodes = graph.nodes.map((node): GraphNode => {
    if (node.op !== 'linear' || mayHaveTwoPlanes(node, request)) return node;
    return { ...node, weight: roundedWeights(node, settings.options.weightBits, scales.inputCodes(node).scale) };
  });
  return { ...graph, nodes };
}

function sizesOf({ graph, plan, twins, settings }: SensitivityRequest): Pick<Sensitivities, 'work' | 'weightBytes'> {
  const layers = graph.nodes.filter((node) => node.op === 'linear');
  const weights = layers.reduce((sum, { id, weight }) => sum + (twins.has(id) ? 0 : weight.length), 0);
  return {
    work: layers.reduce((sum, layer) => sum + macsOf(plan, layer), 0),
    weightBytes: (weights * settings.options.weightBits) / 8,
  };
}

/** The constant that stands for an error, to be given; softmax weights' errors are those of the attention's output, as its codes' are. */
const errorId = ({ kind, node }: Candidate): string => `${node.id}#${kind === 'weights' ? 'weights' : 'codes'}`;
const roundedId = (id: string): string => `${id}#rounded`;
const exactId = (id: string): string => `${id}#exact`;

/**
 * The graph in which linear layers read each candidate's value plus its error, and everything the outputs of linear layers
 * plus those of their weights.
 */
function withErrors({ graph, plan }: SensitivityRequest, candidates: readonly Candidate[]): Graph {
  const errorsOf = (some: readonly Candidate[]) =>
    new Map(some.map((candidate) => [candidate.node.id, errorId(candidate)]));
  const codes = errorsOf(candidates.filter(({ kind }) => kind !== 'weights'));
  const weights = errorsOf(candidates.filter(({ kind }) => kind === 'weights'));
  const readsCodes = (node: GraphNode): boolean =>
    node.op === 'linear' || (node.op === 'gather' && plan.form.get(node.id) === 'codes');
  /** Adds an error to `x`, as a node of the given id. */
  const plus = ({ rows, cols }: GraphNode, x: string, error: string, id: string): GraphNode[] => {
    const constant: ConstantNode = { op: 'constant', id: error, name: error, rows, cols, value: new Float32Array(0) };
    return [constant, { op: 'add', id, name: id, rows, cols, a: x, b: error }];
  };
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    const reading = readsCodes(node) ? withOperands(node, (id) => (codes.has(id) ? roundedId(id) : id)) : node;
    const own = weights.get(node.id);
    const made =
      own === undefined
        ? [reading]
        : [{ ...reading, id: exactId(node.id) }, ...plus(node, exactId(node.id), own, node.id)];
    const ofCodes = codes.get(node.id);
    return ofCodes === undefined ? made : [...made, ...plus(node, node.id, ofCodes, roundedId(node.id))];
  });
  return { ...graph, nodes };
}
