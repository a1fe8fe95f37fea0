/**
 * Writes a plain ViT as a `.tflite` file, the form that LiteRT takes: its converters are Python packages that bring
 * TensorFlow or PyTorch. Operators are those that XNNPACK, LiteRT's CPU backend, runs by itself; q, k and v are layers
 * of their own, so that nothing is sliced, and the scale of scores is in the weights of q.
 */
import { Builder } from 'flatbuffers';

/** Of schema.fbs of TensorFlow Lite: numbers of types, operators, and tables of options with their fields. */
const FLOAT32 = 0;
const INT32 = 2;
const INT8 = 9;
const SCHEMA_VERSION = 3;
const VALID = 1;
const OPERATORS = {
  ADD: { code: 0, options: 11, fields: 0 },
  CONCATENATION: { code: 2, options: 10, fields: 1 },
  CONV_2D: { code: 3, version: 2, options: 1, fields: 3 },
  FULLY_CONNECTED: { code: 9, version: 9, options: 8, fields: 4 },
  MUL: { code: 18, options: 21, fields: 0 },
  RESHAPE: { code: 22, options: 17, fields: 0 },
  SOFTMAX: { code: 25, options: 9, fields: 1 },
  TRANSPOSE: { code: 39, options: 26, fields: 0 },
  MEAN: { code: 40, options: 27, fields: 1 },
  SUB: { code: 41, options: 28, fields: 0 },
  SLICE: { code: 65, options: 48, fields: 0 },
  RSQRT: { code: 76, options: 0, fields: 0 },
  BATCH_MATMUL: { code: 126, options: 101, fields: 2 },
  GELU: { code: 150, options: 115, fields: 1 },
};

const TYPES = new Map([
  [Float32Array, FLOAT32],
  [Int32Array, INT32],
  [Int8Array, INT8],
]);

/** Tensors and operators as they come. */
class Writer {
  tensors = [];
  buffers = [null];
  operators = [];

  tensor(shape, data = null, scales = null) {
    if (data !== null) this.buffers.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const type = data === null ? FLOAT32 : TYPES.get(data.constructor);
    this.tensors.push({ shape, type, buffer: data === null ? 0 : this.buffers.length - 1, scales });
    return this.tensors.length - 1;
  }

  ints(...values) {
    return this.tensor([values.length], Int32Array.from(values));
  }

  /** @param setOptions writes fields of the options: (builder) => void */
  op(name, inputs, shape, setOptions = () => undefined) {
    const output = this.tensor(shape);
    this.operators.push({ name, inputs, output, setOptions });
    return output;
  }

