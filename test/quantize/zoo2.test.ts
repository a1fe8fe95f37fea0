import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { evaluateGraph, importModel } from '../../src/importer/index.js';
import { distinctOutputs, outputOf } from '../../src/metrics/output.js';
import { DEFAULT_OPTIONS, quantizeGraph } from '../../src/quantize/index.js';
import { runExported } from '../export/onnx/onnxruntime.js';
import { runProgram } from './run-program.js';
import { failuresOf, summaryOf, verified } from './verified.js';
import { modernModel, modernNames, networkInput } from '../zoo2.js';
import '../build-kernels.js';

const LEAST_DB = 20;
const OPEN_SIZES: Readonly<Record<string, readonly [number, number]>> = { alldyn_ts17: [32, 32] };

/** `npm run zoo` sets where the table goes, and takes all models; else a few stand for every kind of op. */
const table = process.env.IVIT_ZOO2_TABLE;
const FEW = [
  'dinov3_ts17',
  'swiglu_packed_ts17',
  'rmsnorm_ts17',
  'cait_ts17',
  'linear_elu_ts17',
  'convnext_block_dynamo20',
  'poolformer_ts17',
  'nextvit_ts17',
  'two_heads_ts17',
  'depth_anything_ts17',
];
const names = table === undefined ? FEW : modernNames.filter((name) => name !== 'eomt_ts17');

interface Row {
  readonly name: string;
  readonly family: string;
  readonly exporter: string;
  readonly opset: number;
  /** By output. */
  readonly sqnrDb: readonly (readonly [name: string, db: number])[];
  /** Least bits to spare of any op, and engines compared. */
  readonly verified: string;
}

const rows: Row[] = [];

describe('modern, hybrid and dense models as integers', () => {
  test.each(names)('%s', async (name) => {
    const model = modernModel(name);
    const { graph } = await importModel(model.path, name in OPEN_SIZES ? { size: OPEN_SIZES[name] } : {});
    const images = model.cases.map(({ pixels }) => pixels);
    const isInteger = model.input.dtype === 'uint8';
    const { channels } = graph.input;
    const normalization = isInteger
      ? { mean: new Array<number>(channels).fill(0), std: new Array<number>(channels).fill(1) }
      : model.input;
    const options = { ...DEFAULT_OPTIONS, kernels: 'lut' as const };
    const { program, outputScale } = await quantizeGraph({ graph, images, normalization, options });
    const integers = await runProgram(program, 'wasm', images);
    expect(await runProgram(program, 'reference', [images[0]])).toEqual([integers[0]]);
    expect(await runExported(program, [images[0]])).toEqual([integers[0]]);

    const floats = images.map((pixels) => evaluateGraph(graph, networkInput(model, graph.input, pixels)));
    const sqnrDb = distinctOutputs(graph.outputs).map((output) => {
      let [signal, noise] = [0, 0];
      floats.forEach((values, i) => {
        const given = outputOf(integers[i], output);
        outputOf(values, output).forEach((v, at) => {
          signal += v * v;
          noise += (v - given[at] * outputScale) ** 2;
        });
      });
      return [output.name, 10 * Math.log10(signal / noise)] as const;
    });
    const verification = await verified(program, graph.outputs);
    expect(failuresOf(verification)).toEqual([]);
    const { family, exporter, opset } = model;
    rows.push({ name, family, exporter, opset, sqnrDb, verified: summaryOf(verification) });
    for (const [, db] of sqnrDb) expect(db).toBeGreaterThanOrEqual(LEAST_DB);
  });
});

afterAll(() => {
  if (table === undefined) return;
  const lines = [...rows]
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(({ name, family, exporter, opset, sqnrDb, verified }) => {
      const all = sqnrDb.map(([output, db]) => `${output} ${db.toFixed(1)}`).join(', ');
      return `| ${name} | ${family} | ${exporter} | ${opset} | ${all} | ${verified} |`;
    });
  writeFileSync(
    table,
    [
      '# The second zoo, model by model',
      '',
      'Made by `npm run zoo` from `fixtures/zoo2`: modern, hybrid and dense models. SQNR of every output in dB, `lut`',
      'kernels with static scales, quantized with the model’s own three images; proven and equal on',
      'every engine as `ivit verify` does it: least bits to spare of any op, and engines with thread counts.',
      '',
      '| model | family | exporter | opset | SQNR by output, dB | spare bits, engines |',
      '|---|---|---|---|---|---|',
      ...lines,
      '',
    ].join('\n'),
  );
});
