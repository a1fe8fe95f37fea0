import { optimizeFloatModel } from '../calibrate/runtime.js';
import {
  attribute,
  bytes,
  decodeModel,
  encodeModel,
  FLOAT,
  floats,
  INT32,
  INT8,
  integer,
  isPlainProduct,
  measureRanges,
  quantizeAndBack,
} from './onnx-parts.js';
import type { FloatInputs, Node, Range, Tensor } from './onnx-parts.js';

/** Operators besides products that ONNX Runtime's CPU has int8 kernels of, and its `quantize_static` quantizes. */
const OTHER_OPERATORS = new Set(['Add', 'Mul', 'Sigmoid', 'AveragePool', 'GlobalAveragePool']);
/** What ONNX Runtime leaves out where the quantization after it clips alike. */
const CLIPPING = new Set(['Relu', 'Clip']);

/** What is quantized: convolutions and matrix products, or all operators that there are int8 kernels of. */
export type Int8Reach = 'products' | 'all';

/**
 * Rewrites a float32 ONNX model so that ONNX Runtime runs its convolutions in int8 (QLinearConv): quantized and
 * dequantized (QDQ) inputs, weights and outputs, as its `quantize_static` writes them. Activations are u8 of one scale,
 * weights int8 with a scale an output channel, biases int32; ranges by calibration. The output of a convolution is
 * quantized after its ReLU or clip. Batch norms are folded before.
 *
 * @param path the float model
 * @param samples inputs for calibration
 * @returns the new model; null where it has no two convolutions to write in int8
 * @throws InputError where onnxruntime-node is missing
 */
export async function quantizeConvolutions(
  path: string,
  reach: Int8Reach,
  samples: readonly FloatInputs[],
): Promise<Uint8Array | null> {
  const model = decodeModel(await optimizeFloatModel(path));
  const graph = model.graph!;
  const weights = new Map(graph.initializer!.map((tensor) => [tensor.name!, tensor]));
  const chosen = graph.node!.filter((node) => isQuantized(node, reach, weights));
  if (chosen.filter(({ opType }) => opType === 'Conv').length < 2) return null;
  const names = activationsOf(graph.node!, chosen, weights);
  for (const { name } of graph.output!) names.delete(name!);
  const writer = new Rewriter(weights, await measureRanges(model, [...names], samples));
  const isChosen = new Set(chosen);
  const inputs = graph.input!.flatMap(({ name }) => writer.quantize(name!));
  graph.node = [...inputs, ...graph.node!.flatMap((node) => writer.rewrite(node, isChosen.has(node)))];
  const read = new Set(graph.node.flatMap((node) => node.input!));
  graph.initializer = [...graph.initializer!.filter(({ name }) => read.has(name!)), ...writer.tensors];
  return encodeModel(model);
}

/** Whether a node is to run in int8. */
function isQuantized(node: Node, reach: Int8Reach, weights: ReadonlyMap<string, Tensor>): boolean {
  const [left, right] = node.input!;
  const weight = weights.get(right);
  const isFloat = weight?.dataType === FLOAT;
  if (node.opType === 'Conv') return isFloat && !weights.has(left);
  if (node.opType === 'MatMul' && weight === undefined) return !weights.has(left);
  if (isPlainProduct(node)) return isFloat && weight.dims!.length === 2;
  return reach === 'all' && OTHER_OPERATORS.has(node.opType!) && node.input!.every((name) => !weights.has(name));
}

/** Values that are quantized: what the chosen nodes read and write, behind their clip where there is one. */
function activationsOf(
  nodes: readonly Node[],
  chosen: readonly Node[],
  weights: ReadonlyMap<string, Tensor>,
): Set<string> {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) for (const name of node.input!) readers.set(name, [...(readers.get(name) ?? []), node]);
  const names = new Set<string>();
  for (const { opType, input, output } of chosen) {
    for (const name of input!) if (!weights.has(name)) names.add(name);
    const [first, ...others] = readers.get(output![0]) ?? [];
    const isClipped = others.length === 0 && first !== undefined && CLIPPING.has(first.opType!);
    if (opType === 'Conv' && isClipped) names.add(first.output![0]);
    else names.add(output![0]);
  }
  return names;
}

