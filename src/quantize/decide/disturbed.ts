/** The float model with errors added to its values, run from the part in which they are. */
import { cutGraph } from '../../calibrate/parts.js';
import type { Collected, GivenValue } from '../../calibrate/collect.js';
import { operandsOf, withOperands } from '../../graph/nodes/index.js';
import type { ConstantNode, Graph, GraphNode } from '../../graph/types.js';
import type { Calibration, Quantization } from '../context.js';
import { moves } from '../plan/queries.js';
import type { Candidate, Kind } from './candidates.js';
import type { ValueOf } from './rounding-errors.js';

/** What follows a place of the graph, and the errors that are added to the values made there. */
export interface Segment {
  /** All nodes from there to the end. */
  readonly nodes: readonly GraphNode[];
  /** Ids of the values that they read of earlier nodes, constants left out. */
  readonly inputs: readonly string[];
  readonly candidates: readonly Candidate[];
}

/** Parts that a graph is cut into: what lies before the part of an error need not be computed again. */
const SEGMENTS = 6;

/** The graph's segments that have candidates. */
export function segmentsOf(graph: Graph, candidates: readonly Candidate[]): Segment[] {
  const weights = graph.nodes.reduce((sum, node) => sum + (node.op === 'linear' ? node.weight.byteLength : 0), 0);
  let from = 0;
  const limits = { weights: Math.ceil(weights / SEGMENTS), values: Infinity };
  return cutGraph(graph, limits).flatMap(({ nodes: part }): Segment[] => {
    const own = new Set(part.map(({ id }) => id));
    const found = candidates.filter(({ node }) => own.has(node.id));
    const nodes = graph.nodes.slice(from);
    const before = graph.nodes.slice(0, from);
    from += part.length;
    if (found.length === 0) return [];
    const read = new Set(nodes.flatMap(operandsOf));
    const constants = before.filter(({ op, id }) => op === 'constant' && read.has(id));
    const inputs = before.filter(({ op, id }) => op !== 'constant' && read.has(id)).map(({ id }) => id);
    return [{ nodes: [...constants, ...nodes], inputs, candidates: found }];
  });
}

/** Samples of all rows of what the segments read, and of what their errors are computed from. */
export function allRowsOf({ plan }: Calibration, segments: readonly Segment[]): Map<string, () => Int32Array> {
  const ids = segments.flatMap(({ inputs, candidates }) => [
    ...inputs,
    ...candidates.flatMap(({ sources }) => sources),
  ]);
  return new Map(
    [...new Set(ids)].map((id) => {
      const rows = Int32Array.from({ length: plan.nodes.get(id)!.rows }, (_, r) => r);
      return [id, () => rows];
    }),
  );
}

/**
 * What each run of a segment is given: the exact values that it reads, the error of one candidate, and zeros in the
 * others' places. Runs go candidate by candidate of those that are open, and image by image for each.
 *
 * @param exact all rows of `allRowsOf`, for each image
 */
export function givenValues(
  { calibration }: Quantization,
  { inputs, candidates, open }: Segment & { readonly open: readonly Candidate[] },
  exact: Pick<Collected, 'samples' | 'logits'>,
): Map<string, GivenValue> {
  const images = exact.logits.length;
  const valuesOf =
    (image: number): ValueOf =>
    (id) => {
      const { rows, cols } = calibration.plan.nodes.get(id)!;
      return exact.samples.read(id, image * rows * cols, (image + 1) * rows * cols);
    };
  let prepared: { readonly candidate: Candidate; readonly errorOf: ReturnType<Candidate['prepare']> } | null = null;
  const addedTo = (place: Candidate, run: number): ReturnType<GivenValue> => {
    const candidate = open[Math.floor(run / images)];
    if (errorId(candidate) !== errorId(place)) return 'zeros';
    if (prepared?.candidate !== candidate) prepared = { candidate, errorOf: candidate.prepare() };
    return prepared.errorOf(valuesOf(run % images));
  };
  return new Map([
    ...inputs.map((id) => [id, (run: number) => valuesOf(run % images)(id)] as const),
    ...candidates.map((place) => [errorId(place), (run: number) => addedTo(place, run)] as const),
  ]);
}

/** Whether an error is one of a layer's output, not of a value's codes. */
export const isOfWeights = (kind: Kind): boolean => kind === 'planes' || kind === 'widths';

/**
 * The constant that stands for an error, to be given; softmax weights' errors are those of the attention's output, as
 * its quantized values' are.
 */
const errorId = ({ kind, node }: Candidate): string => `${node.id}#${isOfWeights(kind) ? 'weights' : 'codes'}`;
const roundedId = (id: string): string => `${id}#rounded`;
const exactId = (id: string): string => `${id}#exact`;

/**
 * The segment as a graph in which linear layers read each candidate's value plus its error, and everything the outputs
 * of linear layers plus those of their weights.
 */
export function withErrors({ calibration }: Quantization, { nodes: following, inputs, candidates }: Segment): Graph {
  const { graph, plan } = calibration;
  const errorsOf = (some: readonly Candidate[]) =>
    new Map(some.map((candidate) => [candidate.node.id, errorId(candidate)]));
  const ofValues = errorsOf(candidates.filter(({ kind }) => !isOfWeights(kind)));
  const weights = errorsOf(candidates.filter(({ kind }) => isOfWeights(kind)));
  const readsQuantized = (node: GraphNode): boolean =>
    node.op === 'linear' || (moves(node) && plan.form.get(node.id) === 'codes');
  /** Adds an error to `x`, as a node of the given id. */
  const plus = (node: GraphNode, x: string, error: string, id: string): GraphNode[] => {
    const { rows, cols } = node;
    return [given(node, error), { op: 'add', id, name: id, rows, cols, a: x, b: error }];
  };
  const nodes = following.flatMap((node): GraphNode[] => {
    const reading = readsQuantized(node) ? withOperands(node, (id) => (ofValues.has(id) ? roundedId(id) : id)) : node;
    const own = weights.get(node.id);
    const made =
      own === undefined
        ? [reading]
        : [{ ...reading, id: exactId(node.id) }, ...plus(node, exactId(node.id), own, node.id)];
    const added = ofValues.get(node.id);
    return added === undefined ? made : [...made, ...plus(node, node.id, added, roundedId(node.id))];
  });
  return { ...graph, nodes: [...inputs.map((id) => given(plan.nodes.get(id)!, id)), ...nodes] };
}

/** Stands for a value as large as that of `node`, which every run is given. */
function given({ rows, cols }: GraphNode, id: string): ConstantNode {
  return { op: 'constant', id, name: id, rows, cols, value: new Float32Array(0) };
}
