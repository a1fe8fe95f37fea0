import type { RescaleOp } from '../../../program/types.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const rescale: WriteOp<RescaleOp> = (g, op, [x]) => requantized(g, op, asMatrix(g, x, op.cols));
