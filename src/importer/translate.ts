import { InputError } from '../errors.js';
import {
  dataTypeKind,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
  type TensorReader,
} from '../onnx/index.js';
import { Constant, sizeOf } from './constant.js';
import { ExprBuilder } from './expr-builder.js';
import { type Expr } from './expr.js';
import { absentValue, imageInput, imageValue, type ImageInput } from './inputs.js';
import { chooseOutputs, thresholdsOf, withoutProbabilities, type ChosenOutputs } from './output.js';
import { idiomOperators } from './idioms/index.js';
import { OperatorContext, type Operator, type OperatorServices } from './operator.js';
import { arithmeticOperators } from './operators/arithmetic.js';
import { choiceOperators } from './operators/choices.js';
import { constantOperators } from './operators/constants.js';
import { convolutionOperators } from './operators/convolution.js';
import { fusedOperators } from './operators/fused.js';
import { layoutOperators } from './operators/layout.js';
import { normalizationOperators } from './operators/normalization.js';
import { loopOperators } from './operators/loops.js';
import { mixtureOperators } from './operators/mixture.js';
import { poolingOperators } from './operators/pooling.js';
import { reductionOperators } from './operators/reduction.js';
import { resizeOperators } from './operators/resize.js';
import { samplingOperators } from './operators/sampling.js';
import { scatterOperators } from './operators/scatter.js';
import { sequenceOperators } from './operators/sequence.js';
import { nodeName, operatorName, problemAt, Unsupported, UnsupportedModelError } from './problems.js';

const operators: Readonly<Record<string, Operator>> = {
  ...layoutOperators,
  ...constantOperators,
  ...choiceOperators,
  ...arithmeticOperators,
  ...convolutionOperators,
  ...normalizationOperators,
  ...mixtureOperators,
  ...loopOperators,
  ...poolingOperators,
  ...resizeOperators,
  ...reductionOperators,
  ...samplingOperators,
  ...scatterOperators,
  ...sequenceOperators,
  ...fusedOperators,
  ...idiomOperators,
};

/** What of a model is needed for its outputs, in the order of computation. */
export interface LiveGraph {
  readonly nodes: readonly OnnxNode[];
  readonly input: ImageInput;
  /** Inputs that only some exports have, and that are left out: the value they stand for is all zeros. */
  readonly optional: readonly OnnxValueInfo[];
  readonly output: ChosenOutputs;
}

/**
 * The nodes that the outputs depend on, sorted topologically.
 * @param names The outputs that are asked for; default: all.
 * @throws {InputError} where the graph has no such output, a cycle, or reads what nothing writes.
 */
export function liveGraph(model: OnnxModel, names?: readonly string[]): LiveGraph {
  const { graph } = model;
  const chosen = chooseOutputs(graph, names);
  const writers = new Map<string, OnnxNode>();
  for (const node of graph.nodes) for (const name of node.outputs) if (name) writers.set(name, node);
  const inputs = new Map(graph.inputs.map((info) => [info.name, info]));
  const state = new Map<OnnxNode, 'open' | 'done'>();
  const nodes: OnnxNode[] = [];
  const read = new Set<OnnxValueInfo>();

  // Depth first without recursion: graphs are thousands of nodes deep.
  const stack: { node: OnnxNode; names: string[] }[] = [];
  const visit = (name: string, reader: OnnxNode | null): void => {
    const writer = writers.get(name);
    if (writer) {
      if (state.get(writer) === 'open')
        throw new InputError(
          `the graph has a cycle through node ${JSON.stringify(nodeName(writer))} (${operatorName(writer)})`,
        );
      if (state.has(writer)) return;
      state.set(writer, 'open');
      stack.push({ node: writer, names: namesRead(writer) });
    } else if (!graph.initializers.has(name)) {
      const input = inputs.get(name);
      if (input) read.add(input);
      else
        throw new InputError(
          `${reader ? `node ${JSON.stringify(nodeName(reader))} (${operatorName(reader)}) reads` : 'the output is'} ` +
            `${JSON.stringify(name)}, which is nowhere in the file: the file is incomplete, export the model again`,
        );
    }
  };
  for (const name of chosen.taken.flatMap((output) => [output.tensor, ...thresholdsOf(output)])) {
    visit(name, null);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const next = top.names.pop();
      if (next !== undefined) visit(next, top.node);
      else {
        state.set(top.node, 'done');
        nodes.push(top.node);
        stack.pop();
      }
    }
  }
  return { ...imageInput([...read], nodes), ...withoutProbabilities(chosen, nodes) };
}