class Rewriter {
  readonly tensors: Tensor[] = [];
  readonly #scales = new Map<string, number>();

  constructor(
    private readonly weights: ReadonlyMap<string, Tensor>,
    private readonly ranges: ReadonlyMap<string, Range>,
  ) {}

  /** The nodes that stand for `node`: every one reads quantized values where there are such. */
  rewrite(node: Node, isChosen: boolean): Node[] {
    const before: Node[] = [];
    const input = node.input!.map((name) => (this.#scales.has(name) ? `${name}/dequantized` : name));
    if (isChosen && this.weights.has(input[1])) {
      const isConv = node.opType === 'Conv';
      const scales = this.#weight(node, isConv, before);
      input[1] = `${node.output![0]}/weight`;
      if (input[2]) input[2] = this.#bias(node, scales, before);
    }
    const after = node.output!.flatMap((name) => this.quantize(name));
    return [...before, { ...node, input }, ...after];
  }

  /** Quantizes a value where it is among those chosen. */
  quantize(name: string): Node[] {
    const range = this.ranges.get(name);
    if (range === undefined) return [];
    const made = quantizeAndBack(name, range, { codes: `${name}/codes`, dequantized: `${name}/dequantized` });
    this.#scales.set(name, made.scale);
    this.tensors.push(...made.tensors);
    return made.nodes;
  }

  /** Symmetric codes of a weight, a scale an output channel. */
  #weight(node: Node, isConv: boolean, nodes: Node[]): Float32Array {
    const tensor = this.weights.get(node.input![1])!;
    const dims = tensor.dims!.map(Number);
    const axis = isConv || attribute(node, 'transB') === 1 ? 0 : 1;
    const [count, each] = [dims[axis], dims.reduce((a, b) => a * b) / dims[axis]];
    const scales = new Float32Array(count);
    const data = floatsOf(tensor);
    const channelOf = (i: number): number => (axis === 0 ? Math.floor(i / each) : i % count);
    for (let i = 0; i < data.length; i++) {
      const n = channelOf(i);
      scales[n] = Math.max(scales[n], Math.abs(data[i]));
    }
    for (let n = 0; n < count; n++) scales[n] = scales[n] / 127 || 1;
    const codes = Int8Array.from(data, (w, i) => Math.round(w / scales[channelOf(i)]));
    const name = `${node.output![0]}/weight`;
    this.tensors.push(
      bytes(`${name}/codes`, dims, INT8, new Uint8Array(codes.buffer)),
      floats(`${name}/scale`, [count], scales),
      bytes(`${name}/zero`, [count], INT8, new Uint8Array(count)),
    );
    nodes.push({
      opType: 'DequantizeLinear',
      input: [`${name}/codes`, `${name}/scale`, `${name}/zero`],
      output: [name],
      attribute: [integer('axis', axis)],
    });
    return scales;
  }

  /** A bias in units of the sums. */
  #bias(node: Node, weightScales: Float32Array, nodes: Node[]): string {
    const tensor = this.weights.get(node.input![2])!;
    const data = floatsOf(tensor);
    const scale = this.#scales.get(node.input![0])!;
    const scales = Float32Array.from(data, (_, n) => scale * weightScales[n]);
    const codes = Int32Array.from(data, (b, n) =>
      Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(b / scales[n]))),
    );
    const name = `${node.output![0]}/bias`;
    this.tensors.push(
      bytes(`${name}/codes`, [data.length], INT32, new Uint8Array(codes.buffer)),
      floats(`${name}/scale`, [data.length], scales),
      bytes(`${name}/zero`, [data.length], INT32, new Uint8Array(codes.byteLength)),
    );
    nodes.push({
      opType: 'DequantizeLinear',
      input: [`${name}/codes`, `${name}/scale`, `${name}/zero`],
      output: [name],
      attribute: [integer('axis', 0)],
    });
    return name;
  }
}

/** What a float32 initializer holds. */
function floatsOf({ rawData, floatData }: Tensor): Float32Array {
  return rawData && rawData.length > 0
    ? new Float32Array(Uint8Array.from(rawData).buffer)
    : Float32Array.from(floatData!);
}
