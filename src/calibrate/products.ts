import onnxProto from 'onnx-proto';
import { openFloatModel, type FloatModel } from './runtime.js';

const { onnx } = onnxProto;

/** Large matrix products of calibration data, left to ONNX Runtime: tens of times faster than a JavaScript loop. */
export interface Products {
  /** aᵀ·b of a [rows, m] and b [rows, n], as [m, n]. */
  transposed(a: Float32Array, m: number, b: Float32Array, n: number): Promise<Float32Array>;
  /** a·b of a [rows, k] and b [k, n], as [rows, n]. */
  plain(a: Float32Array, k: number, b: Float32Array, n: number): Promise<Float32Array>;
  close(): Promise<void>;
}

export async function openProducts(threads: number): Promise<Products> {
  const transposed = await openFloatModel(productModel(true), { threads });
  const plain = await openFloatModel(productModel(false), { threads });
  const run = async (
    model: FloatModel,
    a: Float32Array,
    m: number,
    b: Float32Array,
    n: number,
  ): Promise<Float32Array> => {
    const results = await model.run({
      a: { data: a, shape: [a.length / m, m] },
      b: { data: b, shape: [b.length / n, n] },
    });
    return results.get('y')!;
  };
  return {
    transposed: (a, m, b, n) => run(transposed, a, m, b, n),
    plain: (a, k, b, n) => run(plain, a, k, b, n),
    async close() {
      await transposed.close();
      await plain.close();
    },
  };
}

/** y = a·b or aᵀ·b, every dimension free. */
function productModel(transposeA: boolean): Uint8Array {
  const matrix = (name: string) => ({
    name,
    type: {
      tensorType: {
        elemType: onnx.TensorProto.DataType.FLOAT,
        shape: { dim: [{ dimParam: `${name}0` }, { dimParam: `${name}1` }] },
      },
    },
  });
  const model = onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'product',
      node: transposeA
        ? [
            {
              opType: 'Transpose',
              input: ['a'],
              output: ['t'],
              attribute: [{ name: 'perm', ints: [1, 0], type: onnx.AttributeProto.AttributeType.INTS }],
            },
            { opType: 'MatMul', input: ['t', 'b'], output: ['y'] },
          ]
        : [{ opType: 'MatMul', input: ['a', 'b'], output: ['y'] }],
      input: [matrix('a'), matrix('b')],
      output: [matrix('y')],
    },
  });
  return onnx.ModelProto.encode(model).finish();
}
