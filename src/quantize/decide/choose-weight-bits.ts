/** How many bits the weights of each layer get, where all together may have so many. */
import type { Graph } from '../../graph/types.js';
import { FACTOR_BITS } from '../../program/codebook.js';
import { WEIGHT_BITS } from '../../program/ops/linear.js';
import type { Quantization } from '../context.js';
import { GROUP_SIZE } from '../fit/codebook-fit.js';
import { PROBED_BITS } from './bit-widths.js';
import { askedBits } from './layer-bits.js';
import type { Sensitivity } from './sensitivity.js';

/** The first layer's errors pass through all others, and are not measured: it gets so many bits more than the rest. */
const FIRST_LAYER_BITS = 2;

const [FEWEST, MOST] = [WEIGHT_BITS[0], WEIGHT_BITS.at(-1)!];

interface Share {
  readonly id: string;
  readonly weights: number;
  /** Error with `PROBED_BITS`. */
  readonly error: number;
}

/**
 * The bits of each layer that has others than the rest, by id: what the user asks for; and where there is a target, the
 * widths that leave the least error together. Bits are dealt out one by one, each to the layer that it takes most error
 * from for its bytes.
 *
 * @param sensitivities of weights, by the id of the layer
 */
export function chooseWeightBits(
  { calibration, scheme }: Pick<Quantization, 'calibration' | 'scheme'>,
  sensitivities: ReadonlyMap<string, Sensitivity>,
): Map<string, number> {
  const { targetBits, layerWeightBits } = scheme;
  const { graph } = calibration;
  const bits = new Map<string, number>();
  for (const { id, name } of layersOf(graph)) {
    const asked = askedBits(name, layerWeightBits);
    if (asked !== undefined) bits.set(id, asked);
  }
  if (targetBits === null) return bits;
  const shares: Share[] = [];
  let left = 0;
  for (const { id, op, weight } of layersOf(graph)) {
    left += targetBits * weight.length;
    const asked =
      bits.get(id) ?? (op === 'patchEmbed' ? Math.min(MOST, Math.floor(targetBits) + FIRST_LAYER_BITS) : null);
    if (asked === null) shares.push({ id, weights: weight.length, error: sensitivities.get(id)?.error ?? 0 });
    else left -= storedBits(asked) * weight.length;
    if (asked !== null) bits.set(id, asked);
  }
  for (const [id, width] of deal(shares, left)) bits.set(id, width);
  return bits;
}

/** Bits that a weight takes in the file, its share of a factor included. */
const storedBits = (bits: number): number => bits + (bits < MOST ? FACTOR_BITS / GROUP_SIZE : 0);
const stepOf = (bits: number): number => storedBits(bits + 1) - storedBits(bits);

/** Deals out bits to layers. */
function deal(shares: readonly Share[], bits: number): Map<string, number> {
  const widths = new Map(shares.map(({ id }) => [id, FEWEST as number]));
  let left = shares.reduce((rest, { weights }) => rest - storedBits(FEWEST) * weights, bits);
  const gainOf = ({ id, weights, error }: Share): number => (error * 4 ** (PROBED_BITS - widths.get(id)!)) / weights;
  for (;;) {
    const open = shares.filter(
      ({ id, weights }) => widths.get(id)! < MOST && stepOf(widths.get(id)!) * weights <= left,
    );
    if (open.length === 0) return widths;
    const next = open.reduce((best, share) => (gainOf(share) > gainOf(best) ? share : best));
    left -= stepOf(widths.get(next.id)!) * next.weights;
    widths.set(next.id, widths.get(next.id)! + 1);
  }
}

/** The layers whose weights are their own. */
function layersOf(graph: Graph) {
  return graph.nodes.flatMap((node) =>
    node.op === 'patchEmbed' || (node.op === 'linear' && node.weightsOf === undefined) ? [node] : [],
  );
}
