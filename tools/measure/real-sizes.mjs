/**
 * `npm run real-sizes -- folder --images calibration/`: takes every .onnx of a folder through import, quantization and
 * inference, each in a process of its own, and prints the Markdown table of docs/models.md: multiply-accumulates beside
 * the published ones, SQNR against the float model, time and peak memory; all backends must give the same logits.
 * `fixtures/scripts/export_real_sizes.py` makes such a folder.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare } from '../prepare.mjs';

/** Multiply-accumulates as published, in units of 10^9, by the beginning of the file's name. */
const PUBLISHED = [
  ['deit_tiny', 1.3],
  ['deit_small', 4.6],
  ['deit_base', 17.5],
  ['vit_small', 4.6],
  ['vit_base', 17.5],
  ['vit_large', 61.6],
  ['swin_tiny', 4.5],
  ['swin_small', 8.7],
];
/** How far a published figure of two or three digits may be off. */
const TOLERANCE = 0.04;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    images: { type: 'string' },
    'num-images': { type: 'string' },
    effort: { type: 'string', default: 'normal' },
    kernels: { type: 'string', default: 'shift' },
    backends: { type: 'string', default: 'native,wasm,reference' },
    only: { type: 'string' },
  },
});
if (positionals.length !== 1 || flags.images === undefined) {
  process.stderr.write(
    'usage: npm run real-sizes -- folder --images calibration/ [--num-images n] [--effort fast|normal] ' +
      '[--kernels shift|lut] [--backends native,wasm,reference] [--only name]\n',
  );
  process.exit(2);
}
prepare();
const root = path.resolve(import.meta.dirname, '../..');
const folder = positionals[0];
const backends = flags.backends.split(',');
const scratch = mkdtempSync(path.join(tmpdir(), 'ivit-real-sizes-'));
const usageFile = path.join(scratch, 'usage');

/** Runs one command of the tool; its JSON result and its peak memory in bytes. */
function ivit(...args) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', path.join(root, 'tools/measure/usage.mjs'), path.join(root, 'bin/ivit.js'), ...args, '--json'],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      env: { ...process.env, IVIT_USAGE: usageFile },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  if (status !== 0)
    throw new Error(`ivit ${args[0]} of ${args[1]}: ${stderr.trim().replaceAll('\n  ', ' ').split('\n').at(-1)}`);
  return { result: JSON.parse(stdout), peak: JSON.parse(readFileSync(usageFile, 'utf8')).peak };
}

const millions = (count) => `${(count / 1e6).toFixed(1)} M`;
const billions = (count) => `${(count / 1e9).toFixed(2)} G`;
const gigabytes = (count) => `${(count / 1e9).toFixed(2)} GB`;

const image = path.join(
  flags.images,
  readdirSync(flags.images)
    .sort()
    .find((name) => /\.(jpe?g|png|webp)$/i.test(name)),
);

function measure(name) {
  const model = path.join(folder, name);
  const { result: shown, peak: importPeak } = ivit('inspect', model);
  const published = PUBLISHED.find(([start]) => name.startsWith(start))?.[1];
  if (published !== undefined && Math.abs(shown.macs / 1e9 - published) > TOLERANCE * published) {
    throw new Error(`${name} has ${billions(shown.macs)} multiply-accumulates, published are ${published} G`);
  }
  const output = path.join(scratch, 'model.ivit');
  const settings = [
    '--effort',
    flags.effort,
    '--kernels',
    flags.kernels,
    ...(flags['num-images'] ? ['--num-images', flags['num-images']] : []),
  ];
  const { result: made, peak: quantizePeak } = ivit(
    'quantize',
    model,
    '-o',
    output,
    '--images',
    flags.images,
    ...settings,
  );
  let logits;
  for (const backend of backends) {
    const [run] = ivit('infer', image, '-m', output, '--backend', backend, '--threads', '1', '--logits').result;
    logits ??= run.logits.join();
    if (run.logits.join() !== logits) throw new Error(`${name}: the logits of ${backend} differ`);
  }
  return [
    name.replace(/\.onnx$/, ''),
    shown.producer,
    millions(shown.parameters),
    billions(shown.macs),
    published === undefined ? '' : `${published} G`,
    gigabytes(shown.bytes),
    gigabytes(importPeak),
    `${made.images}`,
    gigabytes(quantizePeak),
    `${made.seconds.toFixed(0)} s`,
    `${made.agreement.sqnrDb.toFixed(1)} dB`,
    backends.join(', '),
  ];
}

const print = (cells) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
print([
  'model',
  'written by',
  'parameters',
  'MAC',
  'published',
  'file',
  'peak of import',
  'images',
  'peak of quantization',
  'time',
  'SQNR',
  'same logits on',
]);
print(['---', '---', ...new Array(9).fill('--:'), '---']);
let failed = false;
for (const name of readdirSync(folder)
  .filter((file) => file.endsWith('.onnx') && file.includes(flags.only ?? ''))
  .sort()) {
  try {
    print(measure(name));
  } catch (error) {
    failed = true;
    process.stderr.write(`error: ${error.message}\n`);
  }
}
rmSync(scratch, { recursive: true });
process.exitCode = failed ? 1 : 0;
