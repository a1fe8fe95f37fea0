import { operandsOf } from '../../graph/nodes/index.js';
import type { Program } from '../../program/types.js';
import type { Calibration } from '../context.js';
import type { FunctionOp } from '../functions.js';
import type { AttentionReport, LayerReport } from '../report.js';
import type { BuildContext } from './definition.js';
import type { BuildRequest } from './program-context.js';
import { builderOf } from './index.js';
import { LinearFits } from './linear-fits.js';
import { ProgramBuilder } from './program-builder.js';

export interface BuiltProgram {
  readonly program: Program;
  /** Real value of one step of the output. */
  readonly outputScale: number;
  /** The integer output of every image. */
  readonly outputs: Int32Array[];
  readonly layers: LayerReport[];
  readonly attentions: AttentionReport[];
  readonly functions: FunctionOp[];
}

/**
 * Builds the integer program node by node, in the graph's order, running all calibration images through every op as
 * soon as it is made: each linear layer is fitted to the integer inputs that it will really get. Floating point ends
 * here.
 */
export async function buildProgram(
  request: BuildRequest,
  onProgress?: (done: number, total: number) => void,
): Promise<BuiltProgram> {
  const { calibration, encodings, runner } = request;
  const { graph, plan, images } = calibration;
  const { height, width, channels } = graph.input;
  const builder = new ProgramBuilder({ height, width, channels }, images, runner, encodings);
  const context: BuildContext = { request, builder, fits: new LinearFits(), layers: [], attentions: [], functions: [] };
  const ends = lastReads(calibration);
  for (const [i, node] of graph.nodes.entries()) {
    await builderOf(node).build(node, plan.form.get(node.id)!, context);
    for (const id of ends[i]) builder.release(id);
    onProgress?.(i + 1, graph.nodes.length);
    await new Promise(setImmediate); // let signals and the progress bar through
  }
  const { value: output, scale } = builder.wide(graph.output);
  const made = builder.valuesOf(output);
  const outputs = images.map((_, i) => (made.of(i).data as Int32Array).slice());
  const program: Program = { input: builder.input, ops: builder.ops, output };
  const { layers, attentions, functions } = context;
  return { program, outputScale: scale[0], outputs, layers, attentions, functions };
}

/** By node: the values that nobody reads after it. */
function lastReads({ graph, plan }: Calibration): string[][] {
  const last = new Map<string, number>();
  const at = new Map(graph.nodes.map((node, i) => [node.id, i]));
  graph.nodes.forEach((node, i) => {
    for (const id of operandsOf(node)) last.set(id, i);
    last.set(node.id, Math.max(last.get(node.id) ?? 0, i));
  });
  last.delete(graph.output);
  for (const { add, other } of plan.residual.values()) {
    const read = last.get(other);
    if (read !== undefined) last.set(other, Math.max(read, at.get(add)!));
  }
  const ends: string[][] = graph.nodes.map(() => []);
  for (const [id, i] of last) ends[i].push(id);
  return ends;
}
