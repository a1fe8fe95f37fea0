/**
 * What noise in every value of a float model does to its outputs, image by image: how much a network amplifies errors
 * by itself.
 *
 *   node noise.js <model.onnx> <images>
 *
 * Prints, as JSON, for each level in dB: SQNR of the outputs of each synthetic image where every value that a node
 * writes has so much noise, in proportion to each channel's size. A value of 8 bits has about 40 dB.
 */
import { normalizePixels } from '../../../src/calibrate/collect.js';
import { openFloatModel, type FloatModel } from '../../../src/calibrate/runtime.js';
import { operandsOf } from '../../../src/graph/nodes/index.js';
import type { Graph, GraphNode } from '../../../src/graph/types.js';
import { partToOnnx } from '../../../src/graph/write.js';
import { Random } from '../../../src/images/random.js';
import { syntheticImage } from '../../../src/images/synthetic/index.js';
import { importModel } from '../../../src/importer/index.js';
import { AgreementMeter } from '../../../src/metrics/agreement.js';

const LEVELS = [40, 50];
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** A node as a model of its own. */
interface Step {
  readonly node: GraphNode;
  /** Ids of what it reads, constants left out; none of an image's patches. */
  readonly reads: readonly string[];
  readonly model: FloatModel;
}

async function openSteps(graph: Graph): Promise<Step[]> {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const steps: Step[] = [];
  for (const node of graph.nodes) {
    if (node.op === 'constant') continue;
    const operands = [...new Set(operandsOf(node))].map((id) => byId.get(id)!);
    const constants = operands.filter(({ op }) => op === 'constant');
    const reads = operands.filter(({ op }) => op !== 'constant').map(({ id }) => id);
    steps.push({ node, reads, model: await openFloatModel(partToOnnx(graph, [...constants, node], reads, [node.id])) });
  }
  return steps;
}

/** The outputs for an image, every value with noise of `level` dB below it; null: without. */
async function run(graph: Graph, steps: readonly Step[], image: Float32Array, level: number | null) {
  const { height, width, channels } = graph.input;
  const random = new Random(1);
  const values = new Map<string, { data: Float32Array; shape: number[] }>();
  for (const { node, reads, model } of steps) {
    const feeds =
      node.op === 'patchEmbed'
        ? { [model.inputNames[0]]: { data: image, shape: [1, channels, height, width] } }
        : Object.fromEntries(reads.map((id) => [id, values.get(id)!]));
    const data = Float32Array.from((await model.run(feeds)).get(node.id)!);
    if (level !== null) addNoise(data, node.cols, level, random);
    values.set(node.id, { data, shape: [node.rows, node.cols] });
  }
  return values.get(graph.output)!.data;
}

function addNoise(data: Float32Array, cols: number, level: number, random: Random): void {
  const power = new Float64Array(cols);
  data.forEach((v, i) => (power[i % cols] += v * v));
  const factor = 10 ** (-level / 20) * Math.sqrt((12 * cols) / data.length);
  // Uniform numbers, of a deviation of 1 once multiplied by √12.
  for (let i = 0; i < data.length; i++) data[i] += factor * Math.sqrt(power[i % cols]) * (random.uniform() - 0.5);
}

const [file, count] = process.argv.slice(2);
const { graph } = await importModel(file);
const { height, width, channels } = graph.input;
const steps = await openSteps(graph);
const found: Record<string, number[]> = Object.fromEntries(LEVELS.map((level) => [level, []]));
for (let i = 0; i < Number(count); i++) {
  const image = normalizePixels(syntheticImage(width, height, i + 1).data, channels, MEAN, STD);
  const exact = await run(graph, steps, image, null);
  for (const level of LEVELS) {
    const meter = new AgreementMeter();
    meter.add(exact, await run(graph, steps, image, level));
    found[level].push(meter.result().sqnrDb);
  }
}
for (const { model } of steps) await model.close();
process.stdout.write(`${JSON.stringify(found)}\n`);
