/** Layers that only move, join or combine what others made. */
import { sizeOf } from './net.js';
import type { Net, Value } from './net.js';

/** Reads the elements as another shape; one dimension may be -1. */
export function reshape(net: Net, x: Value, shape: readonly number[]): Value {
  const known = shape.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  const full = shape.map((dim) => (dim === -1 ? sizeOf(x.shape) / known : dim));
  return net.op('Reshape', [x, net.integers(full)], full);
}

export function transpose(net: Net, x: Value, perm: readonly number[]): Value {
  return net.op(
    'Transpose',
    [x],
    perm.map((axis) => x.shape[axis]),
    { perm },
  );
}

export function slice(net: Net, x: Value, axis: number, from: number, to = x.shape[axis], step = 1): Value {
  const inputs = [from, to, axis, step].map((v) => net.integers([v]));
  return net.op('Slice', [x, ...inputs], replace(x.shape, axis, Math.ceil((to - from) / step)));
}

export function split(net: Net, x: Value, axis: number, parts: readonly number[]): Value[] {
  const names = net.node('Split', [x, net.integers(parts)], parts.length, { axis });
  return names.map((name, i) => ({ name, shape: replace(x.shape, axis, parts[i]) }));
}

/** The entries of an axis one by one, as `unbind` gives them. */
export function unbind(net: Net, x: Value, axis: number): Value[] {
  return Array.from({ length: x.shape[axis] }, (_, i) =>
    net.op(
      'Gather',
      [x, net.integers([i], [])],
      x.shape.filter((_dim, a) => a !== axis),
      { axis },
    ),
  );
}

export function concat(net: Net, values: readonly Value[], axis: number): Value {
  const length = values.reduce((sum, { shape }) => sum + shape[axis], 0);
  return net.op('Concat', values, replace(values[0].shape, axis, length), { axis });
}

/** A learned token before every sequence of [batch, tokens, channels]. */
export function prepend(net: Net, x: Value, tokens: Value): Value {
  const shape = [x.shape[0], tokens.shape[1], x.shape[2]];
  return concat(net, [net.op('Expand', [tokens, net.integers(shape)], shape), x], 1);
}

export const add = (net: Net, a: Value, b: Value): Value => net.op('Add', [a, b], broadcast(a.shape, b.shape));
export const subtract = (net: Net, a: Value, b: Value): Value => net.op('Sub', [a, b], broadcast(a.shape, b.shape));
export const multiply = (net: Net, a: Value, b: Value): Value => net.op('Mul', [a, b], broadcast(a.shape, b.shape));
export const divide = (net: Net, a: Value, b: Value): Value => net.op('Div', [a, b], broadcast(a.shape, b.shape));
export const scale = (net: Net, x: Value, by: number): Value => multiply(net, x, net.scalar(by));

/** The product of the last two axes. */
export function matmul(net: Net, a: Value, b: Value): Value {
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return net.op('MatMul', [a, b], [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
}

export function softmax(net: Net, x: Value, axis = -1): Value {
  return net.op('Softmax', [x], x.shape, { axis });
}

/** [batch, channels, height, width] to [batch, height · width, channels]. */
export function toTokens(net: Net, x: Value): Value {
  const [batch, channels] = x.shape;
  return transpose(net, reshape(net, x, [batch, channels, -1]), [0, 2, 1]);
}

/** The way back. */
export function toMap(net: Net, x: Value, height: number, width = height): Value {
  const [batch, , channels] = x.shape;
  return reshape(net, transpose(net, x, [0, 2, 1]), [batch, channels, height, width]);
}

export function mean(net: Net, x: Value, axes: readonly number[], keep = false): Value {
  return reduce(net, 'ReduceMean', x, axes, keep);
}

/** `ReduceMax`, `ReduceL2` and their kin, whose axes are attributes at opset 17. */
export function reduce(net: Net, op: string, x: Value, axes: readonly number[], keep = false): Value {
  const shape = x.shape.flatMap((dim, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [dim]));
  return net.op(op, [x], shape, { axes, keepdims: keep ? 1 : 0 });
}

/** Pixels added at the ends of chosen axes: pairs of [axis, before, after]. */
export function pad(net: Net, x: Value, pads: readonly (readonly [number, number, number])[], value = 0): Value {
  const rank = x.shape.length;
  const full = new Array<number>(2 * rank).fill(0);
  const shape = [...x.shape];
  for (const [axis, before, after] of pads) {
    full[axis] = before;
    full[rank + axis] = after;
    shape[axis] += before + after;
  }
  return net.op('Pad', [x, net.integers(full), net.scalar(value)], shape, { mode: 'constant' });
}

/** x turned along an axis, as `torch.roll` does. */
export function roll(net: Net, x: Value, axis: number, by: number): Value {
  const at = (((-by % x.shape[axis]) + x.shape[axis]) % x.shape[axis]) as number;
  return concat(net, [slice(net, x, axis, at), slice(net, x, axis, 0, at)], axis);
}

export function replace(shape: readonly number[], axis: number, dim: number): number[] {
  return shape.map((old, a) => (a === axis ? dim : old));
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], i: number): number => shape[i - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(at(a, i), at(b, i)));
}
