import { expect, test } from 'vitest';
import { normalizePixels } from '../../../src/calibrate/collect.js';
import { openFloatModel } from '../../../src/calibrate/runtime.js';
import { writeAttention } from '../../../src/graph/nodes/attention.js';
import { definitionOf } from '../../../src/graph/nodes/index.js';
import { OnnxWriter } from '../../../src/graph/onnx-writer.js';
import type { Graph } from '../../../src/graph/types.js';
import { graphToOnnx, importModel } from '../../../src/importer/index.js';
import { zooImages, zooModel } from '../../zoo.js';

/** The graph with every head of its attentions written by itself. */
function headByHead(graph: Graph): Uint8Array {
  const writer = new OnnxWriter(graph);
  for (const node of graph.nodes)
    if (node.op === 'attention') writeAttention(node, writer, 0);
    else definitionOf(node).toOnnx(node, writer);
  return writer.encode(true, [], [graph.output]);
}

// Plain, with windows and biases of each head, with masks of each window.
test.each(['timm_ts_opset17', 'timm_swin_dynamo_opset20', 'timm_swin_pad_ts_opset17'])(
  '%s: heads one by one are heads together',
  async (name) => {
    const zoo = zooModel(name);
    const { graph } = await importModel(zoo.path);
    expect(graph.nodes.some((node) => node.op === 'attention' && node.heads > 1)).toBe(true);
    const [{ pixels }] = await zooImages(zoo);
    const { channels, height, width, name: input } = graph.input;
    const data = normalizePixels(pixels, channels, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]);
    const [together, apart] = await Promise.all(
      [graphToOnnx(graph), headByHead(graph)].map(async (bytes) => {
        const model = await openFloatModel(bytes);
        const outputs = await model.run({ [input]: { data, shape: [1, channels, height, width] } });
        await model.close();
        return [...outputs.values()][0]!;
      }),
    );
    expect(apart).not.toHaveLength(0);
    apart!.forEach((value, i) => expect(value).toBeCloseTo(together![i]!, 4));
  },
);
