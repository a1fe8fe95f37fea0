import onnxProto from 'onnx-proto';
import { describe, expect, test } from 'vitest';
import { quantizeForOnnxRuntime } from '../../src/bench/int8-onnx.js';
import type { Int8Way } from '../../src/bench/int8-onnx.js';
import { openFloatModel } from '../../src/calibrate/runtime.js';
import { zooImages, zooModel } from '../zoo.js';

const WAYS: readonly Int8Way[] = ['dynamic', 'static'];
/**
 * In dB: noise of half the signal. On x86 processors without VNNI, ONNX Runtime's int8 products saturate their 16-bit
 * sums of pairs, which costs some models 3 to 4 dB of the 12 that others leave.
 */
const LEAST_SQNR = 6;
/** MatMul and Gemm, external data, an activation by Gelu. */
const MODELS = ['timm_ts_opset17', 'hf_vit_sdpa_ts_opset17', 'timm_dynamo_opset20', 'torchvision_ts_opset17'];

describe('int8 forms for ONNX Runtime', () => {
  for (const name of MODELS) {
    for (const way of WAYS) {
      test(`${name}, ${way}: runs, and decides nearly as the float model does`, async () => {
        const model = zooModel(name);
        const images = await zooImages(model);
        const inputs = images.map(({ normalised }) => ({
          [model.input.name]: { data: normalised, shape: model.input.shape },
        }));
        const bytes = await quantizeForOnnxRuntime(model.path, way, inputs);

        const nodes = onnxProto.onnx.ModelProto.decode(bytes).graph!.node!;
        const count = (type: string) => nodes.filter(({ opType }) => opType === type).length;
        if (way === 'dynamic') expect(count('MatMulInteger')).toBeGreaterThan(0);
        else expect(count('DequantizeLinear')).toBeGreaterThan(count('MatMul'));
        expect(count('Gemm')).toBe(0);

        const session = await openFloatModel(bytes);
        try {
          for (const [i, input] of inputs.entries()) {
            const [logits] = [...(await session.run(input)).values()];
            expect(signalToNoise(model.logits[i], logits)).toBeGreaterThan(LEAST_SQNR);
          }
        } finally {
          await session.close();
        }
      });
    }
  }
});

/** In dB. */
function signalToNoise(expected: readonly number[], actual: Float32Array): number {
  let signal = 0;
  let noise = 0;
  expected.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - actual[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}
