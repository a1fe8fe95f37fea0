import type { Operator } from '../operator.js';
import { activation } from './activation.js';
import { attention } from './attention.js';
import { convolution } from './convolution.js';
import { constantOperand } from './constant-operand.js';
import { extremum } from './extremum.js';
import { fusedMatMul } from './fused-mat-mul.js';
import type { Idiom } from './idiom.js';
import { l2Norm } from './l2-norm.js';
import { layerNorm } from './layer-norm.js';
import { linear } from './linear.js';
import { lookup } from './lookup.js';
import { matmul } from './matmul.js';
import { meanRows } from './mean-rows.js';
import { patchEmbed } from './patch-embed.js';
import { product } from './product.js';
import { pooling } from './pooling.js';
import { residual } from './residual.js';
import { rmsNorm } from './rms-norm.js';
import { rotary } from './rotary.js';
import { rotaryEmbedding } from './rotary-embedding.js';
import { softmax } from './softmax.js';

/** In the order they are tried: the most particular first. */
export const idioms: readonly Idiom[] = [
  patchEmbed,
  convolution,
  pooling,
  attention,
  linear,
  rotary,
  matmul,
  softmax,
  layerNorm,
  rmsNorm,
  l2Norm,
  activation,
  lookup,
  meanRows,
  constantOperand,
  product,
  residual,
  extremum,
  fusedMatMul,
  rotaryEmbedding,
];

/** The operators of all idioms. */
export const idiomOperators: Readonly<Record<string, Operator>> = Object.assign(
  {},
  ...idioms.map((idiom) => idiom.operators ?? {}),
);