  bytes(input, output) {
    const b = new Builder(1 << 20);
    const strings = new Map();
    const text = (value) => strings.get(value) ?? strings.set(value, b.createString(value)).get(value);
    const vector = (size, list, add) => {
      b.startVector(size, list.length, size);
      for (let i = list.length - 1; i >= 0; i--) add(list[i]);
      return b.endVector();
    };
    const offsets = (list) => vector(4, list, (one) => b.addOffset(one));
    const int32s = (list) => vector(4, list, (one) => b.addInt32(one));
    const table = (fields, fill) => {
      b.startObject(fields);
      fill();
      return b.endObject();
    };

    const buffers = this.buffers.map((data) => {
      if (data === null) return table(3, () => undefined);
      b.prep(16, data.length);
      const at = b.createByteVector(data);
      return table(3, () => b.addFieldOffset(0, at, 0));
    });
    const tensors = this.tensors.map(({ shape, type, buffer, scales }, i) => {
      const [shapeAt, name] = [int32s(shape), text(`t${i}`)];
      let quantization = 0;
      if (scales !== null) {
        const scale = vector(4, scales, (one) => b.addFloat32(one));
        const zero = vector(8, scales, () => b.addInt64(0n));
        quantization = table(7, () => {
          b.addFieldOffset(2, scale, 0);
          b.addFieldOffset(3, zero, 0);
        });
      }
      return table(10, () => {
        b.addFieldOffset(0, shapeAt, 0);
        b.addFieldInt8(1, type, 0);
        b.addFieldInt32(2, buffer, 0);
        b.addFieldOffset(3, name, 0);
        b.addFieldOffset(4, quantization, 0);
      });
    });
    const names = [...new Set(this.operators.map(({ name }) => name))];
    const codes = names.map((name) => {
      const { code, version = 1 } = OPERATORS[name];
      return table(4, () => {
        b.addFieldInt8(0, Math.min(code, 127), 0);
        b.addFieldInt32(2, version, 1);
        b.addFieldInt32(3, code, 0);
      });
    });
    const operators = this.operators.map(({ name, inputs, output: to, setOptions }) => {
      const { options, fields } = OPERATORS[name];
      const [inputsAt, outputsAt] = [int32s(inputs), int32s([to])];
      const optionsAt = options === 0 ? 0 : table(fields, () => setOptions(b));
      return table(9, () => {
        b.addFieldInt32(0, names.indexOf(name), 0);
        b.addFieldOffset(1, inputsAt, 0);
        b.addFieldOffset(2, outputsAt, 0);
        b.addFieldInt8(3, options, 0);
        b.addFieldOffset(4, optionsAt, 0);
      });
    });
    const parts = [offsets(tensors), int32s([input]), int32s([output]), offsets(operators)];
    const graph = table(5, () => parts.forEach((at, i) => b.addFieldOffset(i, at, 0)));
    const lists = [
      [1, offsets(codes)],
      [2, offsets([graph])],
      [4, offsets(buffers)],
    ];
    const model = table(8, () => {
      b.addFieldInt32(0, SCHEMA_VERSION, 0);
      for (const [field, at] of lists) b.addFieldOffset(field, at, 0);
    });
    b.finish(model, 'TFL3');
    return b.asUint8Array();
  }
}

/** Rows of weights as int8 with a scale each. */
function quantized(weight, rows) {
  const cols = weight.length / rows;
  const scales = [];
  const codes = new Int8Array(weight.length);
  for (let n = 0; n < rows; n++) {
    const row = weight.subarray(n * cols, (n + 1) * cols);
    const scale = row.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-12) / 127;
    scales.push(scale);
    row.forEach((one, k) => (codes[n * cols + k] = Math.round(one / scale)));
  }
  return { codes, scales };
}

/**
 * @param graph the canonical graph of a plain ViT
 * @param isInt8 weights of int8, for inputs that are quantized by row as they come
 */
