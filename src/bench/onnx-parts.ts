/** What the int8 forms of a model are written of: protobuf of tensors and attributes, ranges of values. */
import onnxProto from 'onnx-proto';
import { openFloatModel } from '../calibrate/runtime.js';

const { onnx } = onnxProto;

export type Model = onnxProto.onnx.IModelProto;
export type Node = onnxProto.onnx.INodeProto;
export type Tensor = onnxProto.onnx.ITensorProto;

/** Data types of ONNX. */
export const FLOAT = 1;
export const UINT8 = 2;
export const INT8 = 3;
export const INT32 = 6;

/** Float32 inputs by name, as the model takes them. */
export type FloatInputs = Readonly<Record<string, { data: Float32Array; shape: readonly number[] }>>;

export function decodeModel(bytes: Uint8Array): Model {
  return onnx.ModelProto.decode(bytes) as Model;
}

export function encodeModel(model: Model): Uint8Array {
  return onnx.ModelProto.encode(model as onnxProto.onnx.ModelProto).finish();
}

/** A number among a node's attributes. */
export function attribute(node: Node, name: string): number | undefined {
  const found = node.attribute?.find((a) => a.name === name);
  if (found === undefined) return undefined;
  return found.type === onnx.AttributeProto.AttributeType.FLOAT ? found.f! : Number(found.i);
}

export function integer(name: string, value: number): onnxProto.onnx.IAttributeProto {
  return { name, type: onnx.AttributeProto.AttributeType.INT, i: value };
}

export function floats(name: string, dims: number[], data: Float32Array): Tensor {
  return { name, dims, dataType: FLOAT, rawData: new Uint8Array(data.buffer) };
}

export function bytes(name: string, dims: number[], dataType: number, rawData: Uint8Array): Tensor {
  return { name, dims, dataType, rawData };
}

/** A Gemm that only multiplies and adds; every MatMul. */
export function isPlainProduct(node: Node): boolean {
  return (
    node.opType === 'MatMul' ||
    (node.opType === 'Gemm' &&
      (attribute(node, 'transA') ?? 0) === 0 &&
      (attribute(node, 'alpha') ?? 1) === 1 &&
      (attribute(node, 'beta') ?? 1) === 1)
  );
}

/** [rows, cols] → [cols, rows]. */
export function transpose(data: Float32Array, rows: number, cols: number): Float32Array {
  const turned = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) turned[c * rows + r] = data[r * cols + c];
  return turned;
}

/** Always holds 0. */
export interface Range {
  readonly lo: number;
  readonly hi: number;
}

/**
 * The smallest and largest of each float value `names`, over the samples. The model itself finds them, so that no more
 * memory is taken than it needs to run.
 */
export async function measureRanges(
  model: Model,
  names: readonly string[],
  samples: readonly FloatInputs[],
): Promise<Map<string, Range>> {
  const ends = names.map((name, i) => ({ name, lo: `range_${i}_lo`, hi: `range_${i}_hi` }));
  const nodes = ends.flatMap(({ name, lo, hi }): Node[] => [
    { opType: 'ReduceMin', input: [name], output: [lo], attribute: [integer('keepdims', 0)] },
    { opType: 'ReduceMax', input: [name], output: [hi], attribute: [integer('keepdims', 0)] },
  ]);
  const output = nodes.map((node) => ({
    name: node.output![0],
    type: { tensorType: { elemType: FLOAT, shape: { dim: [] } } },
  }));
  // ONNX Runtime runs what the last of the nodes needs first. So values are reduced as soon as they are there, and not
  // all kept to the end.
  const graph = { ...model.graph, node: [...model.graph!.node!, ...nodes.reverse()], output };
  const session = await openFloatModel(encodeModel({ ...model, graph }));
  const ranges = new Map<string, Range>();
  try {
    for (const inputs of samples) {
      const values = await session.run(inputs);
      for (const { name, lo, hi } of ends) {
        const { lo: least, hi: most } = ranges.get(name) ?? { lo: 0, hi: 0 };
        ranges.set(name, { lo: Math.min(least, values.get(lo)![0]), hi: Math.max(most, values.get(hi)![0]) });
      }
    }
  } finally {
    await session.close();
  }
  return ranges;
}

/** What quantizes a value to 0 … 255 of its range, and dequantizes it again. */
export function quantizeAndBack(
  value: string,
  { lo, hi }: Range,
  names: { readonly codes: string; readonly dequantized: string },
): { readonly nodes: Node[]; readonly tensors: Tensor[]; readonly scale: number } {
  const scale = Math.fround((hi - lo) / 255) || 1;
  const zero = Math.max(0, Math.min(255, Math.round(-lo / scale)));
  const [scaleName, zeroName] = [`${value}/scale`, `${value}/zero`];
  return {
    scale,
    tensors: [floats(scaleName, [], Float32Array.of(scale)), bytes(zeroName, [], UINT8, Uint8Array.of(zero))],
    nodes: [
      { opType: 'QuantizeLinear', input: [value, scaleName, zeroName], output: [names.codes] },
      { opType: 'DequantizeLinear', input: [names.codes, scaleName, zeroName], output: [names.dequantized] },
    ],
  };
}
