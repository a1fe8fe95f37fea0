import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { evaluateGraph, importModel } from '../../src/importer/index.js';
import { operandsOf } from '../../src/graph/nodes/index.js';
import type { Graph, GraphNode, LinearNode } from '../../src/graph/types.js';
import { decodeModel, encodeModel } from '../../src/program/model.js';
import type { LinearOp, Program } from '../../src/program/types.js';
import { DEFAULT_OPTIONS, quantizeGraph } from '../../src/quantize/index.js';
import { separateOutputRows } from '../../src/quantize/output-rows.js';
import { outputsByDefault } from '../../src/program/output.js';
import { tinyModel } from '../program/tiny.js';
import { zooImages, zooModel } from '../zoo.js';
import '../build-kernels.js';

async function graphOf(name: string): Promise<Graph> {
  return (await importModel(zooModel(name).path)).graph;
}

/** Both graphs give the same for an image. */
async function expectSame(a: Graph, b: Graph, name: string): Promise<void> {
  const [{ normalised }] = await zooImages(zooModel(name));
  const wanted = evaluateGraph(a, normalised);
  const got = evaluateGraph(b, normalised);
  const scale = Math.max(...wanted.map(Math.abs));
  wanted.forEach((value, c) => expect(Math.abs(got[c] - value) / scale).toBeLessThan(1e-5));
}

/** The layers of a graph that are tied to another's weights. */
const tiedOf = (graph: Graph) => graph.nodes.filter((node) => node.op === 'linear' && node.weightsOf !== undefined);

