import type { ConstantOp } from '../../program/types.js';
import { allocate } from '../values.js';
import type { EngineOp } from './definition.js';
import { typeWord } from './words.js';

export const constant: EngineOp<ConstantOp> = {
  run: (op) => ({ ...allocate(op), data: op.data.slice() }),
  encode: (op) => ({ words: [typeWord(op.out)], constants: [op.data] }),
};
