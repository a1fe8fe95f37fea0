import { cutPatches } from '../../kernels/patches.js';
import type { PatchesOp } from '../../program/types.js';
import { allocate } from '../values.js';
import type { EngineOp } from './definition.js';

export const patches: EngineOp<PatchesOp> = {
  run(op, [image], { height, width, channels }) {
    const value = allocate(op);
    cutPatches(op, image.data as Uint8Array, { height, width, channels }, value.data as Uint8Array);
    return value;
  },
  words: { kernel: 2, stride: 2, pad: 2, dilation: 2, outWidth: 1, height: 1, width: 1, channels: 1 },
  constants: [],
  encode({ kernel, stride, pad, dilation, outSize }, { work }) {
    return { words: { kernel, stride, pad, dilation, outWidth: outSize[1], ...work.image }, constants: {} };
  },
  request({ operands }, _runs, values, request) {
    request(operands[0], [[0, values[operands[0]].rows]]);
  },
  isRowLocal: () => false,
};
