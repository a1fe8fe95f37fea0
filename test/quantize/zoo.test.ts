import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { evaluateGraph, importModel } from '../../src/importer/index.js';
import { DEFAULT_OPTIONS, quantizeGraph } from '../../src/quantize/index.js';
import { agreementOf } from '../../src/metrics/agreement.js';
import { classifierOf, outputOf } from '../../src/metrics/output.js';
import { runExported } from '../export/onnx/onnxruntime.js';
import { runProgram } from './run-program.js';
import { failuresOf, summaryOf, verified } from './verified.js';
import { zooImages, zooModel, zooNames } from '../zoo.js';
import '../build-kernels.js';

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
/** What ONNX Runtime's own static int8 reaches on these models at the least. */
const LEAST_DB = 20;

interface Row {
  readonly name: string;
  readonly family: string;
  readonly exporter: string;
  readonly opset: number;
  readonly relativeError: number;
  readonly sqnrDb: number;
  /** Least bits to spare of any op, and engines compared; empty where it was not asked for. */
  readonly verified: string;
}

const rows: Row[] = [];
/** `npm run zoo` sets where the table goes, and has each model verified. */
const table = process.env.IVIT_ZOO_TABLE;

/** What `ivit verify` finds. */
async function verify(...model: Parameters<typeof verified>): Promise<string> {
  const verification = await verified(...model);
  expect(failuresOf(verification)).toEqual([]);
  return summaryOf(verification);
}

describe('every model of the zoo, as floats and as integers', () => {
  it.each(zooNames)('%s', async (name) => {
    const model = zooModel(name);
    const images = await zooImages(model);
    const { graph } = await importModel(model.path);
    const expected = classifierOf(graph.outputs) ?? graph.outputs[0];

    let relativeError = 0;
    for (const [i, { normalised }] of images.entries()) {
      const got = outputOf(evaluateGraph(graph, normalised), expected);
      const scale = Math.max(...model.logits[i].map(Math.abs));
      model.logits[i].forEach((want, c) => (relativeError = Math.max(relativeError, Math.abs(got[c] - want) / scale)));
    }
    expect(relativeError).toBeLessThan(1e-3);

    const { program, outputScale } = await quantizeGraph({
      graph,
      images: images.map(({ pixels }) => pixels),
      normalization: { mean: MEAN, std: STD },
      options: { ...DEFAULT_OPTIONS, kernels: 'lut' },
    });
    const integer = await runProgram(
      program,
      'wasm',
      images.map(({ pixels }) => pixels),
    );
    expect(await runProgram(program, 'reference', [images[0].pixels])).toEqual([integer[0]]);
    expect(await runExported(program, [images[0].pixels])).toEqual([integer[0]]);
    const { sqnrDb } = agreementOf(
      model.logits,
      integer.map((values) => Float64Array.from(outputOf(values, expected), (v) => v * outputScale)),
    );
    const { family, exporter, opset } = model;
    const found = table === undefined ? '' : await verify(program, graph.outputs);
    rows.push({ name, family, exporter, opset, relativeError, sqnrDb, verified: found });
    expect(sqnrDb).toBeGreaterThanOrEqual(LEAST_DB);
  });
});

afterAll(() => {
  if (table === undefined) return;
  const lines = rows
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(
      (r) =>
        `| ${r.name} | ${r.family} | ${r.exporter} | ${r.opset} | ${r.relativeError.toExponential(1)} | ` +
        `${r.sqnrDb.toFixed(1)} | ${r.verified} |`,
    );
  writeFileSync(
    table,
    [
      '# The zoo, model by model',
      '',
      'Made by `npm run zoo` from `fixtures/zoo`. Float: largest error of the canonical graph against the exporter’s',
      'own logits, relative to the largest logit. Integer: SQNR of the logits of the `lut` kernels with static scales,',
      'quantized with the model’s own three images; proven and equal on every engine as `ivit verify` does it: least',
      'bits to spare of any op, and engines with thread counts.',
      '',
      '| model | family | exporter | opset | float error | integer SQNR, dB | spare bits, engines |',
      '|---|---|---|---|---|---|---|',
      ...lines,
      '',
    ].join('\n'),
  );
});
