import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { loadOnnx, TensorReader } from '../onnx/index.js';
import {
  attribute,
  bytes,
  decodeModel,
  encodeModel,
  FLOAT,
  floats,
  INT8,
  integer,
  isPlainProduct,
  measureRanges,
  quantizeAndBack,
  transpose,
} from './onnx-parts.js';
import type { FloatInputs, Model, Node, Range, Tensor } from './onnx-parts.js';

/**
 * ONNX Runtime's two ways to 8 bits:
 * - `dynamic`: DynamicQuantizeLinear and MatMulInteger around every product with a constant matrix, as its
 *   `quantize_dynamic` writes them;
 * - `static`: QuantizeLinear and DequantizeLinear on both operands of every matrix product, ranges by calibration, as
 *   its `quantize_static` does (QDQ).
 *
 * Weights are symmetric with a scale per output channel, activations u8. ONNX Runtime's optimiser fuses either form
 * into its int8 kernels. Convolutions stay float: `int8-convolutions.ts` writes the form where they do not.
 */
export type Int8Way = 'dynamic' | 'static';

/**
 * Rewrites a float32 ONNX model for int8 matrix products.
 *
 * @param path the float model; external data is found beside it
 * @param samples inputs for calibration; only read by `static`
 * @returns the new model, weights inside
 * @throws InputError where the model has no product with a float32 matrix
 */
export async function quantizeForOnnxRuntime(
  path: string,
  way: Int8Way,
  samples: readonly FloatInputs[],
): Promise<Uint8Array> {
  const products = await readProducts(path);
  if (products.model.size === 0)
    throw new InputError(`${path} has no product with a constant float32 matrix, so there is nothing to write in int8`);
  const ranges =
    way === 'static' ? await measureRanges(products.proto, operandsOf(products), samples) : new Map<string, Range>();
  const writer = new Rewriter(products, ranges);
  const { graph } = products.proto;
  graph!.node = graph!.node!.flatMap((node) => writer.rewrite(node, way));
  const replaced = new Set([...products.model.values()].map(({ name }) => name));
  graph!.initializer = [...graph!.initializer!.filter((t) => !replaced.has(t.name!)), ...writer.tensors];
  return encodeModel(products.proto);
}

/** Every operand that is to be quantized. */
function operandsOf({ proto, model, computed }: Products): string[] {
  const operands = new Set<string>();
  for (const node of proto.graph!.node!) {
    const output = node.output![0];
    if (model.has(output)) operands.add(node.input![0]);
    if (computed.has(output)) for (const input of node.input!) operands.add(input);
  }
  return [...operands];
}

interface Matrix {
  readonly name: string;
  /** [inFeatures, cols] row-major. */
  readonly data: Float32Array;
  readonly inFeatures: number;
  readonly cols: number;
}

interface Products {
  readonly proto: Model;
  /** Constant right operands, by the output name of the MatMul or Gemm that reads them. */
  readonly model: ReadonlyMap<string, Matrix>;
  /** MatMul nodes of two computed operands, by output name. */
  readonly computed: ReadonlySet<string>;
}

/** Reads the model, takes external data into it, and finds its matrix products. */
async function readProducts(path: string): Promise<Products> {
  const proto = decodeModel(await readFile(path));
  const { model, tensors } = await loadOnnx(path);
  try {
    for (const tensor of proto.graph!.initializer!) inline(tensor, model.graph.initializers.get(tensor.name!), tensors);
    const matrices = new Map<string, Matrix>();
    const computed = new Set<string>();
    for (const node of proto.graph!.node!) {
      if (node.opType !== 'MatMul' && node.opType !== 'Gemm') continue;
      const [left, right] = node.input!;
      const tensor = model.graph.initializers.get(right);
      if (tensor === undefined) {
        if (node.opType === 'MatMul' && !model.graph.initializers.has(left)) computed.add(node.output![0]);
        continue;
      }
      if (tensor.dims.length !== 2 || tensor.dataType !== FLOAT || !isPlainProduct(node)) continue;
      const data = tensors.read(tensor) as Float32Array;
      const [rows, cols] = tensor.dims;
      const isTransposed = node.opType === 'Gemm' && attribute(node, 'transB') === 1;
      matrices.set(
        node.output![0],
        isTransposed
          ? { name: right, data: transpose(data, rows, cols), inFeatures: cols, cols: rows }
          : { name: right, data, inFeatures: rows, cols },
      );
    }
    return { proto, model: matrices, computed };
  } finally {
    tensors.close();
  }
}

function inline(tensor: Tensor, source: Parameters<TensorReader['read']>[0] | undefined, reader: TensorReader): void {
  if (!source?.external) return;
  if (source.dataType !== FLOAT)
    throw new InputError(`${source.name}: only float32 models can be written in int8 for ONNX Runtime`);
  const data = reader.read(source) as Float32Array;
  tensor.rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  tensor.externalData = [];
  tensor.dataLocation = 0;
}

