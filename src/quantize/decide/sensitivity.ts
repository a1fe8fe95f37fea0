/** What too few bits do to the logits, measured in the float model. */
import { collect, NO_STATISTICS, type Collected } from '../../calibrate/collect.js';
import { withOperands } from '../../graph/nodes/index.js';
import type { ConstantNode, Graph, GraphNode } from '../../graph/types.js';
import { RelativeError } from '../compare-outputs.js';
import type { Quantization } from '../context.js';
import { moves } from '../plan/queries.js';
import { findCandidates, macsOf, mayHaveResidualPlane, type Candidate, type Kind } from './candidates.js';
import { roundedWeights, type ValueOf } from './rounding-errors.js';

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
  /** Squared error of the logits, as a share of their energy, with all else in float; the mean of several outputs. */
  readonly error: number;
  /** Multiply-adds that more bits add; of weights also what reading them costs. */
  readonly macs: number;
  /** Bytes that it adds to the file. */
  readonly bytes: number;
}

export const NOTHING_MEASURED: Sensitivities = {
  inputs: new Map(),
  softmax: new Map(),
  weights: new Map(),
  otherWeights: 0,
  work: 0,
  weightBytes: 0,
};

/**
 * Measures, for every value that linear layers read in 8 bits, what its rounding and clipping alone does to the logits,
 * and the same of every softmax with 8-bit weights and of every layer's weights: the float model runs once for each and
 * each image, with that error added. Values for whose layers the user asked for a number of bits are left out.
 *
 * @param runs of the float model, about; each image takes one for every candidate
 */
export async function measureSensitivities(
  quantization: Quantization,
  runs: number,
  onProgress?: (done: number, total: number) => void,
): Promise<Sensitivities> {
  const { calibration } = quantization;
  const candidates = findCandidates(quantization);
  if (candidates.length === 0) return NOTHING_MEASURED;
  const fitted = calibration.images.slice(0, calibration.fitImages);
  const images = spread(fitted, Math.max(1, Math.floor(runs / candidates.length)));
  const { normalization, threads } = calibration;
  const common = { normalization, runtime: { threads }, statistics: NO_STATISTICS };
  const rowsOf = (id: string): number => calibration.plan.nodes.get(id)!.rows;
  const sampled = new Set(candidates.flatMap(({ sources }) => sources));
  const allRows = new Map([...sampled].map((id) => [id, () => Int32Array.from({ length: rowsOf(id) }, (_, r) => r)]));
  const exact = await collect({ ...common, graph: calibration.graph, images, samples: allRows });
  try {
    const errors = candidates.map(() => new RelativeError(calibration.graph));
    const ofOthers = new RelativeError(calibration.graph);
    const rounded = await collect({
      ...common,
      graph: withErrors(quantization, candidates),
      images: images.flatMap((pixels) => candidates.map(() => pixels)),
      samples: new Map(),
      given: givenErrors(quantization, candidates, exact),
      listeners: {
        onOutput: (values, run) =>
          errors[run % candidates.length].add(exact.logits[Math.floor(run / candidates.length)], values),
        onProgress,
      },
    });
    rounded.samples.close();
    const inOthers = await collect({
      ...common,
      graph: withRoundedWeights(quantization),
      images,
      samples: new Map(),
      listeners: { onOutput: (values, image) => ofOthers.add(exact.logits[image], values) },
    });
    inOthers.samples.close();
    const measured = candidates.map(({ kind, node, macs, bytes }, c) => {
      return { kind, id: node.id, sensitivity: { error: errors[c].result(), macs, bytes } };
    });
    const of = (wanted: Kind) =>
      new Map(measured.filter(({ kind }) => kind === wanted).map(({ id, sensitivity }) => [id, sensitivity]));
    return {
      inputs: of('inputs'),
      softmax: of('softmax'),
      weights: of('weights'),
      otherWeights: ofOthers.result(),
      ...sizesOf(quantization),
    };
  } finally {
    exact.samples.close();
  }
}

