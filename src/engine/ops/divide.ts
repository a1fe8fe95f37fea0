import { divideRounded } from '../../kernels/divide.js';
import type { DivideOp } from '../../program/types.js';
import { BINARY_WORDS, binaryReads, binaryWords, runBinary } from './broadcast.js';
import type { EngineOp } from './definition.js';
import { outputWords } from './words.js';

export const divide: EngineOp<DivideOp> = {
  run: (op, operands) => runBinary(op, operands, (a, b) => divideRounded(a, b, op.bits)),
  words: { ...BINARY_WORDS, bits: 1 },
  constants: ['multiplier', 'offset'],
  encode: (op, surroundings) => ({
    words: { out: outputWords(op.out, op.shift), ...binaryWords(op, surroundings), bits: op.bits },
    constants: { multiplier: op.multiplier, offset: op.offset },
  }),
  ...binaryReads,
};
