/** Float Vision Transformers of random weights, for sizes of which no trained model is at hand. */
import type { Graph, GraphNode } from '../../src/graph/types.js';
import { Random } from '../../src/images/random.js';
import type { VitShape } from './synthetic-vit.js';

/** The float graph of a Vision Transformer of the usual build. */
export function randomVit({ imageSize, patchSize, width, depth, heads, hidden, classes }: VitShape, seed = 1): Graph {
  const random = new Random(seed);
  const noise = (length: number, size: number) => Float32Array.from({ length }, () => size * random.normal());
  const across = Math.floor(imageSize / patchSize);
  const [patches, tokens, dim] = [across * across, across * across + 1, width / heads];
  const nodes: GraphNode[] = [];
  const add = (node: GraphNode): string => {
    nodes.push(node);
    return node.id;
  };
  const linear = (id: string, x: string, rows: number, inFeatures: number, cols: number): string =>
    add({
      op: 'linear',
      id,
      name: id,
      rows,
      cols,
      x,
      inFeatures,
      weight: noise(cols * inFeatures, inFeatures ** -0.5),
      bias: noise(cols, 0.1),
    });
  const norm = (id: string, x: string, rows: number): string =>
    add({
      op: 'layerNorm',
      id,
      name: id,
      rows,
      cols: width,
      x,
      center: true,
      gamma: noise(width, 0.1).map((v) => v + 1),
      beta: noise(width, 0.1),
      epsilon: 1e-6,
    });

  const embedded = add({
    op: 'patchEmbed',
    id: 'patch_embed',
    name: 'patch_embed',
    rows: patches,
    cols: width,
    weight: noise(width * patchSize * patchSize * 3, 0.02),
    bias: noise(width, 0.1),
    kernel: [patchSize, patchSize],
    stride: [patchSize, patchSize],
    pads: [0, 0, 0, 0],
    dilation: [1, 1],
    outSize: [across, across],
  });
  const token = add({
    op: 'constant',
    id: 'cls_token',
    name: 'cls_token',
    rows: 1,
    cols: width,
    value: noise(width, 1),
  });
  const sequence = add({
    op: 'gather',
    id: 'tokens',
    name: 'tokens',
    rows: tokens,
    cols: width,
    sources: [token, embedded],
    piece: width,
    index: Int32Array.from({ length: tokens }, (_, i) => i),
  });
  let x = add({
    op: 'addConst',
    id: 'pos_embed',
    name: 'pos_embed',
    rows: tokens,
    cols: width,
    x: sequence,
    value: noise(tokens * width, 0.5),
  });
  for (let b = 0; b < depth; b++) {
    const name = (part: string) => `blocks.${b}.${part}`;
    const qkv = linear(name('attn.qkv'), norm(name('norm1'), x, tokens), tokens, width, 3 * width);
    const view = (offset: number) => ({ source: qkv, stride: 3 * width, rows: null, offset, headStride: dim });
    const attended = add({
      op: 'attention',
      id: name('attn'),
      name: name('attn'),
      rows: tokens,
      cols: width,
      q: view(0),
      k: view(width),
      v: view(2 * width),
      batch: 1,
      heads,
      queries: tokens,
      keys: tokens,
      dim,
      valueDim: dim,
      scale: new Float32Array(heads).fill(dim ** -0.5),
      bias: null,
      biasBatch: 1,
      biasHeads: 1,
    });
    x = add({
      op: 'add',
      id: name('add1'),
      name: name('add1'),
      rows: tokens,
      cols: width,
      a: x,
      b: linear(name('attn.proj'), attended, tokens, width, width),
    });
    const up = linear(name('mlp.fc1'), norm(name('norm2'), x, tokens), tokens, width, hidden);
    const activated = add({
      op: 'activation',
      id: name('mlp.act'),
      name: name('mlp.act'),
      rows: tokens,
      cols: hidden,
      x: up,
      kind: 'gelu',
    });
    x = add({
      op: 'add',
      id: name('add2'),
      name: name('add2'),
      rows: tokens,
      cols: width,
      a: x,
      b: linear(name('mlp.fc2'), activated, tokens, hidden, width),
    });
  }
  const pooled = add({
    op: 'gather',
    id: 'pool',
    name: 'pool',
    rows: 1,
    cols: width,
    sources: [norm('norm', x, tokens)],
    piece: width,
    index: Int32Array.of(0),
  });
  const output = linear('head', pooled, 1, width, classes);
  const input = {
    name: 'pixels',
    channels: 3,
    height: imageSize,
    width: imageSize,
    fixed: { batch: true, height: true, width: true },
  };
  const outputs = [{ name: output, shape: [classes], start: 0, tail: [], isClasses: true }];
  return { input, nodes, output, outputs, family: 'deit', folded: [] };
}
