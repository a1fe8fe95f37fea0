/**
 * `npm run architectures -- [--only a,b] [--folder build]`: makes each of today's architectures at real size, with
 * random weights (tools/measure/architectures), and measures it: imported, quantized, inferred, timed beside ONNX
 * Runtime. Prints the Markdown table of docs/architectures.md. What was measured lies in the folder as JSON and is not
 * measured again; `--table` only prints, `--built` measures with what is built already, `--keep` leaves the models.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root, run } from '../prepare.mjs';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    folder: { type: 'string', default: 'node_modules/.cache/ivit-architectures' },
    'num-images': { type: 'string', default: '16' },
    effort: { type: 'string', default: 'fast' },
    kernels: { type: 'string', default: 'lut' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
  },
});
/** How far published figures of two digits may be off; they differ in what they count, too. */
const TOLERANCE = 0.06;

const folder = path.resolve(flags.folder);
mkdirSync(folder, { recursive: true });
if (!flags.table && !flags.built) {
  prepare();
  run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tools/measure']);
}
const compiled = path.join(root, 'node_modules/.cache/ivit-measure/tools/measure/architectures');
const { ARCHITECTURES } = await import(path.join(compiled, 'index.js'));

/** Runs a script; its JSON result, its peak memory in bytes and its seconds of processor time. */
function node(script, args) {
  const usageFile = path.join(folder, 'usage');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', path.join(root, 'tools/measure/usage.mjs'), script, ...args],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      env: { ...process.env, IVIT_USAGE: usageFile },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  if (status !== 0) {
    const said = stderr.trim().split('\n');
    throw new Error(said.find((line) => line.startsWith('error:')) ?? said.at(-1));
  }
  return { result: JSON.parse(stdout), ...JSON.parse(readFileSync(usageFile, 'utf8')) };
}

const ivit = (...args) => node(path.join(root, 'bin/ivit.js'), args);

/** Everything that is told of one architecture. */
function measure(name) {
  const [model, output] = [path.join(folder, `${name}.onnx`), path.join(folder, `${name}.ivit`)];
  const { parameters } = node(path.join(compiled, 'make.js'), [name, model]).result;
  const shown = ivit('inspect', model, '--json').result;
  const settings = ['--num-images', flags['num-images'], '--effort', flags.effort, '--kernels', flags.kernels];
  const made = ivit('quantize', model, '-o', output, ...settings, '--json');
  const timed = ivit(
    'bench',
    '-m',
    output,
    '--float',
    model,
    '--threads',
    flags.threads,
    '-r',
    flags.rounds,
    '-o',
    'json',
  );
  const median = (runtime, precision) =>
    timed.result.results
      .filter((r) => r.runtime.startsWith(runtime) && r.precision.startsWith(precision))
      .reduce((least, r) => Math.min(least, r.median), Infinity);
  if (!flags.keep) for (const file of [model, output]) rmSync(file);
  return {
    parameters,
    macs: shown.macs,
    bytes: made.result.bytes,
    sqnrDb: made.result.agreement.sqnrDb,
    seconds: made.result.seconds,
    cpuSeconds: made.cpuSeconds,
    peak: made.peak,
    native: median('ivit native', ''),
    wasm: median('ivit wasm', ''),
    float: median('onnxruntime-node', 'float'),
    int8: median('onnxruntime-node', 'int8'),
    machine: timed.result.machine,
    settings: { images: flags['num-images'], effort: flags.effort, kernels: flags.kernels, threads: flags.threads },
  };
}

const names = Object.keys(ARCHITECTURES).filter(
  (name) => flags.only === undefined || flags.only.split(',').some((wanted) => name.includes(wanted)),
);
const fileOf = (name) => path.join(folder, `${name}.json`);
if (!flags.table) {
  for (const name of names) {
    if (existsSync(fileOf(name))) continue;
    process.stderr.write(`${name} …\n`);
    try {
      writeFileSync(fileOf(name), JSON.stringify(measure(name), null, 2));
    } catch (error) {
      process.stderr.write(`error: ${name}: ${error.message}\n`);
      process.exitCode = 1;
    }
  }
}

const print = (cells) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
const milliseconds = (value) => (Number.isFinite(value) ? `${value.toFixed(value < 10 ? 2 : 1)} ms` : '');
/** A figure and what was published; a `≠` where they disagree. */
const beside = (value, published, unit) => {
  if (published === null) return `${value.toFixed(2)} ${unit}`;
  const agrees = Math.abs(value - published) <= TOLERANCE * published;
  return `${value.toFixed(2)} ${unit} ${agrees ? '=' : '≠'} ${published}`;
};
print([
  'model',
  'parameters = published',
  'MAC = published',
  'SQNR',
  'quantized in',
  'processor',
  'peak memory',
  'ivit native',
  'ivit wasm',
  'ORT float',
  'ORT int8',
  '× float',
  '× int8',
]);
print(['---', ...new Array(12).fill('--:')]);
for (const name of names.filter((each) => existsSync(fileOf(each)))) {
  const { parameters, macs } = ARCHITECTURES[name];
  const row = JSON.parse(readFileSync(fileOf(name), 'utf8'));
  print([
    name,
    beside(row.parameters / 1e6, parameters, 'M'),
    beside(row.macs / 1e9, macs, 'G'),
    `${row.sqnrDb.toFixed(1)} dB`,
    `${row.seconds.toFixed(0)} s`,
    `${row.cpuSeconds.toFixed(0)} s`,
    `${(row.peak / 1e9).toFixed(2)} GB`,
    milliseconds(row.native),
    milliseconds(row.wasm),
    milliseconds(row.float),
    milliseconds(row.int8),
    (row.float / row.native).toFixed(2),
    (row.int8 / row.native).toFixed(2),
  ]);
}
