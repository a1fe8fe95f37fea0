import { InputError } from '../errors.js';
import type { OnnxAttribute, OnnxFunction, OnnxModel, OnnxNode } from './types.js';

const MAX_DEPTH = 32;

/** Functions that call functions several times each could grow without bound; no exporter comes near this. */
const MAX_CALLS = 100_000;
/** Nodes of a model, its functions' nodes wherever they are called. */
const MAX_NODES = 100_000;

/**
 * Replaces every node that calls a model-local function by the function's own nodes, so that what follows knows only
 * operators. Names inside become `caller/inner`, results that the caller names keep the caller's names.
 * @throws {InputError} where functions call each other in a circle.
 */
export function inlineFunctions(model: OnnxModel): OnnxModel {
  let count = countNodes(model.graph.nodes, 0);
  if (model.functions.length === 0) return model;
  const functions = new Map(model.functions.map((f) => [`${f.domain}::${f.name}`, f]));
  let calls = 0;

  const expand = (node: OnnxNode, depth: number): OnnxNode[] => {
    const callee = functions.get(`${node.domain}::${node.opType}`);
    if (!callee) return [node];
    if (depth > MAX_DEPTH) throw new InputError(`the model's function ${callee.name} calls itself`);
    if (calls >= MAX_CALLS)
      throw new InputError(`the model's functions are called more than ${MAX_CALLS} times: the file is damaged`);
    count = countNodes(callee.nodes, count);
    return instantiate(callee, node, calls++).flatMap((inner) => expand(inner, depth + 1));
  };

  const nodes = model.graph.nodes.flatMap((node) => expand(node, 0));
  return { ...model, graph: { ...model.graph, nodes }, functions: [] };
}

/** @returns `before` and the nodes, those of their subgraphs included */
function countNodes(nodes: readonly OnnxNode[], before: number): number {
  let count = before + nodes.length;
  for (const { attributes } of nodes)
    for (const { value } of attributes.values())
      if (value?.type === 'graph') count = countNodes(value.graph.nodes, count);
  if (count <= MAX_NODES) return count;
  throw new InputError(`the model has more than ${MAX_NODES} nodes: no Vision Transformer does, the file is damaged`);
}

function instantiate(callee: OnnxFunction, caller: OnnxNode, call: number): OnnxNode[] {
  const names = new Map<string, string>([['', '']]);
  callee.inputs.forEach((name, i) => names.set(name, caller.inputs[i] ?? ''));
  callee.outputs.forEach((name, i) => {
    if (caller.outputs[i]) names.set(name, caller.outputs[i]);
  });
  const prefix = caller.name || `${caller.opType}_${call}`;
  const rename = (name: string): string => {
    let renamed = names.get(name);
    if (renamed === undefined) {
      renamed = `${prefix}/${name}#${call}`;
      names.set(name, renamed);
    }
    return renamed;
  };
  const given = new Map<string, OnnxAttribute>(callee.defaults.map((attribute) => [attribute.name, attribute]));
  for (const [name, attribute] of caller.attributes) given.set(name, attribute);

  const body = callee.nodes.map((node) => ({
    ...node,
    name: node.name ? `${prefix}/${node.name}` : prefix,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: bindAttributes(node.attributes, given),
  }));
  // A function may hand an input straight out as its output: then no inner node writes the caller's name.
  const passed = callee.outputs.flatMap((name, i) =>
    callee.inputs.includes(name) && caller.outputs[i]
      ? [identity(caller.inputs[callee.inputs.indexOf(name)] ?? '', caller.outputs[i])]
      : [],
  );
  return [...body, ...passed];
}

const identity = (input: string, output: string): OnnxNode => ({
  name: output,
  opType: 'Identity',
  domain: '',
  inputs: [input],
  outputs: [output],
  attributes: new Map(),
  metadata: new Map(),
});

/** An attribute that refers to the caller's takes its value, and is left out where the caller gives none. */
function bindAttributes(
  attributes: ReadonlyMap<string, OnnxAttribute>,
  given: ReadonlyMap<string, OnnxAttribute>,
): ReadonlyMap<string, OnnxAttribute> {
  const bound = new Map<string, OnnxAttribute>();
  for (const [name, attribute] of attributes) {
    const value = attribute.reference ? given.get(attribute.reference)?.value : attribute.value;
    if (value) bound.set(name, { name, value, reference: '' });
  }
  return bound;
}
