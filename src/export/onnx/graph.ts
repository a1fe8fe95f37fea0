import { OnnxModel, elementTypeNumber, type OnnxAttribute, type OnnxValue } from '../../graph/onnx-model.js';
import { areEqual, arrayOf, hashOf, typeOf, type ConstantArray, type IntegerType } from './constants.js';

/** A value of the graph in the making. */
export interface Tensor {
  readonly name: string;
  readonly type: IntegerType;
}

/** The first that has BitwiseAnd, BitwiseXor, and ReduceMax along given axes. */
const OPSET = 18;

type Binary = 'Add' | 'Sub' | 'Mul' | 'Div' | 'Min' | 'Max' | 'BitwiseAnd' | 'BitwiseXor' | 'MatMul';

/**
 * Writes a graph of integer operators. Each value has a stated type. Values are named `<layer>//<operator> <number>`;
 * equal constants are stored once.
 */
export class IntegerGraph {
  /** The layer that is being written: it begins the names. */
  layer = '';
  readonly #model = new OnnxModel();
  readonly #values: OnnxValue[] = [];
  /** By type, shape and hash. */
  readonly #constants = new Map<string, { readonly tensor: Tensor; readonly data: ConstantArray }[]>();
  #constantCount = 0;

  op(
    opType: string,
    inputs: readonly Tensor[],
    type: IntegerType,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): Tensor {
    const name = `${this.layer}//${opType} ${this.#model.nodeCount}`;
    this.#model.op(
      opType,
      inputs.map((input) => input.name),
      name,
      attributes,
    );
    this.#values.push({ name, type });
    return { name, type };
  }

  /**
   * Of two values of one type, broadcast over each other as ONNX has it. The result has that type too.
   *
   * Min, Max, Clip and ReduceMax of `int64` are not used. On x86 ONNX Runtime compares their numbers by the lower 32
   * bits, taken as signed, where the upper ones are equal (microsoft/onnxruntime#32475). Less and its kin are right, as
   * is all of `uint64`.
   */
  binary(opType: Binary, a: Tensor, b: Tensor): Tensor {
    if (opType === 'Min' || opType === 'Max') refuseInt64(opType, a);
    if (a.type !== b.type) throw new RangeError(`Expected ${a.type} for ${opType} but received ${b.type}`);
    return this.op(opType, [a, b], a.type);
  }

  /** With a number as its second operand. */
  with(opType: Binary, x: Tensor, value: number | bigint): Tensor {
    return this.binary(opType, x, this.scalar(x.type, value));
  }

  cast(x: Tensor, type: IntegerType): Tensor {
    return x.type === type ? x : this.op('Cast', [x], type, { to: elementTypeNumber(type) });
  }

  clip(x: Tensor, lo: number | bigint, hi: number | bigint): Tensor {
    refuseInt64('Clip', x);
    return this.op('Clip', [x, this.scalar(x.type, lo), this.scalar(x.type, hi)], x.type);
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    return this.op('Reshape', [x, this.list(shape)], x.type);
  }

  transpose(x: Tensor, perm: readonly number[]): Tensor {
    return this.op('Transpose', [x], x.type, { perm });
  }

  /** Elements `from` to `to` − 1 along an axis. */
  slice(x: Tensor, axis: number, from: number, to: number): Tensor {
    return this.op('Slice', [x, this.list([from]), this.list([to]), this.list([axis])], x.type);
  }

  gather(x: Tensor, index: Tensor, axis = 0): Tensor {
    return this.op('Gather', [x, index], x.type, { axis });
  }

  /** Along one axis, which stays, with one element, unless `keepdims` is 0. */
  reduce(opType: 'ReduceSum' | 'ReduceMax', x: Tensor, axis: number, keepdims = 1): Tensor {
    if (opType === 'ReduceMax') refuseInt64(opType, x);
    return this.op(opType, [x, this.list([axis])], x.type, { keepdims });
  }

  scalar(type: IntegerType, value: number | bigint): Tensor {
    return this.constant(arrayOf(type, [value]), []);
  }

  /** A shape, or axes. */
  list(values: readonly number[]): Tensor {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  constant(data: ConstantArray, dims: readonly number[]): Tensor {
    const type = typeOf(data);
    const key = `${type} ${dims.join('×')} ${hashOf(data)}`;
    const alike = this.#constants.get(key) ?? [];
    const same = alike.find((other) => areEqual(other.data, data));
    if (same !== undefined) return same.tensor;
    const tensor: Tensor = { name: `//constant ${this.#constantCount++}`, type };
    this.#constants.set(key, [...alike, { tensor, data }]);
    this.#model.initializer({ ...tensor, dims, data });
    return tensor;
  }

  /** The file. An output has a name of its own, and shows a value of the graph. */
  encode(
    name: string,
    inputs: readonly OnnxValue[],
    outputs: readonly (OnnxValue & { readonly of: Tensor })[],
    metadata: Readonly<Record<string, string>> = {},
  ): Uint8Array {
    for (const output of outputs) this.#model.op('Identity', [output.of.name], output.name);
    return this.#model.encode({ graphName: name, opset: OPSET, inputs, outputs, values: this.#values, metadata });
  }
}

function refuseInt64(opType: string, { type }: Tensor): void {
  if (type === 'int64') throw new RangeError(`Expected another type than int64 for ${opType}`);
}
