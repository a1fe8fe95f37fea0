/** The type and scales of every value, chosen from the statistics alone, before anything is quantized. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { activationReaders } from '../plan/queries.js';
import type { Demand, Plan } from '../plan/types.js';
import type { Scheme } from '../schemes/scheme.js';
import { BitWidths, type Sensitive } from './bit-widths.js';
import { CURVE_BITS, uniformScales, type Encoding } from './encoding.js';
import { factorEncoding, LEAST_SHARE_OF_SUMS, tableEncoding } from './factor-encoding.js';
import { InputEncodings } from './input-encodings.js';
import { OperandEncodings } from './operand-encodings.js';
import { WideScales } from './wide-scales.js';

/** Margin of an activation's 16-bit input, for rare tokens (see `WideScales`). */
const ACTIVATION_MARGIN = 4;
/** Below minus this an activation gives next to nothing: SiLU(−8) = −0.003. Inputs may clip there. */
const ACTIVATION_DEPTH = 8;
/** Activations of values that, with their margin, are all below this get more fraction bits than others. */
const SMALL = 2 ** -4;
/** More, up or down, are of no use: nothing else keeps values that small or large. */
const MOST_FRACTION_BITS = 60;

export class ValueEncodings {
  readonly bits: BitWidths;
  readonly operands: OperandEncodings;
  readonly inputs: InputEncodings;
  private readonly wideScales: WideScales;

  constructor(
    private readonly calibration: {
      readonly plan: Plan;
      readonly statistics: ReadonlyMap<string, ChannelStatistics>;
    },
    private readonly scheme: Scheme,
    sensitive: Sensitive,
  ) {
    const { plan, statistics } = calibration;
    this.bits = new BitWidths(plan, scheme, sensitive);
    this.operands = new OperandEncodings(plan, statistics, scheme);
    this.inputs = new InputEncodings(plan, statistics, scheme, this.bits, this.operands);
    this.wideScales = new WideScales(
      plan,
      statistics,
      (node) => plan.form.get(node.id) === 'wide' || (node.op === 'linear' && this.bits.weightPlanes(node) > 1),
    );
  }

  /** The scale of a value where it is int32. */
  wideScale(id: string): number {
    return this.wideScales.of(id);
  }

  /** The encoding of a value of `cols` columns that is made in the given form. */
  target(id: string, form: Demand, cols: number): Encoding {
    const { room } = this.scheme.techniques;
    switch (form) {
      case 'codes':
        return this.inputs.ofValue(id, cols);
      case 'operand':
        return { out: { type: 'i8' }, ...this.operands.columnsOf(id) };
      case 'activation': {
        const { kernels, techniques } = this.scheme;
        const readers = activationReaders(this.calibration.plan, id);
        const statistics = this.calibration.statistics.get(id)!;
        return (
          kernels.activationInput(readers, statistics, techniques.range, cols) ?? {
            out: { type: 'i16' },
            ...uniformScales(cols, 2 ** -activationBits(statistics)),
          }
        );
      }
      case 'factor': {
        const isSummed = this.calibration.plan.consumers.get(id)!.every(({ op }) => op === 'matmul');
        const share = isSummed ? LEAST_SHARE_OF_SUMS : undefined;
        return factorEncoding(this.calibration.statistics.get(id)!, cols, undefined, share, room);
      }
      case 'fixed':
        return factorEncoding(
          this.calibration.statistics.get(id)!,
          cols,
          this.operandParts(id, cols) ?? 1,
          undefined,
          room,
        );
      case 'table':
        return tableEncoding(this.calibration.statistics.get(id)!, cols);
      case 'wide':
        return { out: { type: 'i32' }, ...uniformScales(cols, this.wideScale(id)) };
    }
  }

  /** For each channel of what products alone read, which operand it is part of: each has a scale. Else null. */
  private operandParts(id: string, cols: number): number[] | null {
    const readers = this.calibration.plan.consumers.get(id)!;
    const parts = Array.from({ length: cols }, (_, c) => c);
    for (const reader of readers) {
      if (reader.op !== 'matmul') return null;
      const { a, b, heads, dim, n } = reader;
      for (const [view, width] of [[a, dim] as const, [b, b.transposed ? n : dim] as const]) {
        if (view.source !== id) continue;
        if (view.stride !== cols) return null;
        const own = new Set<number>();
        for (let h = 0; h < heads; h++)
          for (let c = 0; c < width; c++) own.add(parts[(view.offset + h * view.headStride + c) % cols]);
        const [first] = own;
        parts.forEach((part, c) => own.has(part) && (parts[c] = first));
      }
    }
    return parts;
  }
}

/**
 * Fraction bits of an activation's i16 input: its range is that of the positive values, which activations hand through.
 * `CURVE_BITS` are too few where all that comes is near to zero. Below 0 a step is more than 1: a ReLU hands through
 * whatever comes.
 */
function activationBits({ min, max }: ChannelStatistics): number {
  const bitsFor = (reach: number): number => Math.floor(Math.log2(32768 / reach));
  const largest = max.reduce((a, b) => Math.max(a, b), 0);
  const all = min.reduce((a, b) => Math.max(a, -b), largest) * ACTIVATION_MARGIN;
  if (all > 0 && all < SMALL) return Math.min(MOST_FRACTION_BITS, bitsFor(all));
  const reach = Math.max(largest * ACTIVATION_MARGIN, ACTIVATION_DEPTH);
  return Math.max(-MOST_FRACTION_BITS, Math.min(CURVE_BITS, bitsFor(reach)));
}
