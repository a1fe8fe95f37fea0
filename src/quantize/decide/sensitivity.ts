/** What too few bits do to the logits, measured in the float model. */
import { collect, NO_STATISTICS, type Collected, type CollectRequest } from '../../calibrate/collect.js';
import type { GraphNode, LinearNode, PatchEmbedNode } from '../../graph/types.js';
import { RelativeError } from '../compare-outputs.js';
import { digestOf } from '../digest.js';
import { rowsNeeded } from '../plan/queries.js';
import type { Calibration, Quantization } from '../context.js';
import { findCandidates, macsOf, mayHaveResidualPlane, type Candidate, type Kind } from './candidates.js';
import { allRowsOf, givenValues, isOfWeights, segmentsOf, withErrors, type Segment } from './disturbed.js';
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
 * What is known of other quantizations over the same images is not measured again. So that the errors of softmax
 * weights, and of inputs whose scales are the same, are known whatever bits the weights get, images are as many, and
 * graphs the same, as where weights may have more bits.
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
  const ofWeights = candidates.filter(({ kind }) => isOfWeights(kind));
  const ofValues = candidates.filter(({ kind }) => !isOfWeights(kind));
  const fitted = calibration.images.slice(0, calibration.fitImages);
  const most = ofValues.length + countWeights(quantization);
  const images = spread(fitted, Math.max(1, Math.floor(runs / most)));
  const samples = [ofValues, ofWeights].map((some) => new Sample(calibration, images, some));
  try {
    const total = samples.reduce((sum, sample) => sum + sample.open.length * images.length, 0);
    let done = 0;
    for (const sample of samples) {
      const before = done;
      await measureErrors(quantization, sample, (ran) => onProgress?.((done = before + ran), total));
    }
    const of = (wanted: Kind) =>
      new Map(
        samples
          .flatMap((sample) => sample.measured.filter(({ kind }) => kind === wanted))
          .map(({ id, sensitivity }) => [id, sensitivity]),
      );
    const [, sample] = samples;
    return {
      inputs: of('inputs'),
      softmax: of('softmax'),
      weights: of('planes'),
      widths: await sharingLayers(quantization, of('widths'), sample),
      otherWeights: scheme.target === null ? await errorOfOtherWeights(quantization, sample) : 0,
      ...sizesOf(quantization),
    };
  } finally {
    for (const sample of samples) await sample.close();
  }
}

/** How many layers' weights would be measured if those had 8 bits that may have more, and those that share a target. */
function countWeights(quantization: Quantization): number {
  const { calibration, encodings, scheme } = quantization;
  const reaching = calibration.graph.nodes
    .filter((node) => node.op === 'linear')
    .filter((node) => rowsNeeded(calibration.plan, node) > 0);
  const few = reaching.filter((node) => encodings.bits.hasFewRows(node));
  return few.length + (scheme.target === null ? 0 : reaching.length);
}

/**
 * Candidates, the images that the float model runs on to measure them, and what it gives for these: worked out where
 * anything is measured.
 */
class Sample {
  readonly segments: readonly Segment[];
  readonly common: Pick<CollectRequest, 'normalization' | 'runtime' | 'statistics'>;
  /** Of all that errors depend on, whatever the candidate: images, graph, and where it is cut and added to. */
  readonly #basis: string;
  readonly #digests: ReadonlyMap<Candidate, string>;
  #exact: Promise<Collected> | undefined;