/** The tensors a node reads, those that its subgraphs take from outside included. */
function namesRead(node: OnnxNode): string[] {
  const names = node.inputs.filter((name) => name !== '');
  for (const { value } of node.attributes.values())
    if (value.type === 'graph') names.push(...namesFromOutside(value.graph));
  return names;
}

function namesFromOutside(graph: OnnxGraph): string[] {
  const inside = new Set([...graph.initializers.keys(), ...graph.inputs.map((input) => input.name)]);
  for (const node of graph.nodes) for (const name of node.outputs) inside.add(name);
  const read = [...graph.nodes.flatMap(namesRead), ...graph.outputs.map((output) => output.name)];
  return read.filter((name) => !inside.has(name));
}

/** A model as expressions. */
export interface Translated {
  readonly builder: ExprBuilder;
  /** The value of an output's tensor, or of one on the way to it that was taken off. */
  readonly value: (tensor: string) => Expr;
}

/**
 * Rewrites the live nodes as expressions with the input pinned to a shape.
 * @throws {UnsupportedModelError} listing what cannot be expressed.
 * @throws {InputError} where shapes do not fit each other.
 */
export function translate(
  model: OnnxModel,
  live: LiveGraph,
  tensors: TensorReader,
  imageShape: readonly number[],
): Translated {
  const unknown = live.nodes.filter((node) => !Object.hasOwn(operators, operatorName(node)));
  if (unknown.length > 0) throw new UnsupportedModelError(unknown.map((node) => unknownOperator(node, model.producer)));

  const translation = new Translation(model, tensors);
  translation.builder.batch = imageShape[0];
  const values = new Map<string, Expr>([[live.input.name, imageValue(translation.builder, live.input, imageShape)]]);
  for (const info of live.optional) values.set(info.name, absentValue(translation.builder, info));
  const scope = new Scope(model.graph, (name) => values.get(name) ?? null);
  const names = live.output.taken.flatMap((output) => [
    output.tensor,
    ...thresholdsOf(output),
    ...output.tail.flatMap(({ path }) => path.map((moved) => moved.tensor)),
  ]);
  const found = translation.run(live.nodes, scope, names);
  const byName = new Map(names.map((name, i) => [name, found[i]]));
  return { builder: translation.builder, value: (tensor) => byName.get(tensor)! };
}

/** The values of one graph by name; a subgraph's names are looked up outside of it too. */
class Scope {
  readonly #values = new Map<string, Expr>();

  constructor(
    readonly graph: OnnxGraph,
    readonly outer: (name: string) => Expr | null,
  ) {}

  get(name: string): Expr | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: Expr): void {
    this.#values.set(name, value);
  }
}

/** Rewrites nodes as expressions. */
class Translation {
  readonly builder = new ExprBuilder();

  constructor(
    readonly model: OnnxModel,
    readonly tensors: TensorReader,
  ) {}

