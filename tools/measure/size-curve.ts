/**
 * Size of the file against divergence from the float model (KL): weights of 3 to 8 bits under a target, plain rounding
 * of the same bits, and ONNX Runtime's int8. Prints the table of docs/accuracy.md and writes the picture beside it.
 *
 *     npm run size-curve -- model.onnx calibration/ validation/ docs/accuracy/deit_tiny.svg [preset]
 */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compare } from '../../src/api/compare.js';
import { evaluate } from '../../src/api/evaluate.js';
import { Model } from '../../src/api/model.js';
import { quantize } from '../../src/api/quantize.js';
import type { QuantizeRequest } from '../../src/api/requests.js';
import type { WeightBits } from '../../src/quantize/index.js';
import { drawPlot } from './plot.js';

const [model, images, dataset, picture, preset = 'imagenet'] = process.argv.slice(2);
const preprocess = { preset } as QuantizeRequest['preprocess'];
const folder = mkdtempSync(path.join(tmpdir(), 'ivit-size-curve-'));
const logits = path.join(folder, 'logits.f32');

interface Point {
  readonly name: string;
  readonly megabytes: number;
  readonly kl: number;
  /** Share of images, 0 to 1. */
  readonly agreement: number;
}

/** Quantizes with some settings, and compares on the dataset. The float model runs once for all. */
async function measure(name: string, settings: QuantizeRequest, isFirst: boolean): Promise<Point> {
  const output = path.join(folder, 'model.ivit');
  await quantize(model, { images, preprocess, output, ...settings });
  await using loaded = await Model.load(output);
  const float = isFirst ? { float: model, saveFloat: logits } : { float: logits };
  const { float: found } = await evaluate(loaded, { dataset, ...float });
  const { kl, agreement } = found!;
  return { name, megabytes: statSync(output).size / 1e6, kl: kl!, agreement: agreement! };
}

async function measureAll(): Promise<Record<'fitted' | 'nearest' | 'onnxRuntime', Point[]>> {
  const bits: WeightBits[] = [3, 4, 5, 6, 7, 8];
  const fitted = [await measure('default', {}, true)];
  for (const mean of [7, 6, 5, 4.5, 4, 3.5, 3])
    fitted.unshift(await measure(`\`--target-bits ${mean}\``, { target: { bits: mean } }, false));
  const nearest: Point[] = [];
  for (const weightBits of bits)
    nearest.push(await measure(`\`--effort none --weight-bits ${weightBits}\``, { effort: 'none', weightBits }, false));
  const { models } = await compare(model, {
    ...{ images, dataset, preprocess },
    ...{ kernels: ['shift'], efforts: ['none'], rounds: 1 },
  });
  const onnxRuntime = models
    .filter(({ name, settings }) => settings === null && name !== 'float')
    .map(({ name, bytes, figures }) => ({
      ...{ name: `ONNX Runtime ${name}`, megabytes: bytes / 1e6 },
      ...{ kl: figures.kl!.mean, agreement: figures.agreement!.share },
    }));
  return { fitted, nearest, onnxRuntime };
}

try {
  const { fitted, nearest, onnxRuntime } = await measureAll();
  process.stdout.write('| settings | file | agreement | KL |\n|---|--:|--:|--:|\n');
  for (const { name, megabytes, kl, agreement } of [...fitted, ...nearest, ...onnxRuntime])
    process.stdout.write(
      `| ${name} | ${megabytes.toFixed(2)} MB | ${(100 * agreement).toFixed(1)} % | ${kl.toPrecision(3)} |\n`,
    );
  const curve = (name: string, points: readonly Point[]) => ({
    name,
    points: points.map(({ megabytes, kl }) => [megabytes, kl] as const),
  });
  mkdirSync(path.dirname(picture), { recursive: true });
  writeFileSync(
    picture,
    drawPlot({
      title: `${path.basename(model, '.onnx')}: size and divergence`,
      ...{ x: 'MB', y: 'KL', logarithmic: true },
      series: [
        curve('ivit, bits shared by layers', fitted),
        curve('ivit, nothing fitted', nearest),
        curve('ONNX Runtime int8', onnxRuntime),
      ],
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
