/** Bits for the weights of each layer that make all of them, or the file, as large as the user allows. */
import { InputError } from '../errors.js';
import type { Graph, GraphNode } from '../graph/types.js';
import { classifierOf } from '../metrics/output.js';
import { askedWeightBits, ownWeights } from './decide/layer-bits.js';
import { errorOf, shareBits, type CostOf, type SharingLayer } from './decide/share-bits.js';
import { GROUP_SIZE } from './fit/codebook-fit.js';
import { FACTOR_BITS, groupsOf } from '../program/codebook.js';
import type { Shared } from './calibration.js';
import type { QuantizeOptions, Target } from './options.js';
import type { QuantizeResult } from './request.js';

type Bits = ReadonlyMap<string, number>;

/** A file may be built anew so often: the first one's other bytes are a guess. */
const MOST_BUILDS = 3;
/** Another build must promise so much less error. */
const WORTH_A_BUILD = 0.03;
/** Bytes by which the header may differ from that of the build before. */
const SLACK = 1024;

/** What a target is reached with. */
export interface TargetRequest {
  readonly graph: Graph;
  readonly target: Target;
  readonly layers: readonly SharingLayer[];
  /** Builds the program with such bits. */
  readonly build: (bits: Bits, attempt: number) => Promise<QuantizeResult>;
  /** Bytes of the file that will hold a program. */
  readonly sizeOf: Shared['sizeOf'];
}

/**
 * Builds the program whose weights take the bits or bytes that they may.
 *
 * @throws InputError where 2 bits for every weight are too many, or 8 too few
 */
export async function buildToTarget(request: TargetRequest): Promise<QuantizeResult> {
  const { layers, build, target } = request;
  if ('bytes' in target) return buildToSize(request, target.bytes);
  if ('drop' in target) return buildToDrop(request, target.drop);
  const bits = shareOnAverage(layers, target.bits);
  if (bits !== null) return build(bits, 1);
  throw new InputError(
    `The weights cannot have ${target.bits} bits on average: those of some layers are asked to have more. ` +
      'Ask for fewer (--weight-bits), or for more on average (--target-bits).',
    { code: 'BAD_SETTING' },
  );
}

/** Bits on average that are tried: so many to one bit. */
const TRIED = 4;

/** The program of the fewest bits on average that decides as the float model does, but for `drop` % of images. */
async function buildToDrop({ layers, build }: TargetRequest, drop: number): Promise<QuantizeResult> {
  const keeps = ({ agreement }: QuantizeResult): boolean => 100 * (1 - agreement.top1Agreement) <= drop;
  let attempt = 0;
  let best: QuantizeResult | null = null;
  let [low, high] = [2 * TRIED, 8 * TRIED];
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const bits = shareOnAverage(layers, middle / TRIED);
    const result = bits === null ? null : await build(bits, ++attempt);
    if (result !== null && keeps(result)) {
      best = result;
      high = middle - 1;
    } else low = middle + 1;
  }
  if (best !== null) return best;
  throw new InputError(
    `Even with 8 bits, more than ${drop} % of the images held out are decided otherwise than by the float model ` +
      '(--max-drop): allow more, or give more images',
    { code: 'BAD_SETTING' },
  );
}

/** Bits that are no more than so many on average; null where too many are asked for. */
const shareOnAverage = (layers: readonly SharingLayer[], mean: number): Bits | null =>
  shareBits(
    layers,
    ({ count }, width) => count * width,
    Math.floor(mean * layers.reduce((sum, { count }) => sum + count, 0)),
  );

/**
 * Checks, before any work, that a target suits a model.
 *
 * @throws InputError where even half of what the file takes beside weights would be too much, and where a model that
 * makes no decisions is to keep them
 */
export function checkTarget(graph: Graph, { target, layerWeightBits }: QuantizeOptions): void {
  if (target === null || 'bits' in target) return;
  if ('drop' in target) {
    if (classifierOf(graph.outputs) !== null) return;
    throw new InputError(
      'The model has no classes, so there are no decisions to keep (--max-drop); give --target-size or --target-bits',
      { code: 'BAD_SETTING' },
    );
  }
  const asked = askedWeightBits(graph, layerWeightBits);
  const layers = ownWeights(graph).map(({ id, weight, cols }) => ({
    ...{ id, cols, count: weight.length, error: 0, asked: asked.get(id) },
  }));
  const other = guessOtherBytes(graph);
  if (leastBytes(layers) + other / 2 > target.bytes) throw tooSmall(target.bytes, leastBytes(layers) + other);
}

const leastBytes = (layers: readonly SharingLayer[]): number =>
  layers.reduce((sum, layer) => sum + storedBits(layer, layer.asked ?? 2), 0) / 8;

function tooSmall(targetSize: number, least: number): InputError {
  return new InputError(
    `A file of ${targetSize} bytes is too small for this model: with the fewest bits it takes about ` +
      `${Math.ceil(least / 1000)} kB (--target-size). Allow as much`,
    { code: 'BAD_SETTING' },
  );
}

/** Bits that a layer takes in the file; below 8 its weights are coded, with factors and a codebook. */
const storedBits: CostOf = ({ count, cols }, bits) => {
  if (bits === 8) return count * bits;
  return count * bits + FACTOR_BITS * cols * groupsOf(count / cols, GROUP_SIZE) + 8 * 2 ** bits;
};

async function buildToSize(
  { graph, layers, build, sizeOf }: TargetRequest,
  targetSize: number,
): Promise<QuantizeResult> {
  if (sizeOf === undefined) throw new RangeError('a target of bytes needs to know how large a file will be');
  const share = (otherBytes: number): Bits => {
    const bits = shareBits(layers, storedBits, (targetSize - otherBytes - SLACK) * 8);
    if (bits !== null) return bits;
    throw tooSmall(targetSize, leastBytes(layers) + otherBytes + SLACK);
  };
  let bits = share(guessOtherBytes(graph));
  for (let attempt = 1; ; attempt++) {
    const result = await build(bits, attempt);
    const size = sizeOf(result);
    const weights = layers.reduce((sum, layer) => sum + storedBits(layer, bits.get(layer.id)!), 0) / 8;
    const next = share(size - weights);
    const isWorthIt = errorOf(layers, next) < (1 - WORTH_A_BUILD) * errorOf(layers, bits);
    if (size <= targetSize && (attempt === MOST_BUILDS || !isWorthIt)) return result;
    if (attempt === MOST_BUILDS)
      throw new InputError(`No file of ${targetSize} bytes came out, but of ${size}; ask for a little more`, {
        code: 'BAD_SETTING',
      });
    bits = next;
  }
}

/** What an op takes in the header and the provenance, about. */
const OP_BYTES = 490;

/** What a file takes beside weights, about: the first build tells it. */
function guessOtherBytes({ nodes }: Graph): number {
  return nodes.reduce((sum, node) => sum + OP_BYTES + tensorBytes(node), 0);
}

/** Multipliers, offsets and biases of a node, its weights left out. */
function tensorBytes(node: GraphNode): number {
  switch (node.op) {
    case 'constant':
      return 4 * node.value.length;
    case 'linear':
    case 'patchEmbed':
      return 6 * node.cols;
    case 'activation':
      return 6 * node.cols;
    case 'attention':
      return 4 * node.cols;
    case 'gather':
      return 2 * node.index.length;
    case 'add':
    case 'windows':
    case 'maxPool':
      return 0;
    default:
      return 12 * node.cols;
  }
}
