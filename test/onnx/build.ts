import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import onnxProto from 'onnx-proto';
import { onTestFinished } from 'vitest';

const { onnx } = onnxProto;

type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | TensorSpec
  | GraphSpec;

export interface TensorSpec {
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly rawData?: Uint8Array;
  readonly floatData?: readonly number[];
  readonly int32Data?: readonly number[];
  readonly int64Data?: readonly number[];
  readonly doubleData?: readonly number[];
  readonly external?: Readonly<Record<string, string>>;
}

export interface NodeSpec {
  readonly op: string;
  readonly in: readonly string[];
  readonly out: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface GraphSpec {
  readonly nodes: readonly NodeSpec[];
  readonly outputs: readonly string[];
  /** Of the body of a loop: what each turn is given, with the element type. */
  readonly given?: Readonly<Record<string, number>>;
  /** Element types of its outputs that are no float32. */
  readonly types?: Readonly<Record<string, number>>;
}

export interface ModelSpec extends GraphSpec {
  /** Name to dims; symbolic dims are strings; null: no shape. The type is float32 unless `inputType` says otherwise. */
  readonly inputs?: Readonly<Record<string, readonly (number | string)[] | null>>;
  readonly inputType?: number;
  readonly initializers?: Readonly<Record<string, TensorSpec>>;
  readonly opset?: number;
  readonly functions?: readonly {
    readonly name: string;
    readonly domain: string;
    readonly in: readonly string[];
    readonly out: readonly string[];
    readonly nodes: readonly NodeSpec[];
  }[];
}

export const floats = (dims: readonly number[], values: ArrayLike<number>): TensorSpec => ({
  dims,
  dataType: 1,
  rawData: new Uint8Array(Float32Array.from(values).buffer),
});

export const ints = (values: readonly number[], dims: readonly number[] = [values.length]): TensorSpec => ({
  dims,
  dataType: 7,
  rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});

/** Reproducible values around zero. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export const random = (dims: readonly number[], seed?: number): TensorSpec =>
  floats(
    dims,
    noise(
      dims.reduce((product, dim) => product * dim, 1),
      seed,
    ),
  );

/** Encodes a model. */
export function encodeModel(spec: ModelSpec): Uint8Array {
  const message = {
    irVersion: 8,
    producerName: 'test',
    opsetImport: [{ domain: '', version: spec.opset ?? 17 }],
    functions: (spec.functions ?? []).map((f) => ({
      name: f.name,
      domain: f.domain,
      input: f.in,
      output: f.out,
      node: f.nodes.map(nodeMessage),
    })),
    graph: {
      ...graphMessage(spec),
      input: Object.entries(spec.inputs ?? { image: [1, 3, 8, 8] }).map(([name, dims]) => ({
        name,
        type: {
          tensorType: {
            elemType: spec.inputType ?? 1,
            ...(dims && {
              shape: { dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })) },
            }),
          },
        },
      })),
      initializer: Object.entries(spec.initializers ?? {}).map(([name, tensor]) => ({
        name,
        ...tensorMessage(tensor),
      })),
    },
  };
  return onnx.ModelProto.encode(message as unknown as Parameters<typeof onnx.ModelProto.encode>[0]).finish();
}

function graphMessage(spec: GraphSpec): Record<string, unknown> {
  return {
    name: 'graph',
    node: spec.nodes.map(nodeMessage),
    // Counters and conditions are single numbers.
    input: Object.entries(spec.given ?? {}).map(([name, elemType]) => ({
      name,
      type: { tensorType: { elemType, ...(elemType !== 1 && { shape: { dim: [] } }) } },
    })),
    output: spec.outputs.map((name) => ({ name, type: { tensorType: { elemType: spec.types?.[name] ?? 1 } } })),
  };
}

function nodeMessage(node: NodeSpec): Record<string, unknown> {
  return {
    opType: node.op,
    domain: node.domain ?? '',
    name: node.name ?? '',
    input: node.in,
    output: node.out,
    attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => ({ name, ...attributeMessage(value) })),
  };
}

function attributeMessage(value: Attribute): Record<string, unknown> {
  if (typeof value === 'number') return { type: 2, i: value };
  if (typeof value === 'string') return { type: 3, s: Buffer.from(value) };
  if (Array.isArray(value)) return { type: 7, ints: value };
  if ('float' in value) return { type: 1, f: value.float };
  if ('floats' in value) return { type: 6, floats: value.floats };
  if ('nodes' in value) return { type: 5, g: graphMessage(value as GraphSpec) };
  return { type: 4, t: tensorMessage(value as TensorSpec) };
}

function tensorMessage({ external, ...tensor }: TensorSpec): Record<string, unknown> {
  if (!external) return tensor;
  return { ...tensor, dataLocation: 1, externalData: Object.entries(external).map(([key, value]) => ({ key, value })) };
}

/** A folder that is removed after the test, with the given files. */
export function temporaryFolder(files: Readonly<Record<string, Uint8Array>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-onnx-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes);
  return folder;
}

/** Writes a model into a temporary folder and returns its path. */
export function writeModel(spec: ModelSpec, files: Readonly<Record<string, Uint8Array>> = {}): string {
  return path.join(temporaryFolder({ 'model.onnx': encodeModel(spec), ...files }), 'model.onnx');
}
