import type { GraphNode } from '../../graph/types.js';
import type { Demand } from '../plan/types.js';
import type { FunctionOp } from '../functions.js';
import type { AttentionReport, LayerReport } from '../report.js';
import type { InputScheme } from '../schemes/input-scheme.js';
import type { LinearFits } from './linear-fits.js';
import type { ProgramContext } from './program-context.js';

/** What the builders of nodes share. */
export interface BuildContext extends ProgramContext {
  readonly fits: LinearFits;
  readonly layers: LayerReport[];
  readonly attentions: AttentionReport[];
  readonly functions: FunctionOp[];
}

/** What a node may see when its form is chosen. */
export interface FormContext {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly consumers: ReadonlyMap<string, readonly GraphNode[]>;
  readonly inputs: Pick<InputScheme, 'survivesGather'>;
}

/** How the quantizer handles one kind of node. */
export interface NodeBuilder<N extends GraphNode> {
  /** The form in which it reads an operand. `forms`: those of the nodes behind it. */
  demand(node: N, operand: GraphNode, forms: ReadonlyMap<string, Demand>): Demand;
  /** The form in which it writes, where all its readers want this one. */
  form(node: N, wanted: Exclude<Demand, 'wide'>, context: FormContext): Demand;
  /** Appends its ops. */
  build(node: N, form: Demand, context: BuildContext): void | Promise<void>;
}

/** Of nodes that read and write the residual stream's form. */
export const wideDemand = (): Demand => 'wide';
