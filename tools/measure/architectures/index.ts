/** Today's architectures at the size that was published. */
import { efficientVitMit, efficientVitMsra, levit, tinyVit } from './efficient.js';
import { efficientFormer, fastVit, mobileVit, mobileVitV2 } from './mobile.js';
import type { Net } from './net.js';
import { depthAnything, maxVit, pvtV2, segFormer, xcit } from './pyramid.js';
import { cait, dinov3, eva02, peCore, vitPose, yolos } from './vit.js';
import type { Outputs } from './vit.js';
import { hiera, samEncoder, swinV2 } from './windows.js';

export interface Architecture {
  readonly build: (net: Net) => Outputs;
  /** As published: millions of parameters, and 10^9 multiply-accumulates of one image. Null: not known to us. */
  readonly parameters: number | null;
  readonly macs: number | null;
}

const square = (size: number): [number, number] => [size, size];

export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  'dinov3-s16': {
    build: (net) => dinov3(net, { size: square(256), patch: 16, width: 384, depth: 12, heads: 6 }),
    parameters: 21.6,
    macs: 6.3,
  },
  'eva02-s14': {
    build: (net) => eva02(net, { size: square(224), patch: 14, width: 384, depth: 12, heads: 6 }, 1024),
    parameters: 21.6,
    macs: 6.1,
  },
  'pe-core-t16': {
    build: (net) => peCore(net, { size: square(384), patch: 16, width: 192, depth: 12, heads: 3 }, 512),
    parameters: null,
    macs: null,
  },
  'cait-xxs24': {
    build: (net) => cait(net, { size: square(224), patch: 16, width: 192, depth: 24, heads: 4 }, 2, 1000),
    parameters: 12.0,
    macs: 2.5,
  },
  'yolos-tiny': {
    build: (net) => yolos(net, { size: [512, 864], patch: 16, width: 192, depth: 12, heads: 3 }, 100, 92),
    parameters: 6.5,
    macs: null,
  },
  'swinv2-t': {
    build: (net) =>
      swinV2(net, { size: 256, width: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24], window: 8, classes: 1000 }),
    parameters: 28.4,
    macs: 6.0,
  },
  'vitpose-s': {
    build: (net) => vitPose(net, { size: [256, 192], patch: 16, width: 384, depth: 12, heads: 12 }, 17),
    parameters: 24.3,
    macs: null,
  },
  'hiera-tiny': {
    build: (net) => hiera(net, { size: 224, width: 96, depths: [1, 2, 7, 2], classes: 1000 }),
    parameters: 27.9,
    macs: 4.9,
  },
  'mobilevit-s': { build: (net) => mobileVit(net, 256), parameters: 5.6, macs: 2.03 },
  'mobilevitv2-1.0': { build: (net) => mobileVitV2(net, 256), parameters: 4.9, macs: 1.84 },
  'efficientformer-l1': {
    build: (net) => efficientFormer(net, 224, [48, 96, 224, 448], [3, 2, 6, 4]),
    parameters: 12.3,
    macs: 1.3,
  },
  'levit-128s': {
    build: (net) => levit(net, { size: 224, widths: [128, 256, 384], heads: [4, 6, 8], depths: [2, 3, 4], dim: 16 }),
    parameters: 7.8,
    macs: 0.305,
  },
  'tinyvit-5m': {
    build: (net) =>
      tinyVit(net, {
        size: 224,
        widths: [64, 128, 160, 320],
        heads: [2, 4, 5, 10],
        depths: [2, 2, 6, 2],
        windows: [7, 7, 14, 7],
      }),
    parameters: 5.4,
    macs: 1.3,
  },
  'fastvit-t8': {
    build: (net) => fastVit(net, 256, [48, 96, 192, 384], [2, 2, 4, 2]),
    parameters: 4.0,
    macs: 0.7,
  },
  'efficientvit-b0': {
    build: (net) => efficientVitMit(net, 224, [8, 16, 32, 64, 128], [1, 2, 2, 2, 2]),
    parameters: 3.4,
    macs: 0.1,
  },
  'efficientvit-m0': {
    build: (net) =>
      efficientVitMsra(net, { size: 224, widths: [64, 128, 192], heads: 4, depths: [1, 2, 3], window: 7, dim: 16 }),
    parameters: 2.3,
    macs: 0.079,
  },
  'pvtv2-b0': {
    build: (net) =>
      pvtV2(net, {
        size: 224,
        widths: [32, 64, 160, 256],
        heads: [1, 2, 5, 8],
        depths: [2, 2, 2, 2],
        ratios: [8, 8, 4, 4],
      }),
    parameters: 3.7,
    macs: 0.57,
  },
  'segformer-b0': {
    build: (net) => {
      const ratios = [4, 4, 4, 4];
      const shape = { size: 512, widths: [32, 64, 160, 256], heads: [1, 2, 5, 8], depths: [2, 2, 2, 2], ratios };
      return segFormer(net, shape, 256, 150);
    },
    parameters: 3.8,
    macs: 8.4,
  },
  'xcit-nano': {
    build: (net) => xcit(net, { size: 224, width: 128, depth: 12, heads: 4 }),
    parameters: 3.1,
    macs: 0.56,
  },
  'maxvit-tiny': {
    build: (net) =>
      maxVit(net, { size: 224, stem: 64, widths: [64, 128, 256, 512], depths: [2, 2, 5, 2], window: 7, hidden: 512 }),
    parameters: 30.9,
    macs: 5.6,
  },
  'depth-anything-s': {
    build: (net) =>
      depthAnything(net, {
        size: 518,
        patch: 14,
        width: 384,
        depth: 12,
        heads: 6,
        taps: [2, 5, 8, 11],
        neck: [48, 96, 192, 384],
        fusion: 64,
        head: 32,
      }),
    parameters: 24.8,
    macs: null,
  },
  'sam-b': {
    build: (net) =>
      samEncoder(net, {
        size: 1024,
        patch: 16,
        width: 768,
        depth: 12,
        heads: 12,
        window: 14,
        global: [2, 5, 8, 11],
        neck: 256,
      }),
    parameters: 89.7,
    macs: 486.4,
  },
};
