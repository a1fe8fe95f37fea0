import { expect, test } from 'vitest';
import { importModel } from '../../../src/importer/index.js';
import { operandsOf } from '../../../src/graph/nodes/index.js';
import type { GatherNode } from '../../../src/graph/types.js';
import { zooModel } from '../../zoo.js';

// That the graphs compute what they should is tested for all of the zoo.
test.each([
  ['timm_swin_ts_opset13', 'attention'],
  ['timm_swin_pad_ts_opset17', 'attention'],
  ['hf_swin_ts_opset17', 'attention'],
  ['timm_swinv2_ts_opset17', 'attention'],
])('%s puts windows back before the projection, which goes straight into the sum', async (name, before) => {
  const { graph } = await importModel(zooModel(name).path);
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const gathers = graph.nodes.filter((node): node is GatherNode => node.op === 'gather');
  const back = gathers.filter((node) => byId.get(node.sources[0])!.op === before);
  expect(back.length).toBeGreaterThan(0);
  for (const { id } of back)
    expect(graph.nodes.filter((node) => operandsOf(node).includes(id)).map(({ op }) => op)).toEqual(['linear']);
  for (const node of graph.nodes) {
    if (node.op === 'add') for (const id of operandsOf(node)) expect(byId.get(id)!.op).not.toBe('gather');
  }
});

test('the class token is still picked after the last norm', async () => {
  const { graph } = await importModel(zooModel('timm_ts_opset17').path);
  const pick = graph.nodes.findLast((node): node is GatherNode => node.op === 'gather')!;
  expect(pick.rows).toBe(1);
  expect(graph.nodes.find(({ id }) => id === pick.sources[0])).toMatchObject({ op: 'layerNorm', rows: 17 });
});
