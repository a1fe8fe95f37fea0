/** Arithmetic on constants. */
import { applyLayout, type Layout } from '../graph/layout.js';
import { broadcastIndex, Constant, sizeOf } from './constant.js';

/** What an operation on constants gives. */
export const resultKind = (inputs: readonly Constant[]): Constant['kind'] =>
  inputs.some((input) => input.kind === 'float') ? 'float' : inputs[0].kind;

/** An exact rearrangement of constants. */
export function viewConstants(sources: readonly Constant[], layout: Layout, shape: readonly number[]): Constant {
  const named = sources.find((source) => source.name !== '');
  const kind = resultKind(sources);
  if (sources.length === 1) return Constant.of(shape, kind, applyLayout(layout, sources[0].data), named?.name ?? '');
  const size = sources.reduce((sum, source) => sum + source.size, 0);
  const joined = kind === 'float' ? new Float32Array(size) : new Float64Array(size);
  let at = 0;
  for (const source of sources) {
    joined.set(source.data, at);
    at += source.size;
  }
  return Constant.of(shape, kind, applyLayout(layout, joined), named?.name ?? '');
}

/** Batched product of a [batch, n, k] and b [batch, k, m], whose batch axes broadcast. */
export function multiply(
  a: Constant,
  b: Constant,
  batch: readonly number[],
  [n, k, m]: readonly [n: number, k: number, m: number],
): Constant {
  const count = sizeOf(batch);
  const [x, y] = [a.data, b.data];
  const one = new Float64Array(count * n * m);
  const [ofA, ofB] = [a, b].map(({ shape }) => broadcastIndex(shape.slice(0, -2), batch));
  for (let w = 0; w < count; w++)
    for (let i = 0; i < n; i++)
      for (let l = 0; l < k; l++) {
        const factor = x[(ofA[w] * n + i) * k + l];
        const row = (ofB[w] * k + l) * m;
        const out = (w * n + i) * m;
        for (let j = 0; j < m; j++) one[out + j] += factor * y[row + j];
      }
  return Constant.of([...batch, n, m], 'float', one, a.name || b.name);
}

/** Softmax along the last axis. */
export function softmaxRows(x: Constant): Constant {
  const cols = x.shape.at(-1)!;
  const out = Float64Array.from(x.data);
  for (let row = 0; row < out.length; row += cols) {
    let max = -Infinity;
    for (let j = 0; j < cols; j++) max = Math.max(max, out[row + j]);
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += out[row + j] = Math.exp(out[row + j] - max);
    for (let j = 0; j < cols; j++) out[row + j] /= sum;
  }
  return Constant.of(x.shape, 'float', out);
}

/** Mean or sum along axes, which stay with length 1. */
export function reduceConstant(
  op: 'mean' | 'sum',
  x: Constant,
  axes: readonly number[],
  shape: readonly number[],
): Constant {
  const out = new Float64Array(sizeOf(shape));
  const data = x.data;
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = axes.includes(axis) ? 0 : stride;
    stride *= shape[axis];
  }
  const position = new Array<number>(x.shape.length).fill(0);
  for (let i = 0; i < data.length; i++) {
    let to = 0;
    for (let axis = 0; axis < position.length; axis++) to += position[axis] * strides[axis];
    out[to] += data[i];
    for (let axis = position.length - 1; axis >= 0 && ++position[axis] === x.shape[axis]; axis--) position[axis] = 0;
  }
  if (op === 'mean') {
    const count = data.length / Math.max(1, out.length);
    for (let i = 0; i < out.length; i++) out[i] = x.kind === 'int' ? Math.trunc(out[i] / count) : out[i] / count;
  }
  return Constant.of(shape, x.kind, out, x.name);
}
