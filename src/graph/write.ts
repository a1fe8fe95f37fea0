import onnxProto from 'onnx-proto';
import type { ActivationKind, AttentionNode, AttentionView, GatherNode, Graph, GraphNode } from './types.js';

const { onnx } = onnxProto;

const FLOAT = 1;
const INT64 = 7;
const OPSET = 17;
/** The IR version of ONNX 1.10 to 1.12, which brought opset 17. */
const IR_VERSION = 8;

type Attribute = number | readonly number[];

/**
 * Writes a canonical graph as a standard ONNX model (opset 17), for runtimes to execute.
 * @param extraOutputs Ids of nodes whose values become outputs too, under their ids, as float [rows, cols].
 * @returns The encoded ModelProto; its first output is the graph's own, named by its node's id.
 */
export function graphToOnnx(graph: Graph, extraOutputs: readonly string[] = []): Uint8Array {
  return partToOnnx(graph, graph.nodes, [], [...new Set([graph.output, ...extraOutputs])]);
}

/**
 * Writes some of a graph's nodes as a model of their own.
 * @param inputs Ids of nodes that are not among them but are read: inputs of the model, as float [rows, cols].
 * @param outputs Ids of nodes whose values are its outputs.
 */
export function partToOnnx(
  graph: Graph,
  nodes: readonly GraphNode[],
  inputs: readonly string[],
  outputs: readonly string[],
): Uint8Array {
  const writer = new GraphWriter(graph);
  for (const node of nodes) writer.write(node);
  return writer.encode(
    nodes.some(({ op }) => op === 'patchEmbed'),
    inputs,
    outputs,
  );
}

