import type { OpCheck } from '../check.js';
import { MAX_MAP_EDGE } from '../limits.js';
import { elements, zeroPoint, type OpBase, type ValueInfo } from '../value.js';
import { pair } from './definition.js';

type Pair = readonly [number, number];

/**
 * Windows over a feature map: a value whose rows are the pixels of `size`, line by line, its columns their channels.
 * Output row (oy, ox) has the taps (ky, kx), in that order, at the pixels (oy·stride − pad + ky·dilation, …); a tap may
 * lie outside the map. All pairs are [down, across].
 */
export interface Geometry {
  /** Lines of the map, pixels of a line. */
  readonly size: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  /** top, left. */
  readonly pad: Pair;
  readonly dilation: Pair;
  readonly outSize: Pair;
}

/** The JSON of a geometry. */
export const geometryFields = { size: pair, kernel: pair, stride: pair, pad: pair, dilation: pair, outSize: pair };

/** Taps of a window. */
export const tapsOf = ({ kernel }: Pick<Geometry, 'kernel'>): number => kernel[0] * kernel[1];

/**
 * The windows lie in a map that has as many elements as x. It has as many channels as the op has columns, or, where the
 * op lays taps side by side, a share of them.
 */
export function validateGeometry(op: OpBase & Geometry, x: ValueInfo, sideBySide: number, check: OpCheck): void {
  for (const axis of [0, 1]) {
    check.count('size', op.size[axis], 1, MAX_MAP_EDGE);
    check.count('kernel', op.kernel[axis], 1, MAX_MAP_EDGE);
    check.count('stride', op.stride[axis], 1, MAX_MAP_EDGE);
    check.count('pad', op.pad[axis], 0, MAX_MAP_EDGE);
    check.count('dilation', op.dilation[axis], 1, MAX_MAP_EDGE);
    check.count('outSize', op.outSize[axis], 1, MAX_MAP_EDGE);
  }
  check.that(op.rows === op.outSize[0] * op.outSize[1], `${op.outSize.join('×')} windows are not ${op.rows} rows`);
  check.that(op.cols % sideBySide === 0, `${op.cols} columns do not hold ${sideBySide} taps of as many channels`);
  // Products of two counts of elements pass 2^53.
  const map = BigInt(op.size[0] * op.size[1]) * BigInt(op.cols);
  check.that(
    BigInt(elements(x)) * BigInt(sideBySide) === map,
    `x has ${elements(x)} elements, which are no map of ${op.size.join('×')} for ${op.cols} columns`,
  );
}

/** The windows lie in a map, and what they hold is written as it is. */
export function validateMoved(op: OpBase & Geometry, x: ValueInfo, sideBySide: number, check: OpCheck): void {
  check.type('x', x, 'u8', 'i8', 'i16', 'i32');
  check.writes(x.out.type);
  const [own, given] = [zeroPoint(op.out), zeroPoint(x.out)];
  check.that(own === given, `x has zero point ${given}, not ${own}`);
  validateGeometry(op, x, sideBySide, check);
}

/** Whether every window has a tap inside the map, along both axes. */
export function hasTapsInside({ size, kernel, stride, pad, dilation, outSize }: Geometry): boolean {
  return [0, 1].every((axis) => {
    for (let o = 0; o < outSize[axis]; o++) {
      // Pixels before the map, and how far the first tap past them is from the window's first.
      const before = Math.max(0, pad[axis] - o * stride[axis]);
      const distance = before + ((dilation[axis] - (before % dilation[axis])) % dilation[axis]);
      const start = o * stride[axis] - pad[axis];
      if (distance > (kernel[axis] - 1) * dilation[axis] || start + distance >= size[axis]) return false;
    }
    return true;
  });
}
