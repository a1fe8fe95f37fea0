import { describe, expect, test } from 'vitest';
import { importModel, type ImportedModel } from '../../src/importer/index.js';
import { floats, ints, writeModel, type ModelSpec, type NodeSpec } from '../onnx/build.js';
import { CHANNELS, withStem } from './idioms/stem.js';

type Step = readonly [op: string, inputs: readonly string[], output: string, attributes?: NodeSpec['attributes']];

const chain = (...steps: readonly Step[]): NodeSpec[] =>
  steps.map(([op, inputs, output, attributes]) => ({ op, in: inputs, out: [output], attributes }));

/** A classifier of CHANNELS classes that writes `logits`, [1, CHANNELS], and what follows it. */
function classifier(steps: readonly Step[], outputs: readonly string[], extra: readonly NodeSpec[] = []): ModelSpec {
  const spec = withStem({
    nodes: [...chain(['ReduceMean', ['x'], 'logits', { axes: [1], keepdims: 0 }], ...steps), ...extra],
    initializers: { k: ints([3]), half: floats([], [0.5]) },
  });
  return { ...spec, outputs };
}

describe('what ends a classifier is taken off, with a notice', () => {
  test.each<[string, readonly Step[], readonly string[]]>([
    ['Softmax', [['Softmax', ['logits'], 'y']], ['Softmax']],
    ['LogSoftmax', [['LogSoftmax', ['logits'], 'y']], ['LogSoftmax']],
    ['Sigmoid', [['Sigmoid', ['logits'], 'y']], ['Sigmoid']],
    ['ArgMax', [['ArgMax', ['logits'], 'y', { axis: 1 }]], ['ArgMax']],
    [
      'ArgMax of a softmax, cast',
      [
        ['Softmax', ['logits'], 'p'],
        ['ArgMax', ['p'], 'i', { axis: 1, keepdims: 0 }],
        ['Cast', ['i'], 'y', { to: 6 }],
      ],
      ['ArgMax', 'Softmax'],
    ],
    ['a threshold', [['Greater', ['logits', 'half'], 'y']], ['Greater']],
    [
      'a threshold of a sigmoid, cast',
      [
        ['Sigmoid', ['logits'], 'p'],
        ['Less', ['half', 'p'], 'i'],
        ['Cast', ['i'], 'y', { to: 1 }],
      ],
      ['Less', 'Sigmoid'],
    ],
  ])('%s', async (_, steps, taken) => {
    const plain = await importModel(writeModel(classifier([['Identity', ['logits'], 'y']], ['y'])));
    const { graph, notices, isPlain } = await importModel(writeModel(classifier(steps, ['y'])));
    expect(graph.nodes.map(({ op, rows, cols }) => [op, rows, cols])).toEqual(
      plain.graph.nodes.map(({ op, rows, cols }) => [op, rows, cols]),
    );
    expect(graph.nodes.at(-1)).toMatchObject({ rows: 1, cols: CHANNELS });
    expect(notices.map((line) => line.split(' ')[1])).toEqual(taken);
    expect([plain.isPlain, isPlain]).toEqual([true, false]);
  });

  test('TopK: both of its results are read from the same scores', async () => {
    const topK: NodeSpec = { op: 'TopK', in: ['logits', 'k'], out: ['values', 'indices'] };
    const { graph } = await importModel(writeModel(classifier([], ['values', 'indices'], [topK])));
    expect(graph.nodes.at(-1)).toMatchObject({ rows: 1, cols: CHANNELS });
    expect(graph.outputs.map(({ start, tail: [{ op }] }) => [start, op])).toEqual([
      [0, 'topValues'],
      [0, 'topIndices'],
    ]);
  });
});

test('a threshold is kept for display, its constant on either side', async () => {
  const steps: Step[] = [
    ['Sigmoid', ['logits'], 'p'],
    ['Less', ['half', 'p'], 'y'],
    ['LessOrEqual', ['logits', 'half'], 'z'],
  ];
  const { graph } = await importModel(writeModel(classifier(steps, ['y', 'z'])));
  expect(graph.outputs.map(({ tail }) => tail)).toEqual([
    [{ op: 'sigmoid' }, { op: 'greater', than: '0.5' }],
    [{ op: 'lessOrEqual', than: '0.5' }],
  ]);
});

test('several thresholds at once are refused', async () => {
  const spec = classifier([['Greater', ['logits', 'levels'], 'y']], ['y']);
  const levels = floats([CHANNELS], [1, 2, 3, 4, 5, 6, 7, 8]);
  const model = { ...spec, initializers: { ...spec.initializers, levels } };
  await expect(importModel(writeModel(model))).rejects.toThrow(/has no single threshold/);
});

