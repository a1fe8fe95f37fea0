import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { decodeModel } from '../../src/onnx/decode.js';
import { inlineFunctions } from '../../src/onnx/functions.js';
import { zooModel } from '../zoo.js';
import { encodeModel, floats, type ModelSpec } from './build.js';

const decode = (spec: ModelSpec) => decodeModel(encodeModel(spec), 'model.onnx');

describe('decoding', () => {
  test('nodes, attributes, inputs and initializers', () => {
    const model = decode({
      opset: 13,
      inputs: { image: ['batch', 3, 8, 8] },
      nodes: [
        {
          op: 'Op',
          name: 'node',
          domain: 'com.example',
          in: ['image', '', 'w'],
          out: ['y'],
          attributes: {
            axis: -1,
            mode: 'linear',
            perm: [0, 2, 1],
            epsilon: { float: 0.5 },
            value: floats([1], [7]),
            body: { nodes: [], outputs: ['z'] },
          },
        },
      ],
      outputs: ['y'],
      initializers: { w: floats([2, 2], [1, 2, 3, 4]) },
    });
    expect(model.opsets.get('')).toBe(13);
    expect(model.graph.inputs).toEqual([{ name: 'image', elementType: 1, shape: ['batch', 3, 8, 8] }]);
    expect(model.graph.outputs[0].name).toBe('y');
    expect(model.graph.initializers.get('w')!.dims).toEqual([2, 2]);
    const [node] = model.graph.nodes;
    expect(node).toMatchObject({
      name: 'node',
      opType: 'Op',
      domain: 'com.example',
      inputs: ['image', '', 'w'],
      outputs: ['y'],
    });
    const value = (name: string) => node.attributes.get(name)!.value;
    expect(value('axis')).toEqual({ type: 'int', number: -1 });
    expect(value('mode')).toEqual({ type: 'string', text: 'linear' });
    expect(value('perm')).toEqual({ type: 'ints', numbers: [0, 2, 1] });
    expect(value('epsilon')).toEqual({ type: 'float', number: 0.5 });
    expect(value('value')).toMatchObject({ type: 'tensor', tensor: { dims: [1] } });
    expect(value('body')).toMatchObject({ type: 'graph', graph: { outputs: [{ name: 'z' }] } });
  });

  test.each([
    ['nothing', new Uint8Array(0), /empty/],
    ['a JPEG', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0), /JPEG/],
    ['text', Buffer.from('hello, this is no model'), /not a complete ONNX file/],
    ['zeros', new Uint8Array(64), /not a complete ONNX file/],
    ['a message without a graph', Uint8Array.of(0x08, 0x08), /no ONNX graph/],
  ])('%s is refused', (_, bytes, cause) => {
    expect(() => decodeModel(bytes, 'x.onnx')).toThrow(InputError);
    expect(() => decodeModel(bytes, 'x.onnx')).toThrow(cause);
  });

  test('any damage gives either a model or an InputError', () => {
    const original = readFileSync(zooModel('timm_dynamo_opset20').path).subarray(0, 20_000);
    fc.assert(
      fc.property(
        fc.nat(original.length),
        fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { maxLength: 8 }),
        (length, changes) => {
          const bytes = new Uint8Array(original.subarray(0, length));
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          try {
            decodeModel(bytes, 'x.onnx');
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('model-local functions', () => {
  const half: NonNullable<ModelSpec['functions']>[number] = {
    name: 'Half',
    domain: 'local',
    in: ['x'],
    out: ['y'],
    nodes: [
      { op: 'Constant', in: [], out: ['c'], attributes: { value: floats([], [0.5]) } },
      { op: 'Mul', in: ['x', 'c'], out: ['y'] },
    ],
  };

  test('are replaced by their nodes, names kept apart', () => {
    const model = decode({
      functions: [
        half,
        {
          name: 'Quarter',
          domain: 'local',
          in: ['a'],
          out: ['b'],
          nodes: [
            { op: 'Half', domain: 'local', in: ['a'], out: ['h'] },
            { op: 'Half', domain: 'local', in: ['h'], out: ['b'] },
          ],
        },
      ],
      nodes: [
        { op: 'Quarter', domain: 'local', name: 'first', in: ['image'], out: ['m'] },
        { op: 'Quarter', domain: 'local', name: 'second', in: ['m'], out: ['out'] },
      ],
      outputs: ['out'],
    });
    const { nodes } = inlineFunctions(model).graph;
    expect(nodes.map((node) => node.opType)).toEqual(new Array(4).fill(['Constant', 'Mul']).flat());
    const written = nodes.flatMap((node) => node.outputs);
    expect(new Set(written).size).toBe(written.length);
    expect(nodes[1].inputs[0]).toBe('image');
    expect(nodes[7].outputs).toEqual(['out']);
    // Every Mul reads what a node before it wrote.
    nodes.forEach((node, i) => {
      for (const name of node.inputs)
        expect(name === 'image' || nodes.slice(0, i).some((n) => n.outputs.includes(name))).toBe(true);
    });
  });

  test('that call themselves are refused', () => {
    const model = decode({
      functions: [{ ...half, nodes: [{ op: 'Half', domain: 'local', in: ['x'], out: ['y'] }] }],
      nodes: [{ op: 'Half', domain: 'local', in: ['image'], out: ['y'] }],
      outputs: ['y'],
    });
    expect(() => inlineFunctions(model)).toThrow(/calls itself/);
  });
});
