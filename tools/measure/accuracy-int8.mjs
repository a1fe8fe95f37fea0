/**
 * `npm run accuracy:int8 -- model.onnx --like model.ivit --dataset val/`: ONNX Runtime's own int8 (dynamic:
 * DynamicQuantizeLinear and MatMulInteger, weights per channel) beside the float model, on the images and with the
 * pre-processing of `ivit eval`.
 */
import { parseArgs } from 'node:util';
import { prepare } from '../prepare.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { like: { type: 'string' }, dataset: { type: 'string' } },
});
if (positionals.length !== 1 || values.like === undefined || values.dataset === undefined) {
  process.stderr.write('usage: npm run accuracy:int8 -- model.onnx --like model.ivit --dataset folder\n');
  process.exit(2);
}
prepare();
const [
  { quantizeForOnnxRuntime },
  { normalizePixels },
  { openFloatModel },
  { openDataset },
  { decodeImage },
  { recordedNormalization },
  { Model },
  { AccuracyMeter },
  { AgreementMeter },
] = await Promise.all(
  [
    'bench/int8-onnx',
    'calibrate/collect',
    'calibrate/runtime',
    'images/dataset',
    'images/decode',
    'library/float-input',
    'library/model',
    'report/accuracy',
    'report/agreement',
  ].map((module) => import(`../../dist/${module}.js`)),
);
try {
  const model = await Model.load(values.like);
  const { height, width, channels } = model.file.program.input;
  const { mean, std } = recordedNormalization(model.file.provenance);
  const float = await openFloatModel(positionals[0], { threads: model.threads });
  const int8 = await openFloatModel(await quantizeForOnnxRuntime(positionals[0], 'dynamic', []), {
    threads: model.threads,
  });
  const accuracy = { float: new AccuracyMeter(), int8: new AccuracyMeter() };
  const agreement = new AgreementMeter();
  const { items } = await openDataset(values.dataset, { labels: model.labels ?? undefined, classCount: model.classes });
  for (const { path, label } of items) {
    const data = normalizePixels(model.prepare(await decodeImage(path)), channels, mean, std);
    const logits = {};
    for (const [name, session] of Object.entries({ float, int8 })) {
      const outputs = await session.run({ [session.inputNames[0]]: { data, shape: [1, channels, height, width] } });
      logits[name] = outputs.get(session.outputNames[0]);
      accuracy[name].add(logits[name], label);
    }
    agreement.add(logits.float, logits.int8);
  }
  await Promise.all([float.close(), int8.close(), model.close()]);
  const percent = (share) => `${(100 * share).toFixed(2)} %`;
  const { top1Agreement, kl, sqnrDb, images } = agreement.result();
  process.stdout.write(
    `images     ${images}\ntop-1      ${percent(accuracy.int8.result().top1)}   float ` +
      `${percent(accuracy.float.result().top1)}\n`,
  );
  process.stdout.write(
    `agreement  ${percent(top1Agreement)}, KL ${kl.toFixed(5)}, SQNR ${sqnrDb.toFixed(1)} dB (${float.runtime})\n`,
  );
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 3;
}
