import onnxProto from 'onnx-proto';
import { Random } from '../../../src/images/random.js';

const { onnx } = onnxProto;

/** What a node gives: its name in the file, and its shape. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What a BatchNormalization saw in training, of each channel. */
export interface ChannelStatistics {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

export interface NetOptions {
  /** Images at a time: 1 in the files that are kept. */
  readonly batch: number;
  /** What every BatchNormalization saw, by its place in the file; null: the file is written to measure them. */
  readonly statistics: ((norm: number, channels: number) => ChannelStatistics) | null;
}

type Attribute = number | string | readonly number[] | { readonly float: number };

/** The version of ONNX that `torch.onnx` writes by default for these models. */
const OPSET = 17;
const IR_VERSION = 8;
const FLOAT = 1;
const INT64 = 7;

/** A network under construction: nodes as `torch.onnx` writes them, shapes known throughout, weights random. */
export class Net {
  readonly batch: number;
  readonly statistics: NetOptions['statistics'];
  /** Pairs of outputs, mean and variance, of every BatchNormalization that is to be measured. */
  readonly measured: string[] = [];
  /** Every BatchNormalization written so far. */
  norms = 0;
  parameters = 0;
  /** Of the image, once there is one. */
  inputShape: readonly number[] = [];
  #random = new Random(1);
  #nodes: Record<string, unknown>[] = [];
  #initializers: Record<string, unknown>[] = [];
  #input: Record<string, unknown> | null = null;

  constructor({ batch, statistics }: NetOptions) {
    this.batch = batch;
    this.statistics = statistics;
  }

  /** The image, [batch, 3, height, width]. */
  image(height: number, width = height): Value {
    const shape = [this.batch, 3, height, width];
    this.#input = declare('pixel_values', shape);
    this.inputShape = shape;
    return { name: 'pixel_values', shape };
  }

  op(
    opType: string,
    input: readonly (Value | string)[],
    shape: readonly number[],
    attributes: Record<string, Attribute> = {},
  ): Value {
    return { name: this.node(opType, input, 1, attributes)[0], shape };
  }

  /** A node with several outputs: their names. */
  node(
    opType: string,
    input: readonly (Value | string)[],
    outputs: number,
    attributes: Record<string, Attribute>,
  ): string[] {
    const name = `/${opType}_${this.#nodes.length}`;
    const output = Array.from({ length: outputs }, (_, i) => `${name}_output_${i}`);
    this.#nodes.push({
      opType,
      name,
      input: input.map((value) => (typeof value === 'string' ? value : value.name)),
      output,
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
    return output;
  }

  /** A constant that is no parameter: a table, an index, a number. */
  constant(data: Float32Array, shape: readonly number[]): Value {
    return this.#initializer(FLOAT, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), shape);
  }

  scalar(value: number): Value {
    return this.constant(Float32Array.of(value), []);
  }

  integers(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.#initializer(INT64, new Uint8Array(BigInt64Array.from(values, BigInt).buffer), shape);
  }

  /** A parameter of given values. */
  weight(data: Float32Array, shape: readonly number[]): Value {
    this.parameters += data.length;
    return this.constant(data, shape);
  }

  /** A parameter of normal noise. */
  noise(shape: readonly number[], deviation: number, mean = 0): Value {
    return this.weight(this.normal(sizeOf(shape), deviation, mean), shape);
  }

  /** Nearly normal numbers: sums of four bytes, as a large network has many. */
  normal(length: number, deviation: number, mean = 0): Float32Array {
    const factor = deviation / Math.sqrt((4 * (256 ** 2 - 1)) / 12);
    return Float32Array.from({ length }, () => {
      const bits = this.#random.uint32();
      const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
      return mean + factor * (sum - 510);
    });
  }

  /** Positive numbers around `center`, spread as the scales of trained channels are. */
  spread(length: number, deviation: number, center = 1): Float32Array {
    return this.normal(length, deviation).map((v) => center * Math.exp(v));
  }

  /** The file. Outputs take the names given. */
  encode(outputs: Readonly<Record<string, Value>>): Uint8Array {
    for (const [name, value] of Object.entries(outputs)) {
      this.#nodes.push({ opType: 'Identity', name: `/${name}`, input: [value.name], output: [name] });
    }
    const model = {
      irVersion: IR_VERSION,
      producerName: 'ivit tools/measure/architectures',
      opsetImport: [{ domain: '', version: OPSET }],
      graph: {
        name: 'main_graph',
        node: this.#nodes,
        initializer: this.#initializers,
        input: [this.#input],
        output: [
          ...Object.entries(outputs).map(([name, { shape }]) => declare(name, shape)),
          ...this.measured.map((name) => ({ name, type: { tensorType: { elemType: FLOAT } } })),
        ],
      },
    };
    return onnx.ModelProto.encode(model as unknown as Parameters<typeof onnx.ModelProto.encode>[0]).finish();
  }

  #initializer(dataType: number, rawData: Uint8Array, dims: readonly number[]): Value {
    const name = `onnx::tensor_${this.#initializers.length}`;
    this.#initializers.push({ name, dataType, dims, rawData });
    return { name, shape: dims };
  }
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

function declare(name: string, shape: readonly number[]): Record<string, unknown> {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

function attribute(name: string, value: Attribute): Record<string, unknown> {
  if (typeof value === 'number') return { name, type: 2, i: value };
  if (typeof value === 'string') return { name, type: 3, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: 1, f: value.float };
  return { name, type: 7, ints: value };
}