class Rewriter {
  readonly tensors: Tensor[] = [];
  /** What a value was quantized to: names of its u8 tensor, scale and zero point; `static`: of its dequantized form. */
  readonly #quantized = new Map<string, { codes: string; scale: string; zero: string }>();
  readonly #dequantized = new Map<string, string>();

  constructor(
    private readonly products: Products,
    private readonly ranges: ReadonlyMap<string, Range>,
  ) {}

  /** The nodes that stand for `node`. */
  rewrite(node: Node, way: Int8Way): Node[] {
    const output = node.output![0];
    const matrix = this.products.model.get(output);
    if (matrix !== undefined)
      return way === 'dynamic' ? this.#dynamicProduct(node, matrix) : this.#staticProduct(node, matrix);
    if (way === 'static' && this.products.computed.has(output)) {
      const before: Node[] = [];
      const inputs = node.input!.map((name) => this.#dequantize(name, before));
      return [...before, { ...node, input: inputs }];
    }
    return [node];
  }

  #dynamicProduct(node: Node, matrix: Matrix): Node[] {
    const nodes: Node[] = [];
    const [x, , bias] = node.input!;
    const output = node.output![0];
    let codes = this.#quantized.get(x);
    if (codes === undefined) {
      codes = { codes: `${x}/codes`, scale: `${x}/scale`, zero: `${x}/zero` };
      this.#quantized.set(x, codes);
      nodes.push({ opType: 'DynamicQuantizeLinear', input: [x], output: [codes.codes, codes.scale, codes.zero] });
    }
    const weight = this.#weight(matrix, output);
    nodes.push(
      {
        opType: 'MatMulInteger',
        input: [codes.codes, weight.codes, codes.zero, weight.zero],
        output: [`${output}/sum`],
      },
      { opType: 'Cast', input: [`${output}/sum`], output: [`${output}/float`], attribute: [integer('to', FLOAT)] },
      { opType: 'Mul', input: [codes.scale, weight.scale], output: [`${output}/scales`] },
      {
        opType: 'Mul',
        input: [`${output}/float`, `${output}/scales`],
        output: [bias === undefined ? output : `${output}/product`],
      },
    );
    if (bias !== undefined) nodes.push({ opType: 'Add', input: [`${output}/product`, bias], output: [output] });
    return nodes;
  }

  #staticProduct(node: Node, matrix: Matrix): Node[] {
    const nodes: Node[] = [];
    const [x, , bias] = node.input!;
    const output = node.output![0];
    const input = this.#dequantize(x, nodes);
    const weight = this.#weight(matrix, output);
    nodes.push(
      {
        opType: 'DequantizeLinear',
        input: [weight.codes, weight.scale, weight.zeros],
        output: [`${output}/weight`],
        attribute: [integer('axis', 1)],
      },
      {
        opType: 'MatMul',
        input: [input, `${output}/weight`],
        output: [bias === undefined ? output : `${output}/product`],
      },
    );
    if (bias !== undefined) nodes.push({ opType: 'Add', input: [`${output}/product`, bias], output: [output] });
    return nodes;
  }

  /** The name of a value after it was quantized and dequantized; adds the nodes where there are none yet. */
  #dequantize(x: string, nodes: Node[]): string {
    const known = this.#dequantized.get(x);
    if (known !== undefined) return known;
    const value = `${x}/dequantized`;
    const made = quantizeAndBack(x, this.ranges.get(x)!, { codes: `${x}/codes`, dequantized: value });
    this.tensors.push(...made.tensors);
    nodes.push(...made.nodes);
    this.#dequantized.set(x, value);
    return value;
  }

  /** Symmetric codes of a matrix, a scale a column. */
  #weight(
    { data, inFeatures, cols }: Matrix,
    output: string,
  ): { codes: string; scale: string; zero: string; zeros: string } {
    const scales = new Float32Array(cols);
    for (let i = 0; i < data.length; i++) scales[i % cols] = Math.max(scales[i % cols], Math.abs(data[i]));
    for (let n = 0; n < cols; n++) scales[n] = scales[n] / 127 || 1;
    const codes = Int8Array.from(data, (w, i) => Math.round(w / scales[i % cols]));
    const names = {
      codes: `${output}/w`,
      scale: `${output}/w_scale`,
      zero: `${output}/w_zero`,
      zeros: `${output}/w_zeros`,
    };
    this.tensors.push(
      bytes(names.codes, [inFeatures, cols], INT8, new Uint8Array(codes.buffer)),
      floats(names.scale, [cols], scales),
      bytes(names.zero, [], INT8, Uint8Array.of(0)),
      bytes(names.zeros, [cols], INT8, new Uint8Array(cols)),
    );
    return names;
  }
}
