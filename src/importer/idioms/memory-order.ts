/** Which of a tensor's axes lie next to each other in the value that it is read from. */
import { stridesOf } from '../../graph/layout.js';
import type { Lowered } from '../lower.js';

/** How far apart, in its source, the elements of a tensor are that follow each other along each axis. */
export function axisStrides({ shape, layout: { piece, index } }: Lowered): number[] {
  const place = (at: number): number => index[Math.floor(at / piece)] * piece + (at % piece);
  return stridesOf(shape).map((stride, axis) => (shape[axis] > 1 ? Math.abs(place(stride) - place(0)) : 0));
}
