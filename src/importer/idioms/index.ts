import type { Operator } from '../operator.js';
import { activation } from './activation.js';
import { attention } from './attention.js';
import { constantOperand } from './constant-operand.js';
import { fusedMatMul } from './fused-mat-mul.js';
import type { Idiom } from './idiom.js';
import { l2Norm } from './l2-norm.js';
import { layerNorm } from './layer-norm.js';
import { linear } from './linear.js';
import { meanRows } from './mean-rows.js';
import { patchEmbed } from './patch-embed.js';
import { residual } from './residual.js';

/** In the order they are tried: the most particular first. */
export const idioms: readonly Idiom[] = [
  patchEmbed,
  attention,
  linear,
  layerNorm,
  l2Norm,
  activation,
  meanRows,
  constantOperand,
  residual,
  fusedMatMul,
];

/** The operators of all idioms. */
export const idiomOperators: Readonly<Record<string, Operator>> = Object.assign(
  {},
  ...idioms.map((idiom) => idiom.operators ?? {}),
);
