import { expect, test } from 'vitest';
import type { ChannelStatistics } from '../../../src/calibrate/statistics.js';
import { consumersOf } from '../../../src/graph/liveness.js';
import type { GraphNode } from '../../../src/graph/types.js';
import { MAX_EPSILON } from '../../../src/program/limits.js';
import { WideScales } from '../../../src/quantize/decide/wide-scales.js';

const shape = { rows: 1, cols: 1 };
const constant = (id: string): GraphNode => ({ op: 'constant', id, name: id, ...shape, value: new Float32Array(1) });
const add = (id: string, a: string, b: string): GraphNode => ({ op: 'add', id, name: id, ...shape, a, b });
const affine = (id: string, x: string, scale: number): GraphNode => ({
  ...{ op: 'affine', id, name: id, ...shape, x },
  ...{ scale: Float32Array.of(scale), shift: Float32Array.of(1) },
});
const divide = (id: string, a: string, b: string): GraphNode => ({
  ...{ op: 'divide', id, name: id, ...shape, a, b, bRows: 1, bCols: 1 },
});
const norm = (id: string, x: string, epsilon: number): GraphNode => ({
  ...{ op: 'layerNorm', id, name: id, ...shape, x, epsilon, center: true },
  ...{ gamma: Float32Array.of(1), beta: Float32Array.of(0) },
});

/** The scales of int32 values, of which these are the largest seen. */
function scalesOf(nodes: readonly GraphNode[], largest: Readonly<Record<string, number>>): WideScales {
  const statistics = new Map(
    nodes.map(({ id }) => [id, { channels: 1, min: [0], max: [largest[id]] } as unknown as ChannelStatistics]),
  );
  const plan = { nodes: new Map(nodes.map((node) => [node.id, node])), consumers: consumersOf(nodes) };
  return new WideScales(plan, statistics, () => true);
}

const nodes = [constant('a'), constant('b'), add('sum', 'a', 'b'), constant('large')];

test('values that are added have one scale, which the largest of them sets', () => {
  const scales = scalesOf(nodes, { a: 1, b: 3, sum: 4, large: 10_000 });
  expect(scales.of('a')).toBe(scales.of('b'));
  expect(scales.of('a')).toBe(scales.of('sum'));
  expect(scales.of('large') / scales.of('a')).toBeCloseTo(10_000 / 4);
});

test('values that are little smaller than the largest have the scale of the largest', () => {
  const scales = scalesOf(nodes, { a: 1, b: 3, sum: 4, large: 200 });
  expect(scales.of('a')).toBe(scales.of('large'));
});

test('what is only divided has a scale of its own, with less room', () => {
  const given = [constant('x'), affine('shifted', 'x', 1), constant('y'), divide('quotient', 'y', 'shifted')];
  const scales = scalesOf(given, { x: 99, shifted: 100, y: 1000, quotient: 900 });
  expect(scales.of('shifted')).toBe(scales.of('x'));
  expect(scales.of('y') / scales.of('x')).toBeCloseTo(10);
  expect(scales.of('quotient') / scales.of('y')).toBeCloseTo(8);
});

test('what is divided and added keeps the scale of the rest', () => {
  const given = [constant('x'), constant('y'), divide('quotient', 'x', 'y'), add('sum', 'x', 'quotient')];
  const scales = scalesOf(given, { x: 10, y: 100, quotient: 1, sum: 11 });
  expect(scales.of('x')).toBe(scales.of('sum'));
});

test('a shift is an addition; a factor makes another scale', () => {
  const given = [constant('x'), affine('shifted', 'x', 1), affine('scaled', 'x', 0.001)];
  const scales = scalesOf(given, { x: 1000, shifted: 1, scaled: 1 });
  expect(scales.of('shifted')).toBe(scales.of('x'));
  expect(scales.of('x') / scales.of('scaled')).toBeCloseTo(1000);
});

test('no scale is so fine that the ε of a norm would not fit', () => {
  const epsilon = 1e-3;
  const scales = scalesOf([constant('x'), norm('norm', 'x', epsilon)], { x: 1e-9, norm: 1e-9 });
  expect(epsilon / scales.of('x') ** 2).toBeLessThan(Number(MAX_EPSILON));
  expect(epsilon / scales.of('x') ** 2).toBeGreaterThan(Number(MAX_EPSILON) / 4);
});
