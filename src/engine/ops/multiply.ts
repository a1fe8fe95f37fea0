import type { MultiplyOp } from '../../program/types.js';
import { BINARY_WORDS, binaryReads, binaryWords, runBinary } from './broadcast.js';
import type { EngineOp } from './definition.js';
import { outputWords } from './words.js';

export const multiply: EngineOp<MultiplyOp> = {
  run: (op, operands) => runBinary(op, operands, (a, b) => a * b),
  words: BINARY_WORDS,
  constants: ['multiplier', 'offset'],
  encode: (op, surroundings) => ({
    words: { out: outputWords(op.out, op.shift), ...binaryWords(op, surroundings) },
    constants: { multiplier: op.multiplier, offset: op.offset },
  }),
  ...binaryReads,
};
