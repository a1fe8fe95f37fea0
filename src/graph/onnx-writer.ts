import type { GraphInput } from './graph-input.js';
import { OnnxModel, type OnnxAttribute, type OnnxInitializer, type OnnxValue } from './onnx-model.js';

const OPSET = 17;

/** What a writer needs to know of the graph that it writes. */
interface WrittenGraph {
  readonly input: GraphInput;
  readonly family: string;
  readonly nodes: readonly { readonly id: string; readonly rows: number; readonly cols: number }[];
}

/**
 * Writes ONNX operators: what nodes are given to write themselves with. Names are those of nodes, or stand behind `//`.
 */
export class OnnxWriter {
  /** The image: the model's input. */
  readonly input: GraphInput;
  readonly #family: string;
  readonly #model = new OnnxModel();
  readonly #byId: ReadonlyMap<string, { readonly rows: number; readonly cols: number }>;
  readonly #constants = new Map<string, string>();

  constructor({ input, family, nodes }: WrittenGraph) {
    this.input = input;
    this.#family = family;
    this.#byId = new Map(nodes.map((node) => [node.id, node]));
  }

  encode(readsImage: boolean, inputs: readonly string[], outputs: readonly string[]): Uint8Array {
    const { name, channels, height, width } = this.input;
    const image: OnnxValue = { name, type: 'float', shape: [1, channels, height, width] };
    const valueOf = (id: string): OnnxValue => {
      const node = this.#byId.get(id);
      if (!node)
        throw new RangeError(`Expected the id of a node for an input or output but received ${JSON.stringify(id)}`);
      return { name: id, type: 'float', shape: [node.rows, node.cols] };
    };
    return this.#model.encode({
      graphName: this.#family,
      opset: OPSET,
      inputs: [...(readsImage ? [image] : []), ...inputs.map(valueOf)],
      outputs: outputs.map(valueOf),
    });
  }

  /** Elements of a node's value. */
  sizeOf(id: string): number {
    const { rows, cols } = this.#byId.get(id)!;
    return rows * cols;
  }

  /** A node's value re-read as [rows, cols]. */
  as(id: string, rows: number, cols: number): string {
    const node = this.#byId.get(id)!;
    return node.rows === rows && node.cols === cols ? id : this.reshape(id, [rows, cols]);
  }

  reshape(x: string, shape: readonly number[], name = `${x}//as ${shape.join('×')} ${this.#model.nodeCount}`): string {
    return this.op('Reshape', [x, this.integers(shape)], name);
  }

  slice(x: string, axis: number, from: number, to: number, name: string): string {
    return this.op('Slice', [x, ...[from, to, axis].map((at) => this.integers([at]))], name);
  }

  op(
    opType: string,
    input: readonly string[],
    output: string,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): string {
    return this.#model.op(opType, input, output, attributes);
  }

  floats(id: string, name: string, dims: readonly number[], data: Float32Array): string {
    return this.#model.initializer({ name: `${id}//${name}`, type: 'float', dims, data });
  }

  scalar(value: number): string {
    return this.#shared(`float ${value}`, { type: 'float', dims: [], data: Float32Array.of(value) });
  }

  integers(values: ArrayLike<number>): string {
    const data = BigInt64Array.from(Array.from(values, BigInt));
    const key = values.length <= 8 ? data.join(',') : `#${this.#constants.size}`;
    return this.#shared(`int64 ${key}`, { type: 'int64', dims: [values.length], data });
  }

  /** A constant that several nodes may share. */
  #shared(key: string, constant: Omit<OnnxInitializer, 'name'>): string {
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = `//${key}`;
      this.#constants.set(key, name);
      this.#model.initializer({ name, ...constant });
    }
    return name;
  }
}

/** [N, taps, c] to [N, c, taps]. */
export function channelsFirst(weight: Float32Array, filters: number, taps: number, channels: number): Float32Array {
  const out = new Float32Array(weight.length);
  for (let n = 0; n < filters; n++)
    for (let t = 0; t < taps; t++)
      for (let c = 0; c < channels; c++) out[(n * channels + c) * taps + t] = weight[(n * taps + t) * channels + c];
  return out;
}
