/**
 * Weights of few bits, as a file may store them: a code for each, which picks one of a layer's `codebook` of 8-bit
 * integers, and a factor of 4 bits for each group of successive inputs of a row. They are decoded to 8 bits when the
 * file is read, so they cost nothing at run time.
 *
 *     w[n, k] = (codebook[code[n, k]]·(16 + factor[n, ⌊k/groupSize⌋]) + 8) >> 4
 */

/** Bits of a factor: −8 to 7. */
export const FACTOR_BITS = 4;
/** The least and the greatest factor. */
export const FACTORS = [-(1 << (FACTOR_BITS - 1)), (1 << (FACTOR_BITS - 1)) - 1] as const;
/** |w| stays within. */
export const CODED_LIMIT = 127;

/** How the weights of a layer are coded: arrays beside the codes. */
export interface Coding {
  /** Bits of a code. */
  readonly weightBits: number;
  /** Inputs that share a factor, a power of two; the last group of a row may be smaller. */
  readonly groupSize: number;
  /** [2^weightBits]. */
  readonly codebook: Int8Array;
  /** [cols, groups]. */
  readonly factor: Int8Array;
}

interface Coded extends Coding {
  readonly weight: Int8Array;
  readonly inFeatures: number;
}

/** Whether the weights of a layer are coded. */
export function isCoded<T extends Partial<Coding>>(op: T): op is T & Coding {
  return op.groupSize !== undefined;
}

/** Groups of a row. */
export function groupsOf(inFeatures: number, groupSize: number): number {
  return Number((BigInt(inFeatures) + BigInt(groupSize) - 1n) >> BigInt(31 - Math.clz32(groupSize)));
}

/** What each code stands for in a group of such a factor: [2^weightBits]. */
export function levelsOf(codebook: Int8Array, factor: number): Int32Array {
  return Int32Array.from(codebook, (level) => (level * (16 + factor) + 8) >> 4);
}

/**
 * @param codes [cols, inFeatures], from −2^(weightBits−1) on
 * @returns [cols, inFeatures]
 */
export function decodeWeights(
  codes: Int8Array,
  inFeatures: number,
  { weightBits, groupSize, codebook, factor }: Coding,
): Int8Array {
  const tables = new Map<number, Int32Array>();
  const weight = new Int8Array(codes.length);
  const zero = 1 << (weightBits - 1);
  forEachGroup(codes.length, inFeatures, groupSize, (from, to, group) => {
    const of = factor[group];
    let levels = tables.get(of);
    if (levels === undefined) tables.set(of, (levels = levelsOf(codebook, of)));
    for (let i = from; i < to; i++) weight[i] = levels[codes[i] + zero];
  });
  return weight;
}

/**
 * The codes of a layer's weights; of several codes that stand for a weight, the first.
 *
 * @throws RangeError for a weight that no code stands for
 */
export function encodeWeights({ weight, inFeatures, weightBits, groupSize, codebook, factor }: Coded): Int8Array {
  const codes = new Int8Array(weight.length);
  const tables = new Map<number, Map<number, number>>();
  const zero = 1 << (weightBits - 1);
  forEachGroup(weight.length, inFeatures, groupSize, (from, to, group) => {
    const of = factor[group];
    let codeOf = tables.get(of);
    if (codeOf === undefined) {
      codeOf = new Map([...levelsOf(codebook, of)].map((level, code) => [level, code] as const).reverse());
      tables.set(of, codeOf);
    }
    for (let i = from; i < to; i++) {
      const code = codeOf.get(weight[i]);
      if (code === undefined) throw new RangeError(`no code stands for weight ${weight[i]} of element ${i}`);
      codes[i] = code - zero;
    }
  });
  return codes;
}

/** Calls back with the elements [from, to) of each group of all rows, in order. */
export function forEachGroup(
  count: number,
  inFeatures: number,
  groupSize: number,
  callback: (from: number, to: number, group: number) => void,
): void {
  if (inFeatures < 1) return;
  let group = 0;
  for (let row = 0; row < count; row += inFeatures)
    for (let k = 0; k < inFeatures; k += groupSize)
      callback(row + k, row + Math.min(inFeatures, k + groupSize), group++);
}
