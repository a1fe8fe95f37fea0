/** Questions that several parts of the quantizer ask of a plan. */
import type { ActivationNode, GraphNode, LinearNode } from '../../graph/types.js';
import type { Plan } from './types.js';

/** Rows of a node that reach the output. */
export function rowsNeeded(plan: Plan, node: GraphNode): number {
  return plan.needed.get(node.id)?.length ?? node.rows;
}

/** The value that the quantized values which a linear layer reads come from: gathers move them as they are. */
export function inputSource(plan: Plan, id: string): string {
  const node = plan.nodes.get(id)!;
  return node.op === 'gather' && plan.form.get(id) === 'codes' ? inputSource(plan, node.sources[0]) : id;
}

/** The linear layers that read a value, directly or through gathers of whole rows. */
export function linearReaders(plan: Plan, id: string): LinearNode[] {
  return plan.consumers
    .get(id)!
    .flatMap((user) => (user.op === 'linear' ? [user] : user.op === 'gather' ? linearReaders(plan, user.id) : []));
}

/** The activations that read a value, directly or through gathers. */
export function activationReaders(plan: Plan, id: string): ActivationNode[] {
  return plan.consumers
    .get(id)!
    .flatMap((user) =>
      user.op === 'activation' ? [user] : user.op === 'gather' ? activationReaders(plan, user.id) : [],
    );
}

/** Whether a gather pads a value with zeros. */
export function isPadded(plan: Plan, id: string): boolean {
  return plan.consumers
    .get(id)!
    .some((user) => user.op === 'gather' && (user.index.includes(-1) || isPadded(plan, user.id)));
}

/** The linear layer whose weights a layer is tied to. */
export function ownerOf(plan: Plan, { weightsOf }: LinearNode): LinearNode | null {
  const owner = weightsOf === undefined ? undefined : plan.nodes.get(weightsOf);
  return owner?.op === 'linear' ? owner : null;
}
