import { describe, expect, test } from 'vitest';
import { headsOfBlocks } from '../../src/graph/blocks.js';
import { describeGraph, importModel, type Graph } from '../../src/importer/index.js';
import { zooModel } from '../zoo.js';
import { modernModel } from '../zoo2.js';

describe('families, blocks and heads', () => {
  test.each<[string, string, readonly number[]]>([
    // Two blocks whose heads are mixed, and one of class attention.
    ['cait_ts17', 'cait', [2, 2, 2]],
    // Each head has two softmaxes.
    ['diffattn_ts17', 'vit', [2, 2]],
    // Each head has layers of its own.
    ['efficientvit_msra_dynamo20', 'hybrid', [2, 3]],
    ['hiera_ts17', 'hybrid', [1, 2, 2, 4]],
    // Softmax of the keys, no scores: the layer that merges the heads tells how many there are.
    ['coat_lite_ts17', 'hybrid', [8, 8, 8, 8]],
    // Windows and heads in one axis, with positions that the queries decide.
    ['sam_ts17', 'hybrid', [2, 2]],
    ['mvitv2_ts17', 'hybrid', [1, 2]],
    // An attention between two stages, which has more keys than the next.
    ['efficientformer2_ts17', 'hybrid', [8, 8, 8]],
    ['detr_dynamo20', 'unknown', [2, 2, 2, 2]],
    ['pe_core_ts17', 'vit', [2, 2, 2]],
    ['beit_timm_ts17', 'beit', [2, 2]],
    ['swinv2_w6_dynamo20', 'swinv2', [2, 2, 4]],
  ])('%s', async (name, family, heads) => {
    const { graph } = await importModel(modernModel(name).path);
    expect(describeGraph(graph)).toMatchObject({ family, depth: heads.length, heads });
  });

  test.each([
    ['timm_map_ts_opset17', 'siglip'],
    ['timm_prenorm_ts_opset17', 'clip'],
    ['timm_swin_ts_opset13', 'swin'],
    ['timm_distilled_ts_opset17', 'deit-distilled'],
    ['hf_dinov2_ts_opset17', 'dinov2'],
  ])('%s is %s', async (name, family) => {
    const { graph } = await importModel(zooModel(name).path);
    expect(graph.family).toBe(family);
  });

  test('windows that are read as heads are told apart by the layer that merges the heads', () => {
    const view = { source: 'x', stride: 32, rows: null, offset: 0, headStride: 8 };
    const attention = { id: 'a', op: 'attention', heads: 4, valueDim: 8, keys: 4, q: view, k: view, v: view };
    const linear = { id: 'p', op: 'linear', x: 'a', inFeatures: 8 };
    const nodes = [{ id: 'x', op: 'constant' }, attention, linear] as unknown as Graph['nodes'];
    expect(headsOfBlocks({ nodes })).toEqual([1]);
  });
});
