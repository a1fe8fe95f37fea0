/**
 * `npm run ablation -- model.onnx --images calibration/`: what each technique of the quantizer contributes, as the
 * Markdown table of docs/accuracy.md. Tables of one model compare with each other, not with figures on other images.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root, run } from '../prepare.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    images: { type: 'string' },
    fit: { type: 'string', default: '128' },
    held: { type: 'string', default: '128' },
    kernels: { type: 'string', default: 'shift' },
    scales: { type: 'string', default: 'static' },
  },
});
if (positionals.length !== 1 || values.images === undefined) {
  process.stderr.write(
    'usage: npm run ablation -- model.onnx --images folder [--fit 128] [--held 128] [--kernels shift|lut] ' +
      '[--scales static|dynamic]\n',
  );
  process.exit(2);
}
prepare();
run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tools/measure']);
const { ablate } = await import('../../node_modules/.cache/ivit-measure/tools/measure/ablate.js');
const { images, fit, held, kernels, scales } = values;
process.stdout.write(
  `\n${positionals[0]}, ${kernels}, ${scales}; fitted to ${fit} images, compared on ${held} others\n\n`,
);
process.stdout.write('| left out | agreement | KL | SQNR | time |\n|---|--:|--:|--:|--:|\n');
try {
  await ablate({
    model: positionals[0],
    images,
    fit: Number(fit),
    held: Number(held),
    options: { kernels, scales },
    onRow: ({ left, agreement: { top1Agreement, kl, sqnrDb }, seconds }) =>
      process.stdout.write(
        `| ${left} | ${(100 * top1Agreement).toFixed(1)} % | ${kl.toFixed(5)} | ${sqnrDb.toFixed(1)} dB | ` +
          `${seconds.toFixed(0)} s |\n`,
      ),
  });
} catch (error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 3;
}
