/**
 * Writes one of today's architectures at real size, with random weights, as `torch.onnx` would write it.
 *
 *   node make.js <name> <model.onnx>
 *
 * Every BatchNormalization has the statistics of what really reaches it, from a few synthetic photographs, as after
 * training. Prints the parameters and the published figures as JSON.
 */
import { writeFileSync } from 'node:fs';
import { openFloatModel } from '../../../src/calibrate/runtime.js';
import { syntheticImage } from '../../../src/images/synthetic/index.js';
import { ARCHITECTURES } from './index.js';
import type { Architecture } from './index.js';
import { Net } from './net.js';
import type { ChannelStatistics } from './net.js';

/** Images that statistics come from. */
const MEASURED_IMAGES = 8;

/** What every BatchNormalization sees, in order. */
async function measureStatistics({ build }: Architecture): Promise<ChannelStatistics[]> {
  const net = new Net({ batch: MEASURED_IMAGES, statistics: null });
  const outputs = build(net);
  if (net.measured.length === 0) return [];
  const session = await openFloatModel(net.encode(outputs));
  const shape = net.inputShape;
  const data = photographs(shape);
  const values = await session.run({ [session.inputNames[0]]: { data, shape } }, net.measured);
  await session.close();
  return Array.from({ length: net.measured.length / 2 }, (_, i) => ({
    mean: values.get(net.measured[2 * i])!,
    variance: values.get(net.measured[2 * i + 1])!,
  }));
}

/** Synthetic photographs, normalised as is usual. */
function photographs([images, channels, height, width]: readonly number[]): Float32Array {
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const size = height * width;
  const all = new Float32Array(images * channels * size);
  for (let image = 0; image < images; image++) {
    const { data } = syntheticImage(width, height, image + 1);
    for (let i = 0; i < channels * size; i++) {
      const c = i % channels;
      all[(image * channels + c) * size + Math.floor(i / channels)] = (data[i] / 255 - mean[c]) / std[c];
    }
  }
  return all;
}

const [name, file] = process.argv.slice(2);
const architecture = ARCHITECTURES[name];
if (architecture === undefined || file === undefined) {
  process.stderr.write(`usage: node make.js <name> <model.onnx>; names: ${Object.keys(ARCHITECTURES).join(', ')}\n`);
  process.exit(2);
}
const measured = await measureStatistics(architecture);
const net = new Net({ batch: 1, statistics: (norm) => measured[norm] });
const outputs = architecture.build(net);
writeFileSync(file, net.encode(outputs));
const { parameters, macs } = architecture;
process.stdout.write(`${JSON.stringify({ parameters: net.parameters, published: { parameters, macs } })}\n`);