  /** The values of `outputs`, after all of `nodes` have been rewritten. */
  run(nodes: readonly OnnxNode[], scope: Scope, outputs: readonly string[]): Expr[] {
    const services: OperatorServices = {
      builder: this.builder,
      constant: (tensor) => this.#constant(tensor),
      subgraph: (graph, inputs = []) => {
        const inner = new Scope(graph, (name) => this.#find(name, scope));
        graph.inputs.forEach(({ name }, i) => {
          if (i < inputs.length) inner.set(name, inputs[i]);
        });
        return this.run(
          graph.nodes,
          inner,
          graph.outputs.map(({ name }) => name),
        );
      },
    };
    for (const node of nodes) {
      const results = atNode(node, () => this.#apply(node, scope, services));
      results.forEach((result, i) => {
        if (!node.outputs[i]) return;
        if (result.tensor === '' && result.origin === node) result.tensor = node.outputs[i];
        scope.set(node.outputs[i], result);
      });
    }
    return outputs.map((name) => this.#lookUp(name, scope));
  }

  /** The results of one node. */
  #apply(node: OnnxNode, scope: Scope, services: OperatorServices): readonly Expr[] {
    const { opsets } = this.model;
    const inputs = node.inputs.map((name) => (name === '' ? null : this.#lookUp(name, scope)));
    this.builder.origin = node;
    const opset = opsets.get(node.domain) ?? opsets.get('') ?? 17;
    const out = operators[operatorName(node)](new OperatorContext(node, opset, inputs, services));
    return Array.isArray(out) ? (out as readonly Expr[]) : [out as Expr];
  }

  #lookUp(name: string, scope: Scope): Expr {
    const expr = this.#find(name, scope);
    if (!expr) throw new InputError(`${JSON.stringify(name)} is read but nowhere in the file`);
    return expr;
  }

  #find(name: string, scope: Scope): Expr | null {
    const known = scope.get(name);
    if (known) return known;
    const tensor = scope.graph.initializers.get(name);
    if (!tensor) return scope.outer(name);
    const expr = { ...this.builder.constant(this.#constant(tensor)), origin: null };
    scope.set(name, expr);
    return expr;
  }

  #constant(tensor: OnnxTensor): Constant {
    this.tensors.check(tensor);
    this.builder.budget.allow(sizeOf(tensor.dims));
    const read = (): ReturnType<TensorReader['read']> => this.tensors.read(tensor);
    return new Constant(tensor.dims, dataTypeKind(tensor.dataType)!, read, tensor.name);
  }
}

/** Runs one node's translation; what goes wrong inside is reported with the node's name. */
function atNode<T>(node: OnnxNode, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Unsupported) throw new UnsupportedModelError([problemAt(node, error.message, error.remedy)]);
    if (error instanceof UnsupportedModelError) throw error;
    // What is no InputError comes of inputs and attributes that the operator's definition does not allow.
    throw new InputError(`node ${JSON.stringify(nodeName(node))} (${operatorName(node)}): ${(error as Error).message}`);
  }
}

function unknownOperator(node: OnnxNode, producer: string): ReturnType<typeof problemAt> {
  if (/^com\.microsoft\.nchwc$|^com\.ms\.internal/.test(node.domain))
    return problemAt(
      node,
      'ONNX Runtime rewrote the model for one machine’s memory layout',
      'export it again without layout optimisation (at most ORT_ENABLE_EXTENDED)',
    );
  if (/quantizelinear|integer$|^qlinear|nbits$|bnb4$|^qgemm|^qattention/i.test(node.opType)) {
    const bits = /nbits$|bnb4$/i.test(node.opType) ? ', to 4 bits or the like' : '';
    return problemAt(node, `the model is quantized already${bits}`, 'give the float model that it was made from');
  }
  if (/^(Random|Bernoulli|Multinomial)/.test(node.opType))
    return problemAt(
      node,
      'the model was exported in training mode: it draws random numbers',
      'call model.eval() and export it again; a masked autoencoder hides patches at random even so: export it ' +
        'without its masking',
    );
  if (node.domain !== '')
    return problemAt(
      node,
      `an operator of the domain ${node.domain} is not known`,
      'export the model with standard ONNX operators',
    );
  return problemAt(
    node,
    'this operator is no part of a Vision Transformer as known here',
    producer === 'pytorch'
      ? 'the architecture is not supported: see which are in the documentation'
      : 'export the model with torch.onnx (opset 7 to 26); other architectures are not supported',
  );
}
