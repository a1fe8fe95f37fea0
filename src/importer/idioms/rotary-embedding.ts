import { InputError } from '../../errors.js';
import { Constant, sizeOf } from '../constant.js';
import type { Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import type { Idiom } from './idiom.js';

/** Rotary position embedding as one operator; written out, it is products and a sum like any others. */
export const rotaryEmbedding: Idiom = {
  name: 'RotaryEmbedding',
  operators: {
    RotaryEmbedding: (c) => rotate(c, { cos: c.constant(1), sin: c.constant(2), ids: c.has(3) ? c.constant(3) : null }),
    'com.microsoft::RotaryEmbedding': (c) => rotate(c, { cos: c.constant(2), sin: c.constant(3), ids: c.constant(1) }),
  },
};

/** The tables [positions, width/2], or [1, tokens, width/2] without ids; which position each token has. */
interface Tables {
  readonly cos: Constant;
  readonly sin: Constant;
  readonly ids: Constant | null;
}

/** x·cos + turned(x)·sin for x of [batch, heads, tokens, channels] or [batch, tokens, heads·channels]. */
function rotate(c: Parameters<Operator>[0], tables: Tables): Expr {
  const x = c.input(0);
  if (x.shape.length === 4) return turn(c, x, tables);
  const [batch, tokens, width] = x.shape;
  const heads = c.int('num_heads', 0);
  const rotated = c.int('rotary_embedding_dim', 0);
  const channels = heads > 0 ? width / heads : rotated > 0 ? rotated : 2 * tables.cos.shape.at(-1)!;
  if (!Number.isInteger(width / channels))
    throw new InputError(`${width} channels cannot be divided into heads of ${channels}`);
  const split = c.b.reshape(x, [batch, tokens, width / channels, channels]);
  const turned = turn(c, c.b.transpose(split, [0, 2, 1, 3]), tables);
  return c.b.reshape(c.b.transpose(turned, [0, 2, 1, 3]), x.shape);
}

function turn(c: OperatorContext, x: Expr, { cos, sin, ids }: Tables): Expr {
  const [, , tokens, channels] = x.shape;
  const half = cos.shape.at(-1)!;
  const interleaved = c.int('interleaved', 0) === 1;
  // Channel `at` of the pair that channel i belongs to, where it is turned at all.
  const pairs = Array.from({ length: channels }, (_, i) => {
    if (i >= 2 * half) return { partner: i, angle: -1, sign: 0 };
    const isSecond = interleaved ? i % 2 === 1 : i >= half;
    const step = interleaved ? 1 : half;
    return {
      partner: isSecond ? i - step : i + step,
      angle: interleaved ? i >> 1 : i % half,
      sign: isSecond ? 1 : -1,
    };
  });
  const position = (token: number): number => (ids === null ? token : positionOf(ids, token));
  const table = (of: (angle: number, row: number, sign: number) => number): Expr => {
    const data = new Float32Array(tokens * channels);
    for (let t = 0; t < tokens; t++)
      pairs.forEach(({ angle, sign }, i) => (data[t * channels + i] = of(angle, position(t), sign)));
    return c.b.constant(Constant.of([1, 1, tokens, channels], 'float', data));
  };
  const [cosines, sines] = [cos.data, sin.data];
  const stretched = table((angle, row) => (angle < 0 ? 1 : cosines[row * half + angle]));
  const crossed = table((angle, row, sign) => (angle < 0 ? 0 : sign * sines[row * half + angle]));
  const partners = c.b.take(x, [null, null, null, pairs.map(({ partner }) => partner)]);
  return c.b.add(c.b.mul(x, stretched), c.b.mul(partners, crossed));
}

/** Ids are one offset, or one for each token. */
function positionOf(ids: Constant, token: number): number {
  const { data } = ids;
  return sizeOf(ids.shape) === 1 ? data[0] + token : data[token];
}
