/**
 * Times a model on one thread beside ONNX Runtime's forms of the float one, in turns.
 *
 *   node time.js <model.ivit> <model.onnx> <rounds> [wasm]
 *
 * With one round each is opened when its turn comes, and closed after it: five sessions of a large model would not
 * fit in memory.
 *
 * A time is the least processor time of an image, in milliseconds: on one thread the time by the clock where nothing
 * else runs, and nearly so on a busy machine. Prints them as JSON, with what noise in the input does to the float
 * model.
 */
import { integerContender, onnxContender, onnxForms } from '../../../src/bench/contenders.js';
import { describeMachine } from '../../../src/bench/compare.js';
import type { Contender } from '../../../src/bench/measure.js';
import type { FloatInputs } from '../../../src/bench/onnx-parts.js';
import { openFloatModel } from '../../../src/calibrate/runtime.js';
import { Random } from '../../../src/images/random.js';
import { AgreementMeter } from '../../../src/metrics/agreement.js';
import { loadModel } from '../../../src/program/file.js';

/** As much as the largest of these models needs. */
const MEMORY = { threads: 1, maxMemory: 4 * 2 ** 30 };
/** Relative size of the noise: 40 dB below the input. */
const NOISE = 0.01;

/** SQNR of the float model's outputs where its input has noise of 40 dB below it. */
async function noiseResponse(model: string, inputs: FloatInputs): Promise<number> {
  const float = await openFloatModel(model);
  const [[name, { data, shape }]] = Object.entries(inputs);
  const random = new Random(1);
  const size = Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
  // Uniform numbers of this width have a deviation of 1.
  const noisy = data.map((v) => v + NOISE * size * Math.sqrt(12) * (random.uniform() - 0.5));
  const clean = [...(await float.run(inputs)).values()];
  const other = [...(await float.run({ [name]: { data: noisy, shape } })).values()];
  await float.close();
  const meter = new AgreementMeter();
  clean.forEach((values, i) => meter.add(values, other[i]));
  return meter.result().sqnrDb;
}

async function processorTime(run: () => Promise<unknown>): Promise<number> {
  const start = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

interface Time {
  readonly precision: string;
  readonly sqnrDb: number | null;
  readonly milliseconds: number;
}

/** Times contenders in turns, and closes them. */
async function timesOf(contenders: readonly Contender[], rounds: number): Promise<Time[]> {
  const times = contenders.map(() => Infinity);
  for (const { run } of contenders) await run();
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run }] of contenders.entries()) times[i] = Math.min(times[i], await processorTime(run));
  }
  for (const contender of contenders) await contender.close();
  return contenders.map(({ precision, sqnrDb }, i) => ({ precision, sqnrDb, milliseconds: times[i] }));
}

const [file, float, rounds, wasm] = process.argv.slice(2);
const { program } = await loadModel(file, MEMORY);
const { forms, inputs } = await onnxForms(float, program.input, (text) => process.stderr.write(`${text}\n`));
const openers: (() => Promise<Contender>)[] = [
  () => integerContender(program, 'ivit', 'native', MEMORY),
  ...(wasm ? [() => integerContender(program, 'ivit wasm', 'wasm', MEMORY)] : []),
  ...forms.map((form) => () => onnxContender(form, inputs, 'onnxruntime-node', 1)),
];
const results: Time[] = [];
if (Number(rounds) === 1) for (const open of openers) results.push(...(await timesOf([await open()], 1)));
else results.push(...(await timesOf(await Promise.all(openers.map((open) => open())), Number(rounds))));
const noisyDb = await noiseResponse(float, inputs);
process.stdout.write(`${JSON.stringify({ machine: describeMachine(), results, noisyDb })}\n`);
