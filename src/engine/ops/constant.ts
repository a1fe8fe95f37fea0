import type { ConstantOp } from '../../program/types.js';
import { allocate } from '../values.js';
import type { EngineOp } from './definition.js';
import { typeWord } from './words.js';

export const constant: EngineOp<ConstantOp> = {
  run: (op) => ({ ...allocate(op), data: op.data.slice() }),
  words: { type: 1 },
  constants: ['data'],
  encode: ({ out, data }) => ({ words: { type: typeWord(out) }, constants: { data } }),
};
