import { describe, expect, test } from 'vitest';
import { importModel } from '../../src/importer/index.js';
import { modulePath } from '../../src/importer/name-hints.js';
import type { OnnxNode } from '../../src/onnx/index.js';
import { zooModel } from '../zoo.js';

const node = (name: string, metadata: Record<string, string> = {}): OnnxNode => ({
  name,
  opType: 'MatMul',
  domain: '',
  inputs: [],
  outputs: [],
  attributes: new Map(),
  metadata: new Map(Object.entries(metadata)),
});

describe('the module a node stems from', () => {
  test.each([
    ['/blocks/blocks.0/attn/qkv/MatMul', 'blocks.0.attn.qkv'],
    ['/model/vit/layers.1/attention/MatMul_1', 'vit.layers.1.attention'],
    ['/Gather', ''],
    ['node_MatMul_11', ''],
  ])('%s', (name, path) => {
    expect(modulePath(node(name))).toBe(path);
  });

  test('from the scopes that dynamo notes', () => {
    const scopes = "['', 'blocks.0', 'blocks.0.attn', 'blocks.0.attn.qkv', 'linear']";
    expect(modulePath(node('node_linear', { 'pkg.torch.onnx.name_scopes': scopes }))).toBe('blocks.0.attn.qkv');
  });
});

describe('names of layers', () => {
  test.each([
    [
      'timm_ts_opset17',
      [
        'patch_embed.proj',
        'blocks.0.norm1',
        'blocks.0.attn.qkv',
        'blocks.0.attn.attention',
        'blocks.1.mlp.act',
        'head',
      ],
    ],
    ['timm_dynamo_opset20', ['blocks.0.attn.qkv', 'blocks.0.mlp.fc2', 'blocks.1.norm2', 'head']],
    ['torchvision_ts_opset17', ['encoder.layers.encoder_layer_0.self_attention.qkv', 'encoder.ln', 'heads.head']],
    ['timm_qknorm_dynamo_opset20', ['blocks.0.attn.q', 'blocks.0.attn.k', 'blocks.0.attn.v', 'blocks.0.attn.q_norm']],
    [
      'hf_swin_ts_opset17',
      ['swin.encoder.layers.0.blocks.0.attention.q_proj', 'swin.encoder.layers.0.downsample.reduction', 'classifier'],
    ],
  ])('of %s', async (name, expected) => {
    const { graph } = await importModel(zooModel(name).path);
    expect(graph.nodes.map((n) => n.name)).toEqual(expect.arrayContaining(expected));
  });
});
