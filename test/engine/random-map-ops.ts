import fc from 'fast-check';
import { bitLength } from '../../src/kernels/dyadic.js';
import { hasTapsInside } from '../../src/program/ops/geometry.js';
import type { DepthwiseOp, Geometry, Op, Program, ValueType } from '../../src/program/types.js';
import { Data, type OpCase } from './random-ops.js';

const NO_IMAGE: Program['input'] = { height: 1, width: 1, channels: 1 };

const size = (max: number) => fc.integer({ min: 1, max });
const pairOf = (value: fc.Arbitrary<number>) => fc.tuple(value, value);
const anyOutput = fc.constantFrom<ValueType>('u8', 'i8', 'i16', 'i32', 'rows');
const mapType = fc.constantFrom<ValueType>('u8', 'i8', 'i16', 'i32');

/** Windows of any kind: beside the map, larger than it, with gaps; and, more often, the usual ones. */
const anyGeometry: fc.Arbitrary<Geometry> = fc.oneof(
  fc.record({
    size: pairOf(size(9)),
    kernel: pairOf(size(5)),
    stride: pairOf(size(4)),
    pad: pairOf(fc.nat(4)),
    dilation: pairOf(size(3)),
    outSize: pairOf(size(6)),
  }),
  fc
    .record({
      size: pairOf(size(20)),
      kernel: pairOf(fc.constantFrom(1, 2, 3, 5, 7)),
      stride: fc.constantFrom<[number, number]>([1, 1], [2, 2], [1, 2]),
      dilation: fc.constantFrom<[number, number]>([1, 1], [1, 1], [2, 2], [1, 3]),
    })
    .map((windows) => {
      const pad = ([0, 1] as const).map((axis) => (windows.dilation[axis] * (windows.kernel[axis] - 1)) >> 1);
      const outSize = ([0, 1] as const).map((axis) => Math.ceil(windows.size[axis] / windows.stride[axis]));
      return { ...windows, pad: pad as [number, number], outSize: outSize as [number, number] };
    }),
);

const channels = fc.oneof(size(9), size(40), fc.constantFrom(16, 24, 32, 48, 64, 96, 100, 130));
const common = { geometry: anyGeometry, channels, seed: fc.integer() };

const rowsOf = ({ outSize }: Geometry): number => outSize[0] * outSize[1];
const pixelsOf = ({ size: [height, width] }: Geometry): number => height * width;
const tapsOf = ({ kernel }: Geometry): number => kernel[0] * kernel[1];

const windowsCase: fc.Arbitrary<OpCase> = fc
  .record({ ...common, type: mapType })
  .map(({ geometry, channels: C, type, seed }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const cols = tapsOf(geometry) * C;
    const op: Op = { op: 'windows', name: 'windows', rows: rowsOf(geometry), cols, out, x: 1, ...geometry };
    return { op, operands: [data.value(out, pixelsOf(geometry), C)], input: NO_IMAGE };
  });

const maxPoolCase: fc.Arbitrary<OpCase> = fc
  .record({ ...common, geometry: anyGeometry.filter(hasTapsInside), type: mapType })
  .map(({ geometry, channels: C, type, seed }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const op: Op = { op: 'maxPool', name: 'pool', rows: rowsOf(geometry), cols: C, out, x: 1, ...geometry };
    return { op, operands: [data.value(out, pixelsOf(geometry), C)], input: NO_IMAGE };
  });

/** Multipliers that are powers of 2, and offsets about as far as sums go: what instruction sets shift instead. */
function powersOf(data: Data, cols: number): Pick<DepthwiseOp, 'multiplier' | 'offset' | 'shift'> {
  const shift = data.integer(1, 45);
  const reach = 2 ** data.integer(0, 30);
  const powers = Array.from({ length: cols }, () => data.integer(Math.max(0, shift - 31), Math.min(30, shift)));
  const offset = powers.map(
    (p) => (BigInt(data.integer(-reach, reach)) << BigInt(p)) + BigInt(data.integer(0, 2 ** p - 1)),
  );
  return { multiplier: Int32Array.from(powers, (p) => 2 ** p), offset: BigInt64Array.from(offset), shift };
}

const depthwiseCase: fc.Arbitrary<OpCase> = fc
  .record({ ...common, out: anyOutput })
  .map(({ geometry, channels: cols, out: type, seed }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const taps = tapsOf(geometry);
    // Σ|w| < 2^16, so that |v| < 2^31; at times as near as can be.
    const most = Math.min(32767, Math.trunc(65535 / taps));
    const limit = data.pick([most, most, data.integer(1, most)]);
    const bits = Math.min(31, 15 + bitLength(limit * taps));
    const op: Op = {
      op: 'depthwise',
      name: 'depthwise',
      rows: rowsOf(geometry),
      cols,
      out,
      x: 1,
      ...geometry,
      weight: data.fill(new Int16Array(taps * cols), -limit, limit, cols),
      ...data.pick([() => data.requantization(out, bits, cols), () => powersOf(data, cols)])(),
    };
    return { op, operands: [data.value({ type: 'i16' }, pixelsOf(geometry), cols)], input: NO_IMAGE };
  });

const mixRowsCase: fc.Arbitrary<OpCase> = fc
  .record({ rows: size(14), sources: size(20), taps: size(9), channels, out: anyOutput, seed: fc.integer() })
  .map(({ rows, sources, taps, channels: cols, out: type, seed }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const limit = data.pick([32767, data.integer(1, 32767)]);
    const op: Op = {
      op: 'mixRows',
      name: 'mix',
      rows,
      cols,
      out,
      x: 1,
      taps,
      index: Int32Array.from({ length: rows * taps }, () => data.integer(-1, sources - 1)),
      weight: data.fill(new Int16Array(rows * taps), -limit, limit, taps),
      ...data.requantization(out, 24 + bitLength(limit * taps), cols),
    };
    return { op, operands: [data.value({ type: 'i32' }, sources, cols)], input: NO_IMAGE };
  });

const groupNormCase: fc.Arbitrary<OpCase> = fc
  .record({
    rows: fc.oneof(size(9), size(200)),
    groups: size(6),
    width: fc.oneof(size(9), size(70)),
    epsilon: fc.oneof(fc.bigInt(0n, 1n << 53n), fc.bigInt(0n, 1000n)),
    out: anyOutput,
    seed: fc.integer(),
  })
  .map(({ rows, groups, width, epsilon, out: type, seed }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const cols = groups * width;
    const requantization = data.requantization(out, 30, cols);
    const op: Op = { op: 'groupNorm', name: 'norm', rows, cols, out, x: 1, groups, epsilon, ...requantization };
    return { op, operands: [data.value({ type: 'i16' }, rows, cols)], input: NO_IMAGE };
  });

/** Of the ops on feature maps. */
export const MAP_CASES = {
  windows: windowsCase,
  depthwise: depthwiseCase,
  maxPool: maxPoolCase,
  mixRows: mixRowsCase,
  groupNorm: groupNormCase,
} as const;
