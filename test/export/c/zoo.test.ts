import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/metrics/output-digest.js';
import { createEngine } from '../../../src/engine/engine.js';
import { C_OP_KINDS } from '../../../src/export/c/ops/index.js';
import { PLATFORMS } from '../../../tools/measure/deploy/platforms.js';
import { zooSubject, zooSubjects } from '../../../tools/measure/deploy/subjects.js';

/** They have every kind of op but those of the published kernels; `npm run deploy -- --zoo` takes all families. */
const FEW = ['dinov3_ts17', 'efficientvit_mit_ts17', 'poolformer_ts17', 'gcvit_ts17', 'cait_ts17'];

const sanitizers = PLATFORMS.find(({ id }) => id === 'sanitizers')!;

describe.skipIf(sanitizers.missing() !== null)('exported C gives the digests of models of other families', () => {
  const kinds = new Set<string>();

  test.each(FEW)('%s', async (name) => {
    const subject = await zooSubject(name);
    for (const { op } of subject.model.program.ops) kinds.add(op);
    const engine = await createEngine(subject.model.program);
    const expected: string[] = [];
    for (const image of subject.images) expected.push(digestOf(await engine.run(image)));
    await engine.close();
    expect(expected.length).toBeGreaterThan(0);
    expect(await sanitizers.digests(subject)).toEqual(expected);
  });

  test('they have all ops of the default kernels', () => {
    const published = ['paperNorm', 'paperGelu', 'ibertGelu'];
    expect([...kinds].sort()).toEqual(C_OP_KINDS.filter((kind) => !published.includes(kind)).sort());
  });

  test('a model of each family is among those that the command compares', () => {
    const [some, all] = [zooSubjects('families'), zooSubjects('all')];
    expect(all).toEqual(expect.arrayContaining([...some, ...FEW]));
    expect(some.length).toBeLessThan(all.length);
  });
});
