import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;

/** ONNX's numbers of the element types that are written here. */
const ELEMENT_TYPES = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  uint32: 12,
  uint64: 13,
} as const;

export type ElementType = keyof typeof ELEMENT_TYPES;

export const elementTypeNumber = (type: ElementType): number => ELEMENT_TYPES[type];

export type OnnxAttribute = number | readonly number[] | string | OnnxFloat;

/** A float attribute, as numbers alone do not tell. */
export class OnnxFloat {
  constructor(readonly value: number) {}
}

/** What a model tells of a value. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  /** Left out: nothing is said of it. */
  readonly shape?: readonly number[];
}

export interface OnnxInitializer {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView;
}

interface OnnxHead {
  readonly graphName: string;
  readonly opset: number;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Values on the way whose types are stated. */
  readonly values?: readonly OnnxValue[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The IR version of ONNX 1.10 to 1.13, which brought the opsets 15 to 18. */
const IR_VERSION = 8;

/** An ONNX file in the making: nodes in the order of the data, and constants. */
export class OnnxModel {
  readonly #nodes: Record<string, unknown>[] = [];
  readonly #initializers: Record<string, unknown>[] = [];

  get nodeCount(): number {
    return this.#nodes.length;
  }

  /** @param output its name, which is also the node's */
  op(
    opType: string,
    input: readonly string[],
    output: string,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): string {
    const attribute = Object.entries(attributes).map(([name, value]) => ({ name, ...attributeValue(value) }));
    this.#nodes.push({ opType, name: output, input, output: [output], attribute });
    return output;
  }

  initializer({ name, type, dims, data }: OnnxInitializer): string {
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push({ name, dims, dataType: ELEMENT_TYPES[type], rawData });
    return name;
  }

  encode({ graphName, opset, inputs, outputs, values = [], metadata = {} }: OnnxHead): Uint8Array {
    const model = {
      irVersion: IR_VERSION,
      producerName: 'ivit',
      opsetImport: [{ domain: '', version: opset }],
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name: graphName,
        node: this.#nodes,
        initializer: this.#initializers,
        input: inputs.map(valueInfo),
        output: outputs.map(valueInfo),
        valueInfo: values.map(valueInfo),
      },
    };
    return onnx.ModelProto.encode(model as unknown as Parameters<typeof onnx.ModelProto.encode>[0]).finish();
  }
}

function valueInfo({ name, type, shape }: OnnxValue): Record<string, unknown> {
  const dims = shape === undefined ? {} : { shape: { dim: shape.map((dimValue) => ({ dimValue })) } };
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[type], ...dims } } };
}

function attributeValue(value: OnnxAttribute): Record<string, unknown> {
  if (value instanceof OnnxFloat) return { type: 1, f: value.value };
  if (typeof value === 'number') return { type: 2, i: value };
  return typeof value === 'string' ? { type: 3, s: new TextEncoder().encode(value) } : { type: 7, ints: value };
}
