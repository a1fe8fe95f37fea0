/**
 * `npm run architectures -- [--only a,b] [--folder build]`: makes each of today's architectures at real size, with
 * random weights (tools/measure/architectures), and measures it: imported, quantized, inferred, timed beside ONNX
 * Runtime. Prints the Markdown table of docs/architectures.md. What was measured lies in the folder as JSON and is not
 * measured again; `--table` only prints, `--built` measures with what is built already, `--keep` leaves the models.
 * `--noise` prints instead how much each network amplifies noise that is in all of its values.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { prepare, root, run } from '../prepare.mjs';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    folder: { type: 'string', default: 'node_modules/.cache/ivit-architectures' },
    'num-images': { type: 'string', default: '16' },
    effort: { type: 'string', default: 'fast' },
    kernels: { type: 'string', default: 'lut' },
    rounds: { type: 'string', default: '5' },
    keep: { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    noise: { type: 'boolean', default: false },
  },
});
/** As much as the largest of these models may take. */
const MEMORY = ['--max-memory', '4G'];
/** Multiply-accumulates from which a model is calibrated on fewer images, timed once, and not in WebAssembly. */
const LARGE = 3e10;
const LARGE_IMAGES = '2';
const NO_TIME = { precision: '', milliseconds: Infinity, sqnrDb: null };
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
    const said = stderr.trim().replaceAll('\n  ', ' ').split('\n');
    throw new Error(said.find((line) => line.startsWith('error:')) ?? said.at(-1));
  }
  return { result: JSON.parse(stdout), ...JSON.parse(readFileSync(usageFile, 'utf8')) };
}

const ivit = (...args) => node(path.join(root, 'bin/ivit.js'), args);

/** A photograph of any size, as a file. */
async function photograph() {
  const file = path.join(folder, 'photograph.png');
  const { syntheticImage } = await import('../../dist/images/synthetic/index.js');
  const { data } = syntheticImage(512, 512, 1);
  await sharp(data, { raw: { width: 512, height: 512, channels: 3 } }).toFile(file);
  return file;
}

/** Everything that is told of one architecture. */
async function measure(name) {
  const [model, output] = [path.join(folder, `${name}.onnx`), path.join(folder, `${name}.ivit`)];
  const { parameters } = node(path.join(compiled, 'make.js'), [name, model]).result;
  const shown = ivit('inspect', model, '--json').result;
  const isLarge = shown.macs > LARGE;
  const images = isLarge ? LARGE_IMAGES : flags['num-images'];
  const settings = ['--num-images', images, '--effort', flags.effort, '--kernels', flags.kernels];
  const made = ivit('quantize', model, '-o', output, ...settings, '--json');
  const inferred = ivit('infer', await photograph(), '-m', output, '--threads', '1', ...MEMORY, '--json');
  const wasm = isLarge ? [] : ['wasm'];
  const timed = node(path.join(compiled, 'time.js'), [output, model, isLarge ? '1' : flags.rounds, ...wasm]).result;
  const least = (start) =>
    timed.results
      .filter(({ precision }) => precision.startsWith(start))
      .reduce((best, each) => (each.milliseconds < best.milliseconds ? each : best), NO_TIME);
  if (!flags.keep) for (const file of [model, output]) rmSync(file);
  return {
    parameters,
    macs: shown.macs,
    bytes: made.result.bytes,
    sqnrDb: made.result.agreement.sqnrDb,
    noisyDb: timed.noisyDb,
    seconds: made.result.seconds,
    cpuSeconds: made.cpuSeconds,
    peak: made.peak,
    inferPeak: inferred.peak,
    times: timed.results,
    native: timed.results[0].milliseconds,
    wasm: least('ivit wasm').milliseconds,
    float: least('float').milliseconds,
    int8: least('int8'),
    machine: timed.machine,
    settings: { images, effort: flags.effort, kernels: flags.kernels },
  };
}

const names = Object.keys(ARCHITECTURES).filter(
  (name) => flags.only === undefined || flags.only.split(',').some((wanted) => name.includes(wanted)),
);
const print = (cells) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
const decibel = (value) => (value === null ? '' : `${value.toFixed(1)} dB`);

/** Images that noise is tried on. */
const NOISY_IMAGES = '4';
if (flags.noise) {
  print(['model', 'noise in all values', 'median of the outputs', 'least']);
  print(['---', '--:', '--:', '--:']);
  for (const name of names) {
    const model = path.join(folder, `${name}.onnx`);
    if (!existsSync(model)) node(path.join(compiled, 'make.js'), [name, model]);
    const { result } = node(path.join(compiled, 'noise.js'), [model, NOISY_IMAGES]);
    for (const [level, found] of Object.entries(result)) {
      const sorted = found.sort((a, b) => a - b);
      print([name, `${level} dB`, decibel(sorted[sorted.length >> 1]), decibel(sorted[0])]);
    }
    if (!flags.keep) rmSync(model);
  }
  process.exit();
}

const fileOf = (name) => path.join(folder, `${name}.json`);
if (!flags.table) {
  for (const name of names) {
    if (existsSync(fileOf(name))) continue;
    process.stderr.write(`${name} …\n`);
    try {
      writeFileSync(fileOf(name), JSON.stringify(await measure(name), null, 2));
    } catch (error) {
      process.stderr.write(`error: ${name}: ${error.message}\n`);
      process.exitCode = 1;
    }
  }
}

const milliseconds = (value) =>
  Number.isFinite(value) && value !== null ? `${value.toFixed(value < 10 ? 2 : 1)} ms` : '';
/** A figure and what was published; a `≠` where they disagree. */
const beside = (value, published, unit) => {
  if (published === null) return `${value.toFixed(2)} ${unit}`;
  const agrees = Math.abs(value - published) <= TOLERANCE * published;
  return `${value.toFixed(2)} ${unit} ${agrees ? '=' : '≠'} ${published}`;
};
const titles = ['model', 'parameters', 'MAC', 'SQNR', 'of noise', 'quantized', 'memory', 'infer', 'native', 'wasm'];
titles.push('ORT float', 'ORT int8', 'its SQNR', '× float', '× int8');
print(titles);
print(['---', ...new Array(titles.length - 1).fill('--:')]);
for (const name of names.filter((each) => existsSync(fileOf(each)))) {
  const { parameters, macs } = ARCHITECTURES[name];
  const row = JSON.parse(readFileSync(fileOf(name), 'utf8'));
  print([
    name,
    beside(row.parameters / 1e6, parameters, 'M'),
    beside(row.macs / 1e9, macs, 'G'),
    decibel(row.sqnrDb),
    decibel(row.noisyDb),
    `${row.cpuSeconds.toFixed(0)} s`,
    `${(row.peak / 1e9).toFixed(2)} GB`,
    `${(row.inferPeak / 1e9).toFixed(2)} GB`,
    milliseconds(row.native),
    milliseconds(row.wasm),
    milliseconds(row.float),
    milliseconds(row.int8.milliseconds),
    decibel(row.int8.sqnrDb),
    (row.float / row.native).toFixed(2),
    (row.int8.milliseconds / row.native).toFixed(2),
  ]);
}
