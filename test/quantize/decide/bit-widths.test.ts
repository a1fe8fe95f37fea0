import { describe, expect, test } from 'vitest';
import type { AttentionNode, LinearNode } from '../../../src/graph/types.js';
import { BitWidths, NOTHING_SENSITIVE } from '../../../src/quantize/decide/bit-widths.js';
import { DEFAULT_OPTIONS, resolveScheme, type LayerBits } from '../../../src/quantize/index.js';
import { separateOutputRows } from '../../../src/quantize/output-rows.js';
import { planGraph } from '../../../src/quantize/plan/index.js';
import { tinyGraph } from '../../cli/ivit.js';

const graph = separateOutputRows(tinyGraph(1));
const layer = (id: string) => graph.nodes.find((node) => node.id === id) as LinearNode;
const attention = graph.nodes.find((node): node is AttentionNode => node.op === 'attention')!;

function widths(layerBits: readonly LayerBits[] = [], sensitive = NOTHING_SENSITIVE, fewRows = 1): BitWidths {
  const scheme = resolveScheme({ ...DEFAULT_OPTIONS, layerBits });
  const techniques = { ...scheme.techniques, fewRows };
  return new BitWidths(planGraph(graph, scheme.inputs), { ...scheme, techniques }, sensitive);
}

describe('inputs', () => {
  test('have 16 bits where few rows reach the output', () => {
    expect(widths().input(layer('qkv'))).toBe(8);
    expect(widths().input(layer('head'))).toBe(16);
    expect(widths([], NOTHING_SENSITIVE, 0).input(layer('head'))).toBe(8);
  });

  test('have 16 where the logits are sensitive to them', () => {
    expect(widths([], { ...NOTHING_SENSITIVE, inputs: new Set(['norm1']) }).input(layer('qkv'))).toBe(16);
  });

  test('have what the user asks for, the last pattern first', () => {
    const asked = widths([
      { pattern: '*', bits: 16 },
      { pattern: 'head', bits: 8 },
    ]);
    expect(asked.input(layer('qkv'))).toBe(16);
    expect(asked.input(layer('head'))).toBe(8);
  });
});

test('weights have a residual plane where they are sensitive, or tied to such', () => {
  const sensitive = widths([], { ...NOTHING_SENSITIVE, weights: new Set(['qkv']) });
  expect(sensitive.weightPlanes(layer('qkv'))).toBe(2);
  expect(sensitive.weightPlanes({ ...layer('head'), weightsOf: 'qkv' })).toBe(2);
  expect(sensitive.weightPlanes(layer('head'))).toBe(1);
});

test('softmax weights have 12 bits where they are sensitive', () => {
  const { id, keys } = attention;
  expect(widths([], NOTHING_SENSITIVE, 0).softmax(attention)).toBe(8);
  expect(widths([], { ...NOTHING_SENSITIVE, softmax: new Set([id]) }, 0).softmax(attention)).toBe(12);
  // Of very many keys the sums of 12-bit weights would not fit.
  expect(widths([], NOTHING_SENSITIVE, 99).softmax({ ...attention, keys: 1000 * keys })).toBe(8);
});
