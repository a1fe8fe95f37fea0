/** How many bits the weights of each layer get, where all of them together may have so many. */
import { WEIGHT_BITS } from '../options.js';

/** The bits at which `SharingLayer.error` is measured. */
export const MEASURED_BITS = 4;

/** A layer whose weights take a share of the bits. */
export interface SharingLayer {
  readonly id: string;
  /** Its weights, [cols, count / cols]. */
  readonly count: number;
  readonly cols: number;
  /** What rounding them to `MEASURED_BITS` alone does to the outputs, as a share of their energy. */
  readonly error: number;
  /** The bits that the user asks for; undefined: it takes what is best. */
  readonly asked: number | undefined;
}

/** Bits that a layer takes at a width. */
export type CostOf = (layer: SharingLayer, bits: number) => number;

const [LEAST, MOST] = [WEIGHT_BITS[0], WEIGHT_BITS.at(-1)!];

/** A bit more halves the steps: a quarter of the squared error is left. */
const errorAt = ({ error }: SharingLayer, bits: number): number => error * 4 ** (MEASURED_BITS - bits);

/**
 * Bits for each layer such that they take no more than `total`, and leave as little error as a greedy choice can: each
 * bit goes where it takes the most error away for its cost. Errors fall by the same factor with each bit, so the choice
 * is the best there is, but for the last few bits.
 *
 * @returns by id; null where not even 2 bits for every layer fit
 */
export function shareBits(
  layers: readonly SharingLayer[],
  costOf: CostOf,
  total: number,
): ReadonlyMap<string, number> | null {
  const bits = new Map(layers.map((layer) => [layer.id, layer.asked ?? LEAST]));
  let left = total - layers.reduce((sum, layer) => sum + costOf(layer, bits.get(layer.id)!), 0);
  if (left < 0) return null;
  let open = layers.filter(({ asked }) => asked === undefined);
  for (;;) {
    const steps = open.flatMap((layer) => {
      const own = bits.get(layer.id)!;
      const cost = costOf(layer, own + 1) - costOf(layer, own);
      if (own === MOST || cost > left) return [];
      return [{ layer, cost, worth: (errorAt(layer, own) - errorAt(layer, own + 1)) / Math.max(cost, 1) }];
    });
    if (steps.length === 0) return bits;
    const { layer, cost } = steps.reduce((best, step) => (step.worth > best.worth ? step : best));
    bits.set(layer.id, bits.get(layer.id)! + 1);
    left -= cost;
    open = steps.map((step) => step.layer);
  }
}

/** What the bits of all layers do to the outputs together, as a share of their energy. */
export function errorOf(layers: readonly SharingLayer[], bits: ReadonlyMap<string, number>): number {
  return layers.reduce((sum, layer) => sum + errorAt(layer, bits.get(layer.id)!), 0);
}