describe('which outputs are taken', () => {
  const model = (outputs: readonly string[]) =>
    writeModel(
      classifier(
        outputs.filter((name) => name !== 'logits').map((name): Step => ['Mul', ['logits', 'half'], name]),
        outputs,
      ),
    );
  const layoutOf = ({ graph: { outputs } }: ImportedModel) =>
    outputs.map(({ name, shape, start, isClasses }) => [name, shape, start, isClasses]);

  test('all of them, end to end in one value, each named', async () => {
    const imported = await importModel(model(['features', 'logits']));
    expect(layoutOf(imported)).toEqual([
      ['features', [CHANNELS], 0, false],
      ['logits', [CHANNELS], CHANNELS, true],
    ]);
    expect(imported.graph.nodes.at(-1)).toMatchObject({
      op: 'gather',
      sources: [expect.any(String), expect.any(String)],
    });
    expect(imported.otherOutputs).toEqual([]);
    expect(imported.notices).toEqual([expect.stringMatching(/outputs .*"features" \[8\], "logits" \[8\]/)]);
  });

  test('a vector that ends in tanh is pooled features, no classes', async () => {
    const file = writeModel(classifier([['Tanh', ['logits'], 'y']], ['y', 'logits']));
    expect(layoutOf(await importModel(file)).map(([name, , , isClasses]) => [name, isClasses])).toEqual([
      ['y', false],
      ['logits', true],
    ]);
  });

  test('those asked for, with a notice of the others', async () => {
    const imported = await importModel(model(['features', 'logits']), { outputs: ['logits'] });
    expect(layoutOf(imported)).toEqual([['logits', [CHANNELS], 0, true]]);
    expect(imported.otherOutputs).toEqual(['features']);
    expect(imported.notices).toEqual([expect.stringMatching('Taken: "logits"; not taken: "features"')]);
  });

  test('a name that the model does not have is refused, naming those it has', async () => {
    await expect(importModel(model(['features', 'logits']), { outputs: ['boxes'] })).rejects.toThrow(
      /no output "boxes"; it has "features".*"logits"/,
    );
  });

  test('outputs that are the same numbers lie there once', async () => {
    const { graph } = await importModel(
      writeModel(classifier([['Softmax', ['logits'], 'probabilities']], ['logits', 'probabilities'])),
    );
    expect(graph.outputs).toMatchObject([
      { name: 'logits', start: 0, tail: [] },
      { name: 'probabilities', start: 0, tail: [{ op: 'softmax', axis: 0 }] },
    ]);
    expect(graph.nodes.at(-1)).toMatchObject({ rows: 1, cols: CHANNELS });
  });

  test('the axis of a softmax is carried through what moves axes behind it', async () => {
    const steps: Step[] = [
      ['Softmax', ['x'], 'p', { axis: 2 }],
      ['Transpose', ['p'], 'y', { perm: [0, 2, 1] }],
    ];
    const { graph } = await importModel(writeModel(classifier(steps, ['y'])));
    expect(graph.outputs).toEqual([
      { name: 'y', shape: [CHANNELS, 4], start: 0, tail: [{ op: 'softmax', axis: 0 }], isClasses: false },
    ]);
  });
});

describe('a model exported in training mode', () => {
  const share = (ratio: number) => ({
    ratio: floats([], [ratio]),
    on: { ...ints([1], []), dataType: 9, rawData: Uint8Array.of(1) },
  });
  const dropout: NodeSpec = { op: 'Dropout', in: ['x', 'ratio', 'on'], out: ['d'] };
  const mean: NodeSpec = { op: 'ReduceMean', in: ['d'], out: ['y'], attributes: { axes: [1], keepdims: 0 } };

  test('is named as such where Dropout alone tells', async () => {
    const spec = withStem({ nodes: [dropout, mean], initializers: share(0.1) });
    await expect(importModel(writeModel(spec))).rejects.toMatchObject({
      problems: [
        { op: 'Dropout', reason: expect.stringMatching(/training mode/), remedy: expect.stringMatching(/eval/) },
      ],
    });
  });

  test('drops nothing where the share is 0', async () => {
    const spec = withStem({ nodes: [dropout, mean], initializers: share(0) });
    expect((await importModel(writeModel(spec))).graph.nodes.at(-1)).toMatchObject({ rows: 1, cols: CHANNELS });
  });

  test('is named as such where BatchNormalization alone tells', async () => {
    const ones = Object.fromEntries(['g', 'b', 'm', 'v'].map((name) => [name, floats([4], [1, 1, 1, 1])]));
    const norm: NodeSpec = {
      op: 'BatchNormalization',
      in: ['x', 'g', 'b', 'm', 'v'],
      out: ['d'],
      attributes: { training_mode: 1 },
    };
    const spec = withStem({ nodes: [norm, mean], initializers: ones });
    await expect(importModel(writeModel(spec))).rejects.toThrow(
      /training mode: it normalizes by the images of a batch/,
    );
  });
});

describe('operators that tell how a model was made', () => {
  test.each([
    ['MatMulNBits', 'com.microsoft', /quantized already/],
    ['MatMulBnb4', 'com.microsoft', /quantized already/],
    ['QGemm', 'com.microsoft', /quantized already/],
    ['RandomUniformLike', '', /training mode/],
    ['Bernoulli', '', /training mode/],
  ])('%s', async (op, domain, reason) => {
    const spec = withStem({ nodes: [{ op, domain, in: ['x'], out: ['y'] }] });
    await expect(importModel(writeModel(spec))).rejects.toMatchObject({
      problems: [{ reason: expect.stringMatching(reason) }],
    });
  });
});
