/** `ivit/kernels`: the bit-exact specification of every integer op, and the published kernels. */
export { activate, KNOTS, shiftEvenPart } from './activation.js';
export { attendRow, normalizeSum, scaleScore, softmaxDither, softmaxWeight } from './attention.js';
export { divideRounded } from './divide.js';
export { applyDyadic, bitLength, requantize, shiftRound } from './dyadic.js';
export type { Dyadic } from './dyadic.js';
export { lookUp } from './lookup.js';
export { multiplyViews } from './matmul.js';
export { softmaxRow } from './softmax.js';
export { gatherPieces } from './gather.js';
export { cutPatches } from './patches.js';
export { accumulateRow, addWide } from './linear.js';
export type { LinearInput } from './linear.js';
export { integerSqrt, normalizeRow } from './layer-norm.js';
export { outputRange, quantizeRow, roundUpTo8Bits } from './output.js';
export * as paper from './paper.js';
export { activationKnots, quantizeReal, symmetricScale, toDyadic } from './prepare.js';
export { ROW_LIMIT, WIDE_LIMIT } from '../program/limits.js';
