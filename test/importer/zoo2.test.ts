import { describe, expect, test } from 'vitest';
import { evaluateGraph, importModel } from '../../src/importer/index.js';
import { outputOf } from '../../src/metrics/output.js';
import { applyTail } from '../../src/metrics/tail.js';
import { modernModel, modernNames, networkInput } from '../zoo2.js';

/** Refused, with what the message names. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  // Its attention mask is what the network itself finds in the image, cut at a threshold.
  eomt_ts17: /Greater/,
};
/** Every axis of its input is open. */
const SIZES: Readonly<Record<string, readonly [number, number]>> = { alldyn_ts17: [32, 32] };

const taken = modernNames.filter((name) => !(name in REFUSED));

describe('modern, hybrid and dense models', () => {
  test.each(taken)('%s computes all its outputs', async (name) => {
    const model = modernModel(name);
    const { graph } = await importModel(model.path, name in SIZES ? { size: SIZES[name] } : {});
    expect(graph.outputs.map((output) => output.name)).toEqual(model.outputs.map((output) => output.name));
    const [{ pixels, expected }] = model.cases;
    const values = evaluateGraph(graph, networkInput(model, graph.input, pixels));
    for (const output of graph.outputs) {
      const reals = { shape: output.shape, values: Float64Array.from(outputOf(values, output)) };
      const given = applyTail(reals, output.tail).values;
      const wanted = expected.get(output.name)!;
      expect(given.length).toBe(wanted.length);
      const largest = wanted.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      wanted.forEach((v, i) => expect(Math.abs(given[i] - v)).toBeLessThanOrEqual(1e-3 * largest));
    }
  });

  test.each(Object.entries(REFUSED))('%s is refused', async (name, reason) => {
    await expect(importModel(modernModel(name).path)).rejects.toThrow(reason);
  });
});
