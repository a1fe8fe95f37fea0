import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { efficientVitMit, efficientVitMsra, levit, tinyVit } from '../../tools/measure/architectures/efficient.js';
import { efficientFormer, fastVit, mobileVit, mobileVitV2 } from '../../tools/measure/architectures/mobile.js';
import { Net } from '../../tools/measure/architectures/net.js';
import { depthAnything, maxVit, pvtV2, segFormer, xcit } from '../../tools/measure/architectures/pyramid.js';
import { cait, dinov3, eva02, peCore, vitPose } from '../../tools/measure/architectures/vit.js';
import type { Outputs } from '../../tools/measure/architectures/vit.js';
import { hiera, samEncoder, swinV2 } from '../../tools/measure/architectures/windows.js';
import { noise, temporaryFolder } from '../onnx/build.js';
import { importAndRun, planar } from './float-file.js';

const vit = { size: [48, 32], patch: 8, width: 48, depth: 2, heads: 3 } as const;
const square = { ...vit, size: [32, 32] } as const;
const pyramid = { size: 32, widths: [8, 16, 24, 32], heads: [1, 2, 3, 4], depths: [1, 1, 1, 2], ratios: [2, 2, 3, 4] };

/** The constructions of the real sizes, small: other heads, widths and sizes than published. */
const SMALL: Readonly<Record<string, (net: Net) => Outputs>> = {
  'dinov3 of one register': (net) => dinov3(net, vit, 1),
  'eva02 of a wide MLP': (net) => eva02(net, vit, 136),
  'pe core pooled by three heads': (net) => peCore(net, square, 20, 3),
  'cait of one class block': (net) => cait(net, square, 1, 10),
  'vitpose of five joints': (net) => vitPose(net, { ...vit, patch: 16, size: [64, 32] }, 5, 24),
  'swinv2, window 4': (net) =>
    swinV2(net, { size: 32, width: 24, depths: [2, 1], heads: [2, 3], window: 4, classes: 10 }),
  'sam, windows that need padding': (net) =>
    samEncoder(net, { size: 40, patch: 8, width: 24, depth: 2, heads: 2, window: 3, global: [1], neck: 12 }),
  'hiera of 64 pixels': (net) => hiera(net, { size: 64, width: 16, depths: [1, 1, 1, 1], classes: 10 }),
  mobilevit: (net) =>
    mobileVit(
      net,
      32,
      [
        { channels: 8, stride: 2, blocks: 2 },
        { channels: 16, stride: 2, blocks: 1, layers: 1, width: 24 },
      ],
      32,
    ),
  mobilevitv2: (net) =>
    mobileVitV2(
      net,
      32,
      [8, 8, 16],
      [
        [16, 1],
        [32, 2],
      ],
    ),
  efficientformer: (net) => efficientFormer(net, 64, [16, 24, 32, 40], [1, 1, 1, 2]),
  'levit, keys of 8': (net) =>
    levit(net, { size: 64, widths: [16, 32, 48], heads: [2, 3, 4], depths: [1, 1, 1], dim: 8 }),
  'tinyvit, windows of 4': (net) =>
    tinyVit(net, {
      size: 64,
      widths: [16, 24, 32, 48],
      heads: [1, 2, 2, 3],
      depths: [1, 1, 1, 1],
      windows: [4, 4, 4, 2],
    }),
  fastvit: (net) => fastVit(net, 32, [16, 32, 64], [1, 1, 1]),
  'efficientvit of MIT': (net) => efficientVitMit(net, 32, [8, 8, 16, 32, 48], [1, 2, 1, 1, 1]),
  'efficientvit of Microsoft, three heads': (net) =>
    efficientVitMsra(net, { size: 128, widths: [24, 48], heads: 3, depths: [1, 1], window: 4, dim: 4 }),
  pvtv2: (net) => pvtV2(net, pyramid),
  segformer: (net) => segFormer(net, pyramid, 24, 5),
  'xcit of two heads': (net) => xcit(net, { size: 64, width: 32, depth: 2, heads: 2 }),
  maxvit: (net) => maxVit(net, { size: 32, stem: 16, widths: [32, 32, 64], depths: [1, 2, 1], window: 2, hidden: 24 }),
  'depth anything, patches of 8': (net) =>
    depthAnything(net, {
      size: 32,
      patch: 8,
      width: 24,
      depth: 4,
      heads: 2,
      taps: [0, 1, 2, 3],
      neck: [8, 12, 16, 20],
      fusion: 16,
      head: 6,
    }),
};

/** Norms of any statistics: means about 0, variances about 1, as the layers' weights give. */
function small(build: (net: Net) => Outputs): Uint8Array {
  const statistics = (norm: number, channels: number) => ({
    mean: noise(channels, norm + 1),
    variance: noise(channels, norm + 101).map((v) => 1 + v / 2),
  });
  const net = new Net({ batch: 1, statistics });
  return net.encode(build(net));
}

describe('architectures, small', () => {
  test.each(Object.entries(SMALL))('%s', async (_, build) => {
    const file = path.join(temporaryFolder({ 'model.onnx': small(build) }), 'model.onnx');
    const { graph } = await importAndRun(file, (image, shape) => ({ pixel_values: planar(image, shape) }));
    expect(graph.nodes.length).toBeGreaterThan(10);
  });
});
