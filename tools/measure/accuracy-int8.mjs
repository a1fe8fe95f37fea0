/**
 * `npm run accuracy:int8 -- model.onnx --like model.ivit --dataset val/`: ONNX Runtime's int8 forms, as `ivit bench
 * --float` times them, beside the float model, on the images and with the pre-processing of `ivit eval`. Their static
 * ranges come from four synthetic photographs.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
const load = (module) => import(`../../dist/${module}.js`);
const [
  { onnxForms },
  { FloatReference },
  { decodeImage },
  { Model },
  { openDataset },
  { AccuracyMeter },
  { AgreementMeter },
] = await Promise.all(
  [
    'bench/contenders',
    'api/float-reference',
    'api/decode',
    'api/model',
    'images/datasets/index',
    'metrics/accuracy',
    'metrics/agreement',
  ].map(load),
);
const [file] = positionals;
const folder = mkdtempSync(path.join(tmpdir(), 'ivit-int8-'));
const say = (text) => process.stderr.write(`${text}\n`);
try {
  const model = await Model.load(values.like);
  const { items } = await openDataset(values.dataset, { labels: model.labels ?? undefined, classCount: model.classes });
  const { forms } = await onnxForms(file, model.file.program.input, say);
  const opened = [];
  for (const [i, { precision, model: form }] of forms.entries()) {
    const at = typeof form === 'string' ? form : path.join(folder, `${i}.onnx`);
    if (typeof form !== 'string') writeFileSync(at, form);
    const session = await FloatReference.open(at, model);
    opened.push({ precision, session, accuracy: new AccuracyMeter(), agreement: new AgreementMeter() });
  }
  for (const { path: image, label } of items) {
    const pixels = model.prepare(await decodeImage(image));
    let exact = null;
    for (const { session, accuracy, agreement } of opened) {
      const logits = model.logitsOf(await session.run(pixels));
      exact ??= logits;
      accuracy.add(logits, label);
      agreement.add(exact, logits);
    }
  }
  const percent = (share) => `${(100 * share).toFixed(2)} %`;
  process.stdout.write(`${items.length} images\n`);
  for (const { precision, session, accuracy, agreement } of opened) {
    const { top1Agreement, kl, sqnrDb } = agreement.result();
    const beside =
      precision === 'float'
        ? ''
        : `   agreement ${percent(top1Agreement)}, KL ${kl.toFixed(5)}, SQNR ${sqnrDb.toFixed(1)} dB`;
    process.stdout.write(`${precision.padEnd(16)} top-1 ${percent(accuracy.result().top1)}${beside}\n`);
    await session.close();
  }
  await model.close();
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 3;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
