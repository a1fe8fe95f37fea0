import onnxProto from 'onnx-proto';
import type { GraphInput } from './graph-input.js';

const { onnx } = onnxProto;

const FLOAT = 1;
const INT64 = 7;
const OPSET = 17;
/** The IR version of ONNX 1.10 to 1.12, which brought opset 17. */
const IR_VERSION = 8;

type Attribute = number | readonly number[];

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
  readonly #nodes: Record<string, unknown>[] = [];
  readonly #initializers: Record<string, unknown>[] = [];
  readonly #byId: ReadonlyMap<string, { readonly rows: number; readonly cols: number }>;
  readonly #constants = new Map<string, string>();

  constructor({ input, family, nodes }: WrittenGraph) {
    this.input = input;
    this.#family = family;
    this.#byId = new Map(nodes.map((node) => [node.id, node]));
  }

  encode(readsImage: boolean, inputs: readonly string[], outputs: readonly string[]): Uint8Array {
    const { input } = this;
    const value = (name: string, shape: readonly number[]): Record<string, unknown> => ({
      name,
      type: { tensorType: { elemType: FLOAT, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
    });
    const valueOf = (id: string): Record<string, unknown> => {
      const node = this.#byId.get(id);
      if (!node)
        throw new RangeError(`Expected the id of a node for an input or output but received ${JSON.stringify(id)}`);
      return value(id, [node.rows, node.cols]);
    };
    const model = {
      irVersion: IR_VERSION,
      producerName: 'ivit',
      opsetImport: [{ domain: '', version: OPSET }],
      graph: {
        name: this.#family,
        node: this.#nodes,
        initializer: this.#initializers,
        input: [
          ...(readsImage ? [value(input.name, [1, input.channels, input.height, input.width])] : []),
          ...inputs.map(valueOf),
        ],
        output: outputs.map(valueOf),
      },
    };
    return onnx.ModelProto.encode(model as unknown as Parameters<typeof onnx.ModelProto.encode>[0]).finish();
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

  reshape(x: string, shape: readonly number[], name = `${x}//as ${shape.join('×')} ${this.#nodes.length}`): string {
    return this.op('Reshape', [x, this.integers(shape)], name);
  }

  slice(x: string, axis: number, from: number, to: number, name: string): string {
    return this.op('Slice', [x, ...[from, to, axis].map((at) => this.integers([at]))], name);
  }

  op(
    opType: string,
    input: readonly string[],
    output: string,
    attributes: Readonly<Record<string, Attribute | OnnxFloat>> = {},
  ): string {
    const attribute = Object.entries(attributes).map(([name, value]) =>
      value instanceof OnnxFloat
        ? { name, type: 1, f: value.value }
        : typeof value === 'number'
          ? { name, type: 2, i: value }
          : { name, type: 7, ints: value },
    );
    this.#nodes.push({ opType, name: output, input, output: [output], attribute });
    return output;
  }

  floats(id: string, name: string, dims: readonly number[], data: Float32Array): string {
    const full = `${id}//${name}`;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push({ name: full, dims, dataType: FLOAT, rawData });
    return full;
  }

  scalar(value: number): string {
    return this.#shared(`float ${value}`, () => ({
      dims: [],
      dataType: FLOAT,
      rawData: bytesOf(Float32Array.of(value)),
    }));
  }

  integers(values: ArrayLike<number>): string {
    const data = BigInt64Array.from(Array.from(values, BigInt));
    const key = values.length <= 8 ? data.join(',') : `#${this.#constants.size}`;
    return this.#shared(`int64 ${key}`, () => ({ dims: [values.length], dataType: INT64, rawData: bytesOf(data) }));
  }

  /** A constant that several nodes may share. */
  #shared(key: string, make: () => Record<string, unknown>): string {
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = `//${key}`;
      this.#constants.set(key, name);
      this.#initializers.push({ name, ...make() });
    }
    return name;
  }
}

/** A float attribute, as numbers alone do not tell. */
export class OnnxFloat {
  constructor(readonly value: number) {}
}

const bytesOf = (data: Float32Array | BigInt64Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** [N, taps, c] to [N, c, taps]. */
export function channelsFirst(weight: Float32Array, filters: number, taps: number, channels: number): Float32Array {
  const out = new Float32Array(weight.length);
  for (let n = 0; n < filters; n++)
    for (let t = 0; t < taps; t++)
      for (let c = 0; c < channels; c++) out[(n * channels + c) * taps + t] = weight[(n * taps + t) * channels + c];
  return out;
}