export function writeTflite(graph, { isInt8 }) {
  const w = new Writer();
  const { height, width, channels } = graph.input;
  const input = w.tensor([1, height, width, channels]);
  const values = new Map();
  const layer = (x, weight, bias) => {
    const [cols, rows] = [bias.length, w.tensors[x].shape[0]];
    const { codes, scales } = isInt8 ? quantized(weight, cols) : { codes: weight, scales: null };
    const inputs = [x, w.tensor([cols, weight.length / cols], codes, scales), w.tensor([cols], bias)];
    return w.op('FULLY_CONNECTED', inputs, [rows, cols], (b) => isInt8 && b.addFieldInt8(3, 1, 0));
  };
  const keep = (b) => b.addFieldInt8(0, 1, 0);
  const linears = new Map(graph.nodes.filter(({ op }) => op === 'linear').map((node) => [node.id, node]));

  /** q, k or v of a linear layer that makes all three: [1, heads, rows, dim]. */
  const headsOf = ({ source, offset }, { heads, dim }, factor) => {
    const { x, weight, bias, inFeatures } = linears.get(source);
    const [from, to] = [offset, offset + heads * dim];
    const scaled = (list, at) => list.map((one, i) => one * factor(Math.floor(i / at / dim)));
    const own = scaled(weight.slice(from * inFeatures, to * inFeatures), inFeatures);
    const y = layer(values.get(x), own, scaled(bias.slice(from, to), 1));
    const { shape } = w.tensors[y];
    const apart = w.op('RESHAPE', [y, w.ints(1, shape[0], heads, dim)], [1, shape[0], heads, dim]);
    return w.op('TRANSPOSE', [apart, w.ints(0, 2, 1, 3)], [1, heads, shape[0], dim]);
  };
  const WRITERS = {
    constant: ({ rows, cols, value }) => w.tensor([rows, cols], value),
    patchEmbed({ rows, cols, weight, bias, kernel, stride, outSize }) {
      const inputs = [input, w.tensor([cols, ...kernel, channels], weight), w.tensor([cols], bias)];
      const y = w.op('CONV_2D', inputs, [1, ...outSize, cols], (b) => {
        b.addFieldInt8(0, VALID, 0);
        b.addFieldInt32(1, stride[1], 0);
        b.addFieldInt32(2, stride[0], 0);
      });
      return w.op('RESHAPE', [y, w.ints(rows, cols)], [rows, cols]);
    },
    gather({ rows, cols, sources, index }) {
      const inputs = sources.map((source) => values.get(source));
      if (index.some((from, i) => from !== index[0] + i)) throw new Error('gathers of neighbours alone are written');
      const all = inputs.reduce((sum, one) => sum + w.tensors[one].shape[0], 0);
      const whole =
        inputs.length === 1 ? inputs[0] : w.op('CONCATENATION', inputs, [all, cols], (b) => b.addFieldInt32(0, 0, 0));
      return all === rows ? whole : w.op('SLICE', [whole, w.ints(index[0], 0), w.ints(rows, cols)], [rows, cols]);
    },
    addConst: ({ rows, cols, x, value }) =>
      w.op('ADD', [values.get(x), w.tensor([value.length / cols, cols], value)], [rows, cols]),
    add: ({ rows, cols, a, b }) => w.op('ADD', [values.get(a), values.get(b)], [rows, cols]),
    layerNorm({ rows, cols, x, gamma, beta, epsilon }) {
      const source = values.get(x);
      const mean = w.op('MEAN', [source, w.ints(1)], [rows, 1], keep);
      const apart = w.op('SUB', [source, mean], [rows, cols]);
      const squares = w.op('MUL', [apart, apart], [rows, cols]);
      const variance = w.op('MEAN', [squares, w.ints(1)], [rows, 1], keep);
      const sum = w.op('ADD', [variance, w.tensor([1], Float32Array.of(epsilon))], [rows, 1]);
      const y = w.op('MUL', [apart, w.op('RSQRT', [sum], [rows, 1])], [rows, cols]);
      const scaled = w.op('MUL', [y, w.tensor([cols], gamma)], [rows, cols]);
      return w.op('ADD', [scaled, w.tensor([cols], beta)], [rows, cols]);
    },
    // Those whose outputs are read by attention are written there, in parts.
    linear: ({ id, x, weight, bias }) =>
      graph.nodes.some(({ op, q }) => op === 'attention' && q.source === id) ? -1 : layer(values.get(x), weight, bias),
    attention(node) {
      const { rows, cols, heads, queries, keys, dim, scale } = node;
      const q = headsOf(node.q, node, (head) => scale[head]);
      const [k, v] = [node.k, node.v].map((view) => headsOf(view, node, () => 1));
      const scores = w.op('BATCH_MATMUL', [q, k], [1, heads, queries, keys], (b) => b.addFieldInt8(1, 1, 0));
      const weights = w.op('SOFTMAX', [scores], [1, heads, queries, keys], (b) => b.addFieldFloat32(0, 1, 0));
      const y = w.op('BATCH_MATMUL', [weights, v], [1, heads, queries, dim]);
      const together = w.op('TRANSPOSE', [y, w.ints(0, 2, 1, 3)], [1, queries, heads, dim]);
      return w.op('RESHAPE', [together, w.ints(rows, cols)], [rows, cols]);
    },
    activation({ rows, cols, x, kind }) {
      if (kind !== 'gelu') throw new Error(`there is no ${kind} here, GELU alone`);
      return w.op('GELU', [values.get(x)], [rows, cols]);
    },
  };
  for (const node of graph.nodes) {
    if (!(node.op in WRITERS)) throw new Error(`${node.name}: ${node.op} is not among what is written`);
    values.set(node.id, WRITERS[node.op](node));
  }
  return w.bytes(input, values.get(graph.output));
}
