/** What too few bits do to the logits, measured in the float model. */
import { collect, NO_STATISTICS, type Collected } from '../../calibrate/collect.js';
import type { GraphNode, LinearNode, PatchEmbedNode } from '../../graph/types.js';
import { RelativeError } from '../compare-outputs.js';
import type { Calibration, Quantization } from '../context.js';
import { findCandidates, macsOf, mayHaveResidualPlane, type Candidate, type Kind } from './candidates.js';
import { allRowsOf, givenValues, segmentsOf, withErrors, type Segment } from './disturbed.js';
import { askedWeightBits, hasWeights, ownWeights } from './layer-bits.js';
import { roundedWeights } from './rounding-errors.js';
import { MEASURED_BITS, type SharingLayer } from './share-bits.js';

/** Where the error of a model with 8-bit inputs, weights and softmax weights would come from. */
export interface Sensitivities {
  /** Of values that linear layers read, by id. */
  readonly inputs: ReadonlyMap<string, Sensitivity>;
  /** Of softmax weights, by the id of the attention. */
  readonly softmax: ReadonlyMap<string, Sensitivity>;
  /** Of weights, by the id of the linear layer. */
  readonly weights: ReadonlyMap<string, Sensitivity>;
  /** The layers that share the target's bits; none where there is no target. */
  readonly widths: readonly SharingLayer[];
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
  widths: [],
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
  const { calibration, scheme } = quantization;
  const candidates = findCandidates(quantization);
  if (candidates.length === 0) return NOTHING_MEASURED;
  const fitted = calibration.images.slice(0, calibration.fitImages);
  const images = spread(fitted, Math.max(1, Math.floor(runs / candidates.length)));
  const segments = segmentsOf(calibration.graph, candidates);
  const sample = { images, common: commonOf(calibration) };
  const exact = await collect({
    ...sample.common,
    graph: calibration.graph,
    images,
    samples: allRowsOf(calibration, segments),
  });
  try {
    const errors = new Map(candidates.map((candidate) => [candidate, new RelativeError(calibration.graph)]));
    let done = 0;
    for (const segment of segments) {
      await addErrors(quantization, segment, { ...sample, exact }, errors, (runs) =>
        onProgress?.(done + runs, candidates.length * images.length),
      );
      done += segment.candidates.length * images.length;
    }
    const measured = candidates.map((candidate) => {
      const { kind, node, macs, bytes } = candidate;
      return { kind, id: node.id, sensitivity: { error: errors.get(candidate)!.result(), macs, bytes } };
    });
    const of = (wanted: Kind) =>
      new Map(measured.filter(({ kind }) => kind === wanted).map(({ id, sensitivity }) => [id, sensitivity]));
    return {
      inputs: of('inputs'),
      softmax: of('softmax'),
      weights: of('planes'),
      widths: await sharingLayers(quantization, of('widths'), { ...sample, exact }),
      otherWeights: scheme.target === null ? await errorOfOtherWeights(quantization, { ...sample, exact }) : 0,
      ...sizesOf(quantization),
    };
  } finally {
    exact.samples.close();
  }
}

/** Images that the float model runs on, and what it gives for them. */
interface Sample {
  readonly images: readonly Uint8Array[];
  readonly common: ReturnType<typeof commonOf>;
  readonly exact: Collected;
}

function commonOf({ normalization, threads }: Calibration) {
  return { normalization, runtime: { threads }, statistics: NO_STATISTICS };
}

/** Runs a segment once for each of its candidates and each image, and adds what the error does to the outputs. */
async function addErrors(
  quantization: Quantization,
  segment: Segment,
  { images, common, exact }: Sample,
  errors: ReadonlyMap<Candidate, RelativeError>,
  onProgress: (runs: number) => void,
): Promise<void> {
  const { length } = images;
  const { samples } = await collect({
    ...common,
    graph: withErrors(quantization, segment),
    images: segment.candidates.flatMap(() => images),
    samples: new Map(),
    notComputed: { given: givenValues(quantization, segment, exact) },
    listeners: {
      onOutput: (values, run) =>
        errors.get(segment.candidates[Math.floor(run / length)])!.add(exact.logits[run % length], values),
      onProgress,
    },
  });
  samples.close();
}

/** What rounding the weights of all layers does that may have no residual plane. */
function errorOfOtherWeights(quantization: Quantization, sample: Sample): Promise<number> {
  const { weightBits } = quantization.scheme.techniques.fit;
  const isOther = (node: GraphNode): boolean => node.op === 'linear' && !mayHaveResidualPlane(node, quantization);
  return errorOfRounded(quantization, sample, weightBits, isOther);
}

/** The layers with weights of their own, and what rounding these does, to those too who share them. */
async function sharingLayers(
  quantization: Quantization,
  measured: ReadonlyMap<string, Sensitivity>,
  sample: Sample,
): Promise<SharingLayer[]> {
  const { calibration, scheme } = quantization;
  if (scheme.target === null) return [];
  const asked = askedWeightBits(calibration.graph, scheme.layerWeightBits);
  const layers: SharingLayer[] = [];
  for (const node of ownWeights(calibration.graph)) {
    const { id } = node;
    const sharers = calibration.graph.nodes.filter((other) => other.op === 'linear' && other.weightsOf === id);
    const error =
      node.op === 'linear'
        ? [node, ...sharers].reduce((sum, one) => sum + (measured.get(one.id)?.error ?? 0), 0)
        : await errorOfRounded(quantization, sample, MEASURED_BITS, (other) => other === node);
    layers.push({ id, count: node.weight.length, cols: node.cols, error, asked: asked.get(id) });
  }
  return layers;
}

/** What rounding the weights of some layers to the nearest of so many bits does to the outputs, all together. */
async function errorOfRounded(
  quantization: Quantization,
  { images, common, exact }: Sample,
  weightBits: number,
  isRounded: (node: GraphNode) => boolean,
): Promise<number> {
  const { encodings, calibration } = quantization;
  const scaleOf = (node: LinearNode | PatchEmbedNode): Float64Array =>
    node.op === 'linear' ? encodings.inputs.of(node).scale : new Float64Array(node.weight.length / node.cols).fill(1);
  const nodes = calibration.graph.nodes.map((node): GraphNode => {
    if (!hasWeights(node) || !isRounded(node)) return node;
    return { ...node, weight: roundedWeights(node, { weightBits, inputScale: scaleOf(node) }) };
  });
  const error = new RelativeError(calibration.graph);
  const { samples } = await collect({
    ...common,
    graph: { ...calibration.graph, nodes },
    images,
    samples: new Map(),
    listeners: { onOutput: (values, image) => error.add(exact.logits[image], values) },
  });
  samples.close();
  return error.result();
}

/** So many of a list's elements, evenly spread; all of them where there are fewer. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
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
