/** Questions that several parts of the quantizer ask of a plan. */
import { reachesOutside, tapCount } from '../../graph/geometry.js';
import type { ActivationNode, GatherNode, GraphNode, LinearNode, MaxPoolNode, WindowsNode } from '../../graph/types.js';
import type { Plan } from './types.js';

/** Rows of a node that reach the output. */
export function rowsNeeded(plan: Plan, node: GraphNode): number {
  return plan.needed.get(node.id)?.length ?? node.rows;
}

/** Whether a node hands quantized values on as they are. */
export const moves = (node: GraphNode): node is GatherNode | WindowsNode | MaxPoolNode =>
  node.op === 'gather' || node.op === 'windows' || node.op === 'maxPool';

/** The value that the quantized values which a linear layer reads come from: some nodes only move them. */
export function inputSource(plan: Plan, id: string): string {
  const node = plan.nodes.get(id)!;
  if (!moves(node) || plan.form.get(id) !== 'codes') return id;
  return inputSource(plan, node.op === 'gather' ? node.sources[0] : node.x);
}

/** How many times the columns of the value that a layer's quantized inputs come from lie side by side in its input. */
export function inputTaps(plan: Plan, id: string): number {
  const node = plan.nodes.get(id)!;
  if (!moves(node) || plan.form.get(id) !== 'codes') return 1;
  const before = inputTaps(plan, node.op === 'gather' ? node.sources[0] : node.x);
  return node.op === 'windows' ? before * tapCount(node.geometry) : before;
}

/** The linear layers that read a value, directly or through nodes that only move it. */
export function linearReaders(plan: Plan, id: string): LinearNode[] {
  return plan.consumers
    .get(id)!
    .flatMap((user) => (user.op === 'linear' ? [user] : moves(user) ? linearReaders(plan, user.id) : []));
}

/** The activations that read a value, directly or through gathers. */
export function activationReaders(plan: Plan, id: string): ActivationNode[] {
  return plan.consumers
    .get(id)!
    .flatMap((user) =>
      user.op === 'activation' ? [user] : user.op === 'gather' ? activationReaders(plan, user.id) : [],
    );
}

/** Whether a gather, or windows over a map, pad a value with zeros. */
export function isPadded(plan: Plan, id: string): boolean {
  return plan.consumers.get(id)!.some((user) => moves(user) && (pads(user) || isPadded(plan, user.id)));
}

/** Whether a value is a map of which windows reach beyond the border. */
export function hasBorder(plan: Plan, id: string): boolean {
  return plan.consumers
    .get(id)!
    .some((user) => moves(user) && ((user.op === 'windows' && pads(user)) || hasBorder(plan, user.id)));
}

const pads = (node: GatherNode | WindowsNode | MaxPoolNode): boolean =>
  node.op === 'gather' ? node.index.includes(-1) : node.op === 'windows' && reachesOutside(node.geometry);

/** The linear layer whose weights a layer is tied to. */
export function ownerOf(plan: Plan, { weightsOf }: LinearNode): LinearNode | null {
  const owner = weightsOf === undefined ? undefined : plan.nodes.get(weightsOf);
  return owner?.op === 'linear' ? owner : null;
}
