import type { MixRowsNode } from '../../graph/types.js';
import { QUANTIZED_LIMIT_16, writtenScales } from '../decide/encoding.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { requantizeTo } from './requantization.js';

export const mixRows: NodeBuilder<MixRowsNode> = {
  demand: wideDemand,
  form: (_node, wanted) => wanted,
  build({ id, name, rows, cols, x, taps, index, factors }, form, { builder, request }) {
    const step = stepOf(factors);
    const weight = Int16Array.from(factors, (factor) => Math.round(factor / step));
    const target = request.encodings.target(id, form, cols);
    const { value: source, scale } = builder.wide(x);
    const requantized = requantizeTo(target, () => step * scale[0], name, MULTIPLIER_BITS);
    builder.define(
      id,
      form,
      { op: 'mixRows', name, rows, cols, out: target.out, x: source, taps, index, weight, ...requantized },
      writtenScales(target),
    );
  },
};

/** Sums of 24-bit values times 16-bit weights leave so many of 64 bits. */
const MULTIPLIER_BITS = 20;

/** Most weights are fractions with a denominator below: of a window's pixels, or of a resizing by a whole factor. */
const MOST_PARTS = 4096;
/** Single precision leaves a fraction so far from a whole number of its parts. */
const TOLERANCE = 1e-4;

/** The step in which the weights are whole numbers; the finest that fits 16 bits where there is none. */
function stepOf(factors: Float32Array): number {
  const distinct = [...new Set(factors)].filter((factor) => factor !== 0);
  const most = distinct.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  if (most === 0) return 1;
  for (let parts = 1; parts <= MOST_PARTS && parts * most <= QUANTIZED_LIMIT_16; parts++)
    if (distinct.every((factor) => Math.abs(factor * parts - Math.round(factor * parts)) < TOLERANCE)) return 1 / parts;
  return most / QUANTIZED_LIMIT_16;
}