class GraphWriter {
  readonly #graph: Graph;
  readonly #nodes: Record<string, unknown>[] = [];
  readonly #initializers: Record<string, unknown>[] = [];
  readonly #byId: ReadonlyMap<string, GraphNode>;
  readonly #constants = new Map<string, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#byId = new Map(graph.nodes.map((node) => [node.id, node]));
  }

  encode(readsImage: boolean, inputs: readonly string[], outputs: readonly string[]): Uint8Array {
    const { input } = this.#graph;
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
        name: this.#graph.family,
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

  write(node: GraphNode): void {
    const { id, rows, cols } = node;
    switch (node.op) {
      case 'patchEmbed': {
        const [kh, kw] = node.kernel;
        const channels = this.#graph.input.channels;
        const weight = this.#floats(
          id,
          'weight',
          [cols, channels, kh, kw],
          channelsFirst(node.weight, cols, kh * kw, channels),
        );
        const bias = this.#floats(id, 'bias', [cols], node.bias);
        const conv = this.#op('Conv', [this.#graph.input.name, weight, bias], `${id}//conv`, {
          kernel_shape: node.kernel,
          strides: node.stride,
          pads: node.pads,
          dilations: node.dilation,
        });
        this.#op('Transpose', [this.#reshape(conv, [cols, rows])], id, { perm: [1, 0] });
        return;
      }
      case 'linear': {
        const x = this.#as(node.x, rows, node.inFeatures);
        const weight = this.#floats(id, 'weight', [cols, node.inFeatures], node.weight);
        this.#op('Gemm', [x, weight, this.#floats(id, 'bias', [cols], node.bias)], id, { transB: 1 });
        return;
      }
      case 'layerNorm': {
        const weights = [this.#floats(id, 'gamma', [cols], node.gamma), this.#floats(id, 'beta', [cols], node.beta)];
        this.#op('LayerNormalization', [this.#as(node.x, rows, cols), ...weights], id, {
          axis: -1,
          epsilon: new OnnxFloat(node.epsilon),
        });
        return;
      }
      case 'l2Norm': {
        const x = this.#as(node.x, rows, cols);
        const norm = this.#op('ReduceL2', [x], `${id}//norm`, { axes: [-1], keepdims: 1 });
        const bounded = node.epsilon > 0 ? this.#op('Max', [norm, this.#scalar(node.epsilon)], `${id}//max`) : norm;
        this.#op('Div', [x, bounded], id);
        return;
      }
      case 'activation':
        return this.#activation(node.kind, this.#as(node.x, rows, cols), id);
      case 'attention':
        return this.#attention(node);
      case 'add':
        this.#op('Add', [this.#as(node.a, rows, cols), this.#as(node.b, rows, cols)], id);
        return;
      case 'affine': {
        const scaled = this.#op(
          'Mul',
          [this.#as(node.x, rows, cols), this.#floats(id, 'scale', [cols], node.scale)],
          `${id}//scaled`,
        );
        this.#op('Add', [scaled, this.#floats(id, 'shift', [cols], node.shift)], id);
        return;
      }
      case 'addConst':
        this.#op('Add', [this.#as(node.x, rows, cols), this.#floats(id, 'value', [rows, cols], node.value)], id);
        return;
      case 'constant':
        this.#op('Identity', [this.#floats(id, 'value', [rows, cols], node.value)], id);
        return;
      case 'gather':
        return this.#gather(node);
      case 'meanRows': {
        const groups = this.#reshape(node.x, [rows, node.group, cols]);
        this.#op('ReduceMean', [groups], id, { axes: [1], keepdims: 0 });
        return;
      }
    }
  }

  #activation(kind: ActivationKind, x: string, id: string): void {
    const step = (op: string, inputs: readonly string[], name: string): string =>
      this.#op(op, inputs, `${id}//${name}`);
    switch (kind) {
      case 'relu':
        this.#op('Relu', [x], id);
        return;
      case 'silu':
      case 'quickGelu': {
        const scaled = kind === 'silu' ? x : step('Mul', [x, this.#scalar(1.702)], 'scaled');
        this.#op('Mul', [x, step('Sigmoid', [scaled], 'sigmoid')], id);
        return;
      }
      case 'gelu': {
        const erf = step('Erf', [step('Div', [x, this.#scalar(Math.SQRT2)], 'scaled')], 'erf');
        const product = step('Mul', [x, step('Add', [erf, this.#scalar(1)], 'sum')], 'product');
        this.#op('Mul', [product, this.#scalar(0.5)], id);
        return;
      }
      case 'geluTanh': {
        const cube = step('Mul', [step('Mul', [x, x], 'square'), x], 'cube');
        const inner = step('Add', [x, step('Mul', [cube, this.#scalar(0.044715)], 'cubic')], 'inner');
        const tanh = step('Tanh', [step('Mul', [inner, this.#scalar(Math.sqrt(2 / Math.PI))], 'scaled')], 'tanh');
        const product = step('Mul', [x, step('Add', [tanh, this.#scalar(1)], 'sum')], 'product');
        this.#op('Mul', [product, this.#scalar(0.5)], id);
      }
    }
  }

  #attention(node: AttentionNode): void {
    const { id, batch, heads, queries, keys, dim, valueDim } = node;
    const q = this.#heads(node, node.q, 'q', queries, dim, [0, 2, 1, 3]);
    const k = this.#heads(node, node.k, 'k', keys, dim, [0, 2, 3, 1]);
    const v = this.#heads(node, node.v, 'v', keys, valueDim, [0, 2, 1, 3]);
    const uniform = node.scale.every((scale) => scale === node.scale[0]);
    const scale = uniform ? this.#scalar(node.scale[0]) : this.#floats(id, 'scale', [heads, 1, 1], node.scale);
    let scores = this.#op('MatMul', [this.#op('Mul', [q, scale], `${id}//scaled`), k], `${id}//scores`);
    if (node.bias) {
      const bias = this.#floats(id, 'bias', [node.biasBatch, node.biasHeads, queries, keys], node.bias);
      scores = this.#op('Add', [scores, bias], `${id}//biased`);
    }
    const weights = this.#op('Softmax', [scores], `${id}//weights`, { axis: -1 });
    const perHead = this.#op('MatMul', [weights, v], `${id}//values`);
    const merged = this.#op('Transpose', [perHead], `${id}//merged`, { perm: [0, 2, 1, 3] });
    this.#reshape(merged, [batch * queries, heads * valueDim], id);
  }

  /** An attention operand as [batch, tokens, heads, dim], permuted. */
  #heads(
    node: AttentionNode,
    view: AttentionView,
    name: string,
    tokens: number,
    dim: number,
    perm: readonly number[],
  ): string {
    const { batch, heads } = node;
    const { stride, offset, headStride } = view;
    const rows = this.#size(view.source) / stride;
    const label = `${node.id}//${name}`;
    const shape = [batch, tokens, heads, dim];
    let x = this.#as(view.source, rows, stride);
    if (view.rows) x = this.#op('Gather', [x, this.#integers(view.rows)], `${label}.rows`, { axis: 0 });
    if (headStride === dim || heads === 1) {
      if (heads * dim < stride) x = this.#slice(x, 1, offset, offset + heads * dim, `${label}.columns`);
    } else {
      const columns = Int32Array.from(
        { length: heads * dim },
        (_, i) => offset + Math.floor(i / dim) * headStride + (i % dim),
      );
      x = this.#op('Gather', [x, this.#integers(columns)], `${label}.columns`, { axis: 1 });
    }
    return this.#op('Transpose', [this.#reshape(x, shape, `${label}.split`)], `${label}.heads`, { perm });
  }

  #gather(node: GatherNode): void {
    const { piece } = node;
    const pieces = node.sources.map((id) => this.#reshape(id, [-1, piece]));
    const padded = node.index.includes(-1);
    if (padded) pieces.push(this.#floats(node.id, 'zeros', [1, piece], new Float32Array(piece)));
    const all = pieces.length > 1 ? this.#op('Concat', pieces, `${node.id}//all`, { axis: 0 }) : pieces[0];
    const count = node.sources.reduce((sum, id) => sum + this.#size(id) / piece, 0);
    const index = node.index.map((from) => (from < 0 ? count : from));
    const consecutive = index.every((from, i) => from === index[0] + i);
    const picked = consecutive
      ? this.#slice(all, 0, index[0], index[0] + index.length, `${node.id}//picked`)
      : this.#op('Gather', [all, this.#integers(index)], `${node.id}//picked`, { axis: 0 });
    this.#reshape(picked, [node.rows, node.cols], node.id);
  }

  #size(id: string): number {
    const { rows, cols } = this.#byId.get(id)!;
    return rows * cols;
  }

  /** A node's value re-read as [rows, cols]. */
  #as(id: string, rows: number, cols: number): string {
    const node = this.#byId.get(id)!;
    return node.rows === rows && node.cols === cols ? id : this.#reshape(id, [rows, cols]);
  }

  #reshape(x: string, shape: readonly number[], name = `${x}//as ${shape.join('×')} ${this.#nodes.length}`): string {
    return this.#op('Reshape', [x, this.#integers(shape)], name);
  }

  #slice(x: string, axis: number, from: number, to: number, name: string): string {
    return this.#op('Slice', [x, ...[from, to, axis].map((at) => this.#integers([at]))], name);
  }

  #op(
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

  #floats(id: string, name: string, dims: readonly number[], data: Float32Array): string {
    const full = `${id}//${name}`;
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push({ name: full, dims, dataType: FLOAT, rawData });
    return full;
  }

  #scalar(value: number): string {
    return this.#shared(`float ${value}`, () => ({
      dims: [],
      dataType: FLOAT,
      rawData: bytesOf(Float32Array.of(value)),
    }));
  }

  #integers(values: ArrayLike<number>): string {
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
class OnnxFloat {
  constructor(readonly value: number) {}
}

const bytesOf = (data: Float32Array | BigInt64Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** [N, taps, c] to [N, c, taps]. */
function channelsFirst(weight: Float32Array, filters: number, taps: number, channels: number): Float32Array {
  const out = new Float32Array(weight.length);
  for (let n = 0; n < filters; n++)
    for (let t = 0; t < taps; t++)
      for (let c = 0; c < channels; c++) out[(n * channels + c) * taps + t] = weight[(n * taps + t) * channels + c];
  return out;
}