  constructor(
    private readonly calibration: Calibration,
    readonly images: readonly Uint8Array[],
    private readonly candidates: readonly Candidate[],
  ) {
    const { normalization, threads, graph, plan } = calibration;
    this.segments = segmentsOf(graph, candidates);
    this.common = { normalization, runtime: { threads }, statistics: NO_STATISTICS };
    this.#basis = digestOf([
      ...images,
      ...graph.nodes.flatMap(({ id }) => [id, plan.form.get(id)!]),
      ...candidates.flatMap(({ kind, node }) => [kind, node.id]),
    ]);
    this.#digests = new Map(
      candidates.map((candidate) => {
        const { kind, node, basis } = candidate;
        return [candidate, digestOf([this.#basis, kind, node.id, basis()])];
      }),
    );
  }

  /** Those whose errors are not known yet. */
  get open(): Candidate[] {
    return this.candidates.filter((candidate) => !this.calibration.errors.has(this.#digests.get(candidate)!));
  }

  know(candidate: Candidate, error: number): void {
    this.calibration.errors.set(this.#digests.get(candidate)!, error);
  }

  /** All of them, once they are known. */
  get measured(): { readonly kind: Kind; readonly id: string; readonly sensitivity: Sensitivity }[] {
    return this.candidates.map((candidate) => {
      const { kind, node, macs, bytes } = candidate;
      const error = this.calibration.errors.get(this.#digests.get(candidate)!)!;
      return { kind, id: node.id, sensitivity: { error, macs, bytes } };
    });
  }

  exact(): Promise<Collected> {
    const { graph } = this.calibration;
    const samples = allRowsOf(this.calibration, this.segments);
    return (this.#exact ??= collect({ ...this.common, graph, images: this.images, samples }));
  }

  /** Of all that the error of rounded weights depends on. */
  digestOfRounded(weightBits: number, scales: ReadonlyMap<string, Float64Array>): string {
    return digestOf([this.#basis, 'rounded', weightBits, ...[...scales].flat()]);
  }

  async close(): Promise<void> {
    (await this.#exact)?.samples.close();
  }
}

/** Measures what the errors of open candidates do to the outputs: segments run once for each of them and each image. */
async function measureErrors(
  quantization: Quantization,
  sample: Sample,
  onProgress: (runs: number) => void,
): Promise<void> {
  const { images, common } = sample;
  const notKnown = new Set(sample.open);
  let done = 0;
  for (const segment of sample.segments) {
    const open = segment.candidates.filter((candidate) => notKnown.has(candidate));
    if (open.length === 0) continue;
    const exact = await sample.exact();
    const errors = open.map(() => new RelativeError(quantization.calibration.graph));
    const before = done;
    const { samples } = await collect({
      ...common,
      graph: withErrors(quantization, segment),
      images: open.flatMap(() => images),
      samples: new Map(),
      notComputed: { given: givenValues(quantization, { ...segment, open }, exact) },
      listeners: {
        onOutput: (values, run) =>
          errors[Math.floor(run / images.length)].add(exact.logits[run % images.length], values),
        onProgress: (ran) => onProgress(before + ran),
      },
    });
    samples.close();
    open.forEach((candidate, i) => sample.know(candidate, errors[i].result()));
    done += open.length * images.length;
  }
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
  { encodings, calibration }: Quantization,
  sample: Sample,
  weightBits: number,
  isRounded: (node: GraphNode) => boolean,
): Promise<number> {
  const { graph, errors } = calibration;
  const scaleOf = (node: LinearNode | PatchEmbedNode): Float64Array =>
    node.op === 'linear' ? encodings.inputs.of(node).scale : new Float64Array(node.weight.length / node.cols).fill(1);
  const rounded = graph.nodes.filter(hasWeights).filter(isRounded);
  const scales = new Map(rounded.map((node) => [node.id, scaleOf(node)]));
  const digest = sample.digestOfRounded(weightBits, scales);
  const known = errors.get(digest);
  if (known !== undefined) return known;
  const nodes = graph.nodes.map((node): GraphNode => {
    const inputScale = scales.get(node.id);
    return hasWeights(node) && inputScale !== undefined
      ? { ...node, weight: roundedWeights(node, { weightBits, inputScale }) }
      : node;
  });
  const { images, common } = sample;
  const exact = await sample.exact();
  const error = new RelativeError(graph);
  const { samples } = await collect({
    ...common,
    graph: { ...graph, nodes },
    images,
    samples: new Map(),
    listeners: { onOutput: (values, image) => error.add(exact.logits[image], values) },
  });
  samples.close();
  errors.set(digest, error.result());
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
