import type { AttentionNode, GraphNode } from '../../graph/types.js';

/**
 * What a consumer needs of a value:
 * - `codes`: 8 bits (16 where it matters) with per-channel scales, the input of a linear layer;
 * - `operand`: i8 with per-channel scales, an operand of attention;
 * - `activation`: i16 fixed point, an activation's input;
 * - `factor`: i16 with per-channel scales, a factor of a product;
 * - `fixed`: i16 with one scale about zero, where channels are summed together;
 * - `table`: i16 with one scale about the middle of the range, what a function's table is looked up by;
 * - `wide`: the residual stream's i32 fixed point, for everything else.
 */
export type Demand = 'codes' | 'operand' | 'activation' | 'factor' | 'fixed' | 'table' | 'wide';

export interface Plan {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly consumers: ReadonlyMap<string, readonly GraphNode[]>;
  /**
   * The form in which each node writes its value; consumers that demand another get it by a `rescale` of the wide one.
   */
  readonly form: ReadonlyMap<string, Demand>;
  /** Rows of each node's value that reach the output; null: all. */
  readonly needed: ReadonlyMap<string, Int32Array | null>;
  /** Linear nodes whose result is only added to a value computed before: add node id and the other operand. */
  readonly residual: ReadonlyMap<string, { readonly add: string; readonly other: string }>;
  /** Every attention that reads a value as an operand. */
  readonly attentions: ReadonlyMap<string, readonly AttentionNode[]>;
}
