import path from 'node:path';
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { expect, test } from 'vitest';
import { digestOf } from '../../../src/metrics/output-digest.js';
import { createReferenceEngine } from '../../../src/engine/reference.js';
import { onnxTarget } from '../../../src/export/onnx/index.js';
import { IntegerGraph } from '../../../src/export/onnx/graph.js';
import { programToOnnx } from '../../../src/export/onnx/program.js';
import { decodeImage } from '../../../src/images/decode.js';
import { applyRecipe } from '../../../src/images/preprocess/recipe.js';
import { Random } from '../../../src/images/random.js';
import { loadModel } from '../../../src/program/file.js';
import type { Program } from '../../../src/program/types.js';
import { anyProgram } from '../../engine/random-programs.js';
import { GOLDEN_DIGESTS, SCENES, SCENES_MODEL } from '../../scenes.js';
import { runExported, runOnnx } from './onnxruntime.js';

const { onnx } = onnxProto;

const noise = ({ input: { height, width, channels } }: Program, seed: number): Uint8Array => {
  const random = new Random(seed);
  return Uint8Array.from({ length: height * width * channels }, () => random.uint32() & 255);
};

test('random programs give the integers of the reference in ONNX Runtime', async () => {
  await fc.assert(
    fc.asyncProperty(anyProgram, fc.integer(), async (program, seed) => {
      const image = noise(program, seed);
      expect(await runExported(program, [image])).toEqual([await createReferenceEngine(program).run(image)]);
    }),
    { numRuns: 40 },
  );
});

test('the fixture gives its golden digests, in a file that says where it comes from', async () => {
  const model = await loadModel(SCENES_MODEL);
  const { files } = await onnxTarget.write({ model, name: 'scenes', options: {} });
  expect([...files.keys()]).toEqual(['scenes.onnx']);
  const bytes = files.get('scenes.onnx') as Uint8Array;
  const { height, width } = model.program.input;
  const feeds = await Promise.all(
    Object.keys(GOLDEN_DIGESTS).map(async (name) => {
      const image = await decodeImage(path.join(SCENES, 'test', name));
      return { pixels: { data: applyRecipe(image, model.preprocess), dims: [height, width, 3] } };
    }),
  );
  const results = await runOnnx(bytes, feeds);
  expect(results.map(({ output }) => digestOf(output.data as Int32Array))).toEqual(Object.values(GOLDEN_DIGESTS));

  const { metadataProps } = onnx.ModelProto.decode(bytes);
  const metadata = new Map(metadataProps.map(({ key, value }) => [key, value]));
  expect(metadata.get('ivit.hash')).toBe(model.hash);
  expect(metadata.get('ivit.logitScale')).toBe(model.logitScale);
  expect(JSON.parse(metadata.get('ivit.preprocess')!)).toEqual(model.preprocess);
});

/** ONNX's numbers of integer types and of `bool`. */
const INTEGERS = new Set([2, 3, 6, 7, 9, 12, 13]);
/** Operators of the standard domain that an export may use, all of which have integer kernels in ONNX Runtime. */
const OPERATORS = new Set(
  (
    'Abs Add BitShift BitwiseAnd BitwiseXor Cast Clip Concat Div Equal Expand Gather Greater GreaterOrEqual Identity ' +
    'Less MatMul MatMulInteger Max Min Mul Neg ReduceMax ReduceSum Reshape Slice Sub Transpose Where Xor'
  ).split(' '),
);

/** Types that are not integers, operators that are not listed, and values whose type is not stated. */
function floatsOf(bytes: Uint8Array): string[] {
  const { graph, opsetImport } = onnx.ModelProto.decode(bytes);
  expect(opsetImport.map(({ domain, version }) => [domain, Number(version)])).toEqual([['', 18]]);
  const { node, initializer, input, output, valueInfo } = graph!;
  const types = new Map<string, number>();
  for (const { name, dataType } of initializer!) types.set(name!, dataType!);
  for (const { name, type } of [...input!, ...output!, ...valueInfo!]) types.set(name!, type!.tensorType!.elemType!);
  return node!.flatMap(({ opType, domain, input: read, output: written, attribute }) => [
    ...(OPERATORS.has(opType!) && !domain ? [] : [`${domain}.${opType} is not allowed`]),
    ...[...read!, ...written!].flatMap((name) => (INTEGERS.has(types.get(name) ?? 0) ? [] : [`${name} is no integer`])),
    ...attribute!.flatMap(({ name, type }) => ([1, 6].includes(type!) ? [`${name} of ${opType} is a float`] : [])),
  ]);
}

/** ONNX Runtime refuses a file whose values have another type than is stated, so that the stated ones are true. */
test('every value is an integer or a truth value, and is known to ONNX Runtime as such', async () => {
  const { program } = await loadModel(SCENES_MODEL);
  expect(floatsOf(programToOnnx(program, 'scenes'))).toEqual([]);
  fc.assert(
    fc.property(anyProgram, (random) => {
      expect(floatsOf(programToOnnx(random, 'random'))).toEqual([]);
    }),
    { numRuns: 100 },
  );

  const g = new IntegerGraph();
  const x = { name: 'x', type: 'int32', shape: [2] } as const;
  const cast = g.op('Cast', [x], 'int32', { to: 1 });
  const bytes = g.encode('wrong', [x], [{ name: 'y', type: 'int32', shape: [2], of: cast }]);
  await expect(runOnnx(bytes, [{ x: { data: Int32Array.of(1, 2), dims: [2] } }])).rejects.toThrow(/[Tt]ype/);
});

test('equal constants are stored once', async () => {
  const g = new IntegerGraph();
  const name = g.constant(Int32Array.of(1, 2), [2]).name;
  expect(g.constant(Int32Array.of(1, 2), [2]).name).toBe(name);
  for (const other of [g.constant(Int32Array.of(1, 2), [1, 2]), g.constant(Int32Array.of(2, 1), [2])])
    expect(other.name).not.toBe(name);
});

test('comparisons of int64 that ONNX Runtime gets wrong are not written', () => {
  const g = new IntegerGraph();
  const x = { name: 'x', type: 'int64' } as const;
  expect(() => g.clip(x, 0, 1)).toThrow(/int64/);
  expect(() => g.with('Min', x, 1)).toThrow(/int64/);
  expect(() => g.reduce('ReduceMax', x, 0)).toThrow(/int64/);
});
