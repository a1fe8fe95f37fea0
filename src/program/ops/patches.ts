import { MAX_INPUT_EDGE } from '../limits.js';
import type { OpBase } from '../value.js';
import { pair, type OpDefinition } from './definition.js';

/**
 * Cuts the image into patches: row p = (py, px) holds kernel·kernel·channels pixels in (ky, kx, channel) order, read at
 * (py·stride − padTop + ky·dilation, …); pixels outside the image read 0. Writes `u8` with zero 0.
 */
export interface PatchesOp extends OpBase {
  readonly op: 'patches';
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** top, left. */
  readonly pad: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** Patches down, patches across. */
  readonly outSize: readonly [number, number];
}

export const patches: OpDefinition<PatchesOp> = {
  fields: { kernel: pair, stride: pair, pad: pair, dilation: pair, outSize: pair },
  tensors: () => [],
  operands: () => [0],
  validate(op, check, { input }) {
    check.that(op.out.type === 'u8' && op.out.zero === 0, 'it must write u8 with zero point 0');
    for (const axis of [0, 1]) {
      check.count('kernel', op.kernel[axis], 1, MAX_INPUT_EDGE);
      check.count('stride', op.stride[axis], 1, MAX_INPUT_EDGE);
      check.count('pad', op.pad[axis], 0, MAX_INPUT_EDGE);
      check.count('dilation', op.dilation[axis], 1, MAX_INPUT_EDGE);
      check.count('outSize', op.outSize[axis], 1, MAX_INPUT_EDGE);
    }
    check.that(op.rows === op.outSize[0] * op.outSize[1], `${op.outSize.join('×')} patches are not ${op.rows} rows`);
    const patch = op.kernel[0] * op.kernel[1] * input.channels;
    check.that(op.cols === patch, `patches of ${op.kernel.join('×')}×${input.channels} are not ${op.cols} columns`);
  },
  bound: () => 0n,
};
