import type { Expr } from '../expr.js';
import type { Lowered, Lowerer } from '../lower.js';
import type { Operator } from '../operator.js';

/**
 * One thing that Vision Transformers are made of, in all the ways exporters write it. Fused operators are taken apart
 * by `operators`; `lower` recognises the expression and adds canonical nodes.
 */
export interface Idiom {
  readonly name: string;
  /** ONNX operators that stand for the whole idiom, by name (`domain::Name` outside of the standard domain). */
  readonly operators?: Readonly<Record<string, Operator>>;
  /** It also recognises rearrangements of several values; other idioms see what these are made of. */
  readonly takesViews?: true;
  /** Null where the expression is something else. */
  readonly lower?: (expr: Expr, lowerer: Lowerer) => Lowered | null;
}
