import type { OnnxWriter } from '../onnx-writer.js';

/** What every node has. */
export interface NodeBase {
  /** Unique; the name of the ONNX tensor it equals where there is one. */
  readonly id: string;
  /** Human name for reports and globs, derived from weight or node names, e.g. `blocks.0.attn.qkv`. Unique. */
  readonly name: string;
  /** Nominal shape of the value it writes. */
  readonly rows: number;
  readonly cols: number;
}

/** The float image: [channels, height, width]. */
export interface Image {
  readonly data: Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** What a node adds to a report. */
export interface NodeDescription {
  readonly detail: string;
  readonly parameters: number;
  /** Multiply-accumulates. */
  readonly macs: number;
}

/** All that the float graph's walks need to know of one kind of node. */
export interface NodeDefinition<N extends NodeBase> {
  /** The ids of the values that it reads, each once. */
  operands(node: N): readonly string[];
  /** The node reading other values: `rename` gives the new id for each old one. */
  withOperands(node: N, rename: (id: string) => string): N;
  /** Its value [rows, cols] in float, plainly: what it means. */
  evaluate(node: N, read: (id: string) => Float32Array, image: Image): Float32Array;
  /** Writes it as ONNX operators, the last of which gives a tensor named by its id. */
  toOnnx(node: N, writer: OnnxWriter): void;
  /** Left out: nothing to tell. */
  describe?(node: N): Partial<NodeDescription>;
  /**
   * Which rows of the operand it reads to make `wanted` rows of its own (null: all); null: all. Left out: row r of a
   * value of as many rows, for row r.
   */
  rowsRead?(
    node: N,
    operand: NodeBase,
    wanted: Int32Array | null,
    nodes: ReadonlyMap<string, NodeBase>,
  ): ArrayLike<number> | null;
}

/** Of nodes that read one value, `x`. */
export const readsX = {
  operands: (node: { readonly x: string }): readonly string[] => [node.x],
  withOperands: <N extends { readonly x: string }>(node: N, rename: (id: string) => string): N => ({
    ...node,
    x: rename(node.x),
  }),
};

/** Of nodes that read two values, `a` and `b`. */
export const readsTwo = {
  operands: ({ a, b }: { readonly a: string; readonly b: string }): readonly string[] => (a === b ? [a] : [a, b]),
  withOperands: <N extends { readonly a: string; readonly b: string }>(node: N, rename: (id: string) => string): N => ({
    ...node,
    a: rename(node.a),
    b: rename(node.b),
  }),
};

/** Of nodes that read nothing. */
export const readsNothing = {
  operands: (): readonly string[] => [],
  withOperands: <N>(node: N): N => node,
};