/** By the place where it is added: the error of each run, one candidate's, else zeros. Runs go image by image. */
function givenErrors(
  { calibration }: Quantization,
  candidates: readonly Candidate[],
  exact: Collected,
): Map<string, (run: number) => Float32Array | Promise<Float32Array>> {
  const zeros = new Float32Array(candidates.reduce((most, { node }) => Math.max(most, node.rows * node.cols), 0));
  const valuesOf =
    (image: number): ValueOf =>
    (id) => {
      const { rows, cols } = calibration.plan.nodes.get(id)!;
      return exact.samples.read(id, image * rows * cols, (image + 1) * rows * cols);
    };
  const addedTo = (place: Candidate, run: number): Float32Array | Promise<Float32Array> => {
    const candidate = candidates[run % candidates.length];
    if (errorId(candidate) !== errorId(place)) return zeros.subarray(0, place.node.rows * place.node.cols);
    return candidate.errorOf(valuesOf(Math.floor(run / candidates.length)));
  };
  return new Map(candidates.map((place) => [errorId(place), (run: number) => addedTo(place, run)]));
}

/** So many of a list's elements, evenly spread; all of them where there are fewer. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
}

/** The graph with the weights of its other linear layers rounded to nearest. */
function withRoundedWeights(quantization: Quantization): Graph {
  const { calibration, encodings, scheme } = quantization;
  const { graph } = calibration;
  const { weightBits } = scheme.techniques.fit;
  const nodes = graph.nodes.map((node): GraphNode => {
    if (node.op !== 'linear' || mayHaveResidualPlane(node, quantization)) return node;
    return { ...node, weight: roundedWeights(node, { weightBits, inputScale: encodings.inputs.of(node).scale }) };
  });
  return { ...graph, nodes };
}

function sizesOf({ calibration, scheme }: Quantization): Pick<Sensitivities, 'work' | 'weightBytes'> {
  const { graph, plan } = calibration;
  const layers = graph.nodes.filter((node) => node.op === 'linear');
  const weights = layers.reduce((sum, { weightsOf, weight }) => sum + (weightsOf === undefined ? weight.length : 0), 0);
  return {
    work: layers.reduce((sum, layer) => sum + macsOf(plan, layer), 0),
    weightBytes: (weights * scheme.techniques.fit.weightBits) / 8,
  };
}

/**
 * The constant that stands for an error, to be given; softmax weights' errors are those of the attention's output, as
 * its quantized values' are.
 */
const errorId = ({ kind, node }: Candidate): string => `${node.id}#${kind === 'weights' ? 'weights' : 'codes'}`;
const roundedId = (id: string): string => `${id}#rounded`;
const exactId = (id: string): string => `${id}#exact`;

/**
 * The graph in which linear layers read each candidate's value plus its error, and everything the outputs of linear
 * layers plus those of their weights.
 */
function withErrors({ calibration }: Quantization, candidates: readonly Candidate[]): Graph {
  const { graph, plan } = calibration;
  const errorsOf = (some: readonly Candidate[]) =>
    new Map(some.map((candidate) => [candidate.node.id, errorId(candidate)]));
  const ofValues = errorsOf(candidates.filter(({ kind }) => kind !== 'weights'));
  const weights = errorsOf(candidates.filter(({ kind }) => kind === 'weights'));
  const readsQuantized = (node: GraphNode): boolean =>
    node.op === 'linear' || (moves(node) && plan.form.get(node.id) === 'codes');
  /** Adds an error to `x`, as a node of the given id. */
  const plus = ({ rows, cols }: GraphNode, x: string, error: string, id: string): GraphNode[] => {
    const constant: ConstantNode = { op: 'constant', id: error, name: error, rows, cols, value: new Float32Array(0) };
    return [constant, { op: 'add', id, name: id, rows, cols, a: x, b: error }];
  };
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    const reading = readsQuantized(node) ? withOperands(node, (id) => (ofValues.has(id) ? roundedId(id) : id)) : node;
    const own = weights.get(node.id);
    const made =
      own === undefined
        ? [reading]
        : [{ ...reading, id: exactId(node.id) }, ...plus(node, exactId(node.id), own, node.id)];
    const added = ofValues.get(node.id);
    return added === undefined ? made : [...made, ...plus(node, node.id, added, roundedId(node.id))];
  });
  return { ...graph, nodes };
}
