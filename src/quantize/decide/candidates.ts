/** What could get more bits, and what too few of them add to the float model. */
import { operandsOf } from '../../graph/nodes/index.js';
import type { GraphNode, LinearNode } from '../../graph/types.js';
import { MAX_FINE_KEYS } from '../build/scores.js';
import { RESIDUAL_PLANE_BITS } from '../fit/linear.js';
import { digestOf } from '../digest.js';
import { inputSource, rowsNeeded } from '../plan/queries.js';
import type { Plan } from '../plan/types.js';
import type { Quantization } from '../context.js';
import { askedBits } from './layer-bits.js';
import { MEASURED_BITS } from './share-bits.js';
import { quantizationError, softmaxError, weightChange, weightsError, type ValueOf } from './rounding-errors.js';

/** `planes`: the weights that a residual plane would make finer; `widths`: those that share a target of bits. */
export type Kind = 'inputs' | 'softmax' | 'planes' | 'widths';

/** What could get more bits. */
export interface Candidate {
  readonly kind: Kind;
  /**
   * Whose value the error is added to: for the linear layers that read it, or, if it is that of weights, for all who
   * do.
   */
  readonly node: GraphNode;
  readonly macs: number;
  readonly bytes: number;
  /** The values that the error is computed from. */
  readonly sources: readonly string[];
  /** Digest of all that the error depends on, beside the sources and the node. */
  readonly basis: () => string;
  /** Makes what computes the error of an image: what all images share is worked out once, and not kept for ever. */
  readonly prepare: () => (valueOf: ValueOf) => Float32Array | Promise<Float32Array>;
}

/** All that could get more bits. */
export function findCandidates(quantization: Quantization): Candidate[] {
  return [
    ...inputCandidates(quantization),
    ...softmaxCandidates(quantization),
    ...planeCandidates(quantization),
    ...widthCandidates(quantization),
  ];
}

/** Multiply-adds of the rows of a layer that reach the output. */
export const macsOf = (plan: Plan, node: LinearNode): number => rowsNeeded(plan, node) * node.cols * node.inFeatures;

/**
 * The values that linear layers read, those with a layer left out that has 16 bits already or whose bits the user
 * chose.
 */
function inputCandidates({ calibration, encodings, scheme }: Quantization): Candidate[] {
  const { graph, plan } = calibration;
  const readers = new Map<string, LinearNode[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'linear') continue;
    const source = inputSource(plan, node.x);
    readers.set(source, [...(readers.get(source) ?? []), node]);
  }
  const isOpen = (node: LinearNode): boolean =>
    encodings.bits.input(node) === 8 && askedBits(node.name, scheme.layerBits) === undefined;
  return [...readers]
    .filter(([, layers]) => layers.every(isOpen))
    .map(([id, layers]) => {
      const encoding = encodings.inputs.ofSource(layers[0]);
      return {
        kind: 'inputs',
        node: plan.nodes.get(id)!,
        macs: layers.reduce((sum, layer) => sum + macsOf(plan, layer), 0),
        bytes: 0,
        sources: [id],
        basis: () => digestOf([JSON.stringify(encoding.out), encoding.scale, encoding.center]),
        prepare: () => (valueOf) => quantizationError(valueOf(id), encoding),
      };
    });
}

/** The attentions whose output linear layers read as it is. */
function softmaxCandidates({ calibration, encodings, scheme }: Quantization): Candidate[] {
  const { graph, plan } = calibration;
  const kind = scheme.kernels.softmaxKind;
  if (kind === null) return [];
  return graph.nodes
    .filter((node) => node.op === 'attention')
    .filter(
      (node) => plan.form.get(node.id) === 'codes' && node.keys <= MAX_FINE_KEYS && encodings.bits.softmax(node) === 8,
    )
    .map((node) => ({
      kind: 'softmax',
      node,
      macs: rowsNeeded(plan, node) * node.heads * node.keys * node.valueDim,
      bytes: 0,
      sources: operandsOf(node),
      basis: () => JSON.stringify(kind),
      prepare: () => (valueOf) => softmaxError(node, kind, valueOf),
    }));
}

/**
 * Multiply-adds in the time of reading a byte that no layer has read before: 10 GB/s beside 240 GMAC/s, on one core of
 * a server.
 */
const READ_MACS = 24;

/** The linear layers of so few rows that a second plane of weights costs little but its place in the file. */
function planeCandidates(quantization: Quantization): Candidate[] {
  const { weightBits } = quantization.scheme.techniques.fit;
  return linearNodes(quantization)
    .filter((node) => mayHaveResidualPlane(node, quantization))
    .map((node) => ({
      kind: 'planes',
      node,
      macs: macsOf(quantization.calibration.plan, node) + READ_MACS * node.weight.length,
      bytes: (node.weight.length * RESIDUAL_PLANE_BITS) / 8,
      ...ofRoundedWeights(node, weightBits, quantization),
    }));
}

/** All linear layers that reach the output, where there is a target: those with tied weights count with their owner. */
function widthCandidates(quantization: Quantization): Candidate[] {
  const { calibration, scheme } = quantization;
  if (scheme.target === null) return [];
  return linearNodes(quantization)
    .filter((node) => rowsNeeded(calibration.plan, node) > 0)
    .map((node) => ({
      kind: 'widths',
      node,
      macs: 0,
      bytes: 0,
      ...ofRoundedWeights(node, MEASURED_BITS, quantization),
    }));
}

const linearNodes = ({ calibration }: Quantization): LinearNode[] =>
  calibration.graph.nodes.filter((node) => node.op === 'linear');

/** What weights of so many bits add to a layer's output. */
function ofRoundedWeights(
  node: LinearNode,
  weightBits: number,
  { calibration, encodings, products }: Quantization,
): Pick<Candidate, 'sources' | 'basis' | 'prepare'> {
  const { scale } = encodings.inputs.of(node);
  const statistics = calibration.statistics.get(node.x)!;
  return {
    sources: [node.x],
    basis: () => digestOf([weightBits, scale, statistics.sum, statistics.count]),
    prepare: () => {
      const change = weightChange(node, { weightBits, inputScale: scale });
      return (valueOf) => weightsError(node, change, statistics, valueOf, products);
    },
  };
}

export function mayHaveResidualPlane(node: LinearNode, { calibration, encodings, scheme }: Quantization): boolean {
  return scheme.techniques.residualPlanes && encodings.bits.hasFewRows(node) && rowsNeeded(calibration.plan, node) > 0;
}
