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
  encode(op, { work }) {
    const { height, width, channels } = work.image;
    const geometry = [op.kernel, op.stride, op.pad, op.dilation].flatMap((pair) => [...pair]);
    return { words: [...geometry, op.outSize[1], height, width, channels], constants: [] };
  },
  request({ operands }, _runs, values, request) {
    request(operands[0], [[0, values[operands[0]].rows]]);
  },
  isRowLocal: () => false,
};