describe('output rows apart', () => {
  it.each([
    ['a class token', 'hf_vit_eager_ts_opset17', 1, 1, 3],
    ['a class token, three blocks, q, k and v in one', 'timm_ts_opset16', 1, 2, 1],
    ['a class and a distillation token', 'hf_deit_teacher_all_ts_opset17', 2, 1, 3],
  ])('%s (%s): the graph computes the same, with layers of their own', async (_what, name, count, blocks, operands) => {
    const graph = await graphOf(name);
    const separated = separateOutputRows(graph);
    // After the last attention these rows alone are computed anyway.
    expect(tiedOf(separated).length).toBe(blocks * (operands + 3) + operands);
    const attentions = separated.nodes.filter((node) => node.op === 'attention');
    expect(attentions.filter(({ rows }) => rows === count).length).toBe(blocks);

    const byId = new Map(separated.nodes.map((node) => [node.id, node]));
    expect(byId.size).toBe(separated.nodes.length);
    expect(new Set(separated.nodes.map((node) => node.name)).size).toBe(byId.size);
    const made = new Set<string>();
    for (const node of separated.nodes) {
      for (const id of operandsOf(node)) expect(made.has(id)).toBe(true);
      made.add(node.id);
    }
    for (const a of tiedOf(separated)) {
      const b = a.op === 'linear' ? byId.get(a.weightsOf!)! : a;
      if (a.op !== 'linear' || b.op !== 'linear') throw new Error(`${a.op} and ${b.op}`);
      expect(a.weight).toBe(b.weight);
      expect(a.rows).toBe(count);
      expect(b.rows).toBeGreaterThan(count);
    }

    await expectSame(graph, separated, name);
  });

  it.each(['timm_avgpool_dynamo_opset20', 'hf_swin_ts_opset17', 'hf_clip_dynamo_opset20', 'hf_dinov2_ts_opset17'])(
    '%s: an output that reads many rows leaves the graph as it is',
    async (name) => {
      const graph = await graphOf(name);
      expect(separateOutputRows(graph)).toBe(graph);
    },
  );

  it.each(['encoder_postnorm_relu_ts_opset17', 'batchnorm_relu_ts_opset17'])(
    '%s: what does not go from a norm to an add stays as it is',
    async (name) => {
      const graph = await graphOf(name);
      const separated = separateOutputRows(graph);
      const names = tiedOf(separated).map((node) => node.name);
      expect(names, 'the projection of an attention').toEqual([expect.stringMatching(/proj\.output$/)]);
      await expectSame(graph, separated, name);
    },
  );

  it('position bias of the first queries goes with them', async () => {
    const name = 'timm_ts_opset16';
    const graph = await graphOf(name);
    let seed = 1;
    const biased = graph.nodes.map((node): GraphNode => {
      if (node.op !== 'attention') return node;
      const bias = Float32Array.from(
        { length: node.heads * node.queries * node.keys },
        () => (seed = (seed * 16807) % 2147483647) / 2 ** 29,
      );
      return { ...node, bias, biasHeads: node.heads };
    });
    const withBias = { ...graph, nodes: biased };
    const separated = separateOutputRows(withBias);
    expect(tiedOf(separated).length).toBeGreaterThan(0);
    await expectSame(withBias, separated, name);
  });

  it('an MLP that gives nothing costs nothing', async () => {
    const name = 'hf_vit_eager_ts_opset17';
    const graph = await graphOf(name);
    const fc1 = graph.nodes.find(({ id }) =>
      graph.nodes.some((node) => node.op === 'activation' && node.x === id),
    ) as LinearNode;
    const silent = { ...fc1, weight: fc1.weight.map(() => 0), bias: fc1.bias.map(() => 0) };
    const images = (await zooImages(zooModel(name))).map(({ pixels }) => pixels);
    const { agreement } = await quantizeGraph({
      graph: { ...graph, nodes: graph.nodes.map((node) => (node === fc1 ? silent : node)) },
      images,
      normalization: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      options: { ...DEFAULT_OPTIONS, kernels: 'lut' },
    });
    expect(agreement.sqnrDb).toBeGreaterThan(25);
  });

  it.each([
    ['static', 'u8'],
    ['dynamic', 'rows'],
  ] as const)('gives them 16-bit inputs, and weights that are in the file once (%s)', async (scales, type) => {
    const name = 'hf_vit_eager_ts_opset17';
    const images = (await zooImages(zooModel(name))).map(({ pixels }) => pixels);
    const { program, layers, attentions } = await quantizeGraph({
      graph: await graphOf(name),
      images,
      normalization: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      options: { ...DEFAULT_OPTIONS, kernels: 'lut', scales },
    });
    const pairs = sharingPairs(program);
    expect(pairs.length).toBe(9);
    for (const [first, own] of pairs) {
      const isSensitive = layers.find((layer) => layer.name === first.name)!.inputBits === 16;
      expect(program.ops[first.x - 1].out.type).toBe(isSensitive ? 'i16' : type);
      expect(program.ops[own.x - 1].out.type).toBe('i16');
      // Weights suit another layer's inputs only if these have scales in the same proportions.
      expect(layers.find((layer) => layer.name === own.name)!.sqnrDb).toBeGreaterThan(25);
    }

    expect(pairs.filter(([first]) => program.ops[first.x - 1].out.type === type).length).toBeGreaterThan(4);
    expect(attentions.filter(({ name }) => name.endsWith('.output')).map(({ softmaxBits }) => softmaxBits)).toEqual([
      12,
    ]);

    const model = { ...tinyModel(), program, outputs: outputsByDefault(program), labels: null };
    const { height, width } = program.input;
    const preprocess = { ...model.preprocess, size: { height, width } };
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    const read = decodeModel(encodeModel({ ...model, preprocess }, sha256), sha256);
    expect(sharingPairs(read.program).map((ops) => ops.map((op) => op.name))).toEqual(
      pairs.map((ops) => ops.map((op) => op.name)),
    );
  });
});

/** Linear layers and a later one with the very same weights. */
function sharingPairs({ ops }: Program): [LinearOp, LinearOp][] {
  const linears = ops.filter((op) => op.op === 'linear');
  return linears.flatMap((first, i) =>
    linears.slice(i + 1).flatMap((own): [LinearOp, LinearOp][] => (own.weight === first.weight ? [[first, own]] : [])),
  );
}
