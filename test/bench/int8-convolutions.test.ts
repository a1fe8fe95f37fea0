import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { onnxForms } from '../../src/bench/contenders.js';
import type { OnnxForm } from '../../src/bench/contenders.js';
import { quantizeConvolutions } from '../../src/bench/int8-convolutions.js';
import { decodeModel } from '../../src/bench/onnx-parts.js';
import type { Node } from '../../src/bench/onnx-parts.js';
import { temporaryFolder } from '../cli/ivit.js';
import { zooModel } from '../zoo.js';
import { modernModel } from '../zoo2.js';

const folder = temporaryFolder();
/** Of activations with one scale for all channels; some of these models leave 8 dB. */
const LEAST_SQNR = 5;

/** What ONNX Runtime makes of a form: how many nodes of a kind. */
async function fused({ model }: OnnxForm): Promise<(type: string) => number> {
  const [file, optimizedModelFilePath] = [folder.path('form.onnx'), folder.path('fused.onnx')];
  writeFileSync(file, model);
  const options = { graphOptimizationLevel: 'extended', optimizedModelFilePath, logSeverityLevel: 4 } as const;
  await (await InferenceSession.create(file, options)).release();
  expect(existsSync(optimizedModelFilePath)).toBe(true);
  const nodes: Node[] = decodeModel(readFileSync(optimizedModelFilePath)).graph!.node!;
  return (type) => nodes.filter(({ opType }) => opType === type).length;
}

describe('int8 forms with convolutions', () => {
  for (const name of ['mobilevit_ts17', 'efficientformer2_ts17', 'tinyvit_ts17']) {
    test(`${name}: ONNX Runtime runs its convolutions in int8, and gives about the float model's outputs`, async () => {
      const { path, input } = modernModel(name);
      const [, channels, height, width] = input.shape;
      const notices: string[] = [];
      const size = { height, width, channels } as Parameters<typeof onnxForms>[1];
      const { forms } = await onnxForms(path, size, (text) => notices.push(text));

      expect(notices).toEqual([]);
      const convolutions = decodeModel(readFileSync(path)).graph!.node!.filter(({ opType }) => opType === 'Conv');
      const [products, all] = forms.filter(({ precision }) => precision.startsWith('int8 conv'));
      for (const form of [products, all]) {
        const count = await fused(form);
        expect(count('QLinearConv')).toBe(convolutions.length);
        expect(count('Conv') + count('FusedConv')).toBe(0);
        expect(form.sqnrDb).toBeGreaterThan(LEAST_SQNR);
      }
      expect((await fused(all))('QLinearAdd')).toBeGreaterThan((await fused(products))('QLinearAdd'));
    });
  }

  test('a model of one convolution, over its patches, has no such form', async () => {
    expect(await quantizeConvolutions(zooModel('timm_ts_opset17').path, 'products', [])).toBe(null);
  });
});
