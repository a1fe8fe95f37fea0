import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { importModel } from '../../src/importer/index.js';
import { temporaryFolder } from '../onnx/build.js';
import { zooModel } from '../zoo.js';

/** Where the exporter wrote the nodes, before the weights. */
const NODES_END = 20_000;

const importBytes = async (bytes: Uint8Array): Promise<unknown> => {
  const file = path.join(temporaryFolder({}), 'model.onnx');
  writeFileSync(file, bytes);
  return importModel(file).then(
    () => null,
    (error: unknown) => error,
  );
};

test.each(['timm_ts_opset17_nofold', 'timm_swinv2_ts_opset17', 'ort_extended_opset17'])(
  'changed bytes in the graph of %s give a graph or an InputError',
  async (name) => {
    const original = readFileSync(zooModel(name).path);
    const change = fc.tuple(fc.nat(NODES_END), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = new Uint8Array(original);
        for (const [at, value] of changes) bytes[at] = value;
        const error = await importBytes(bytes);
        if (error !== null) expect(error).toBeInstanceOf(InputError);
      }),
      { numRuns: 60 },
    );
  },
);

test.each(['timm_ts_opset17', 'weights_typed_fields', 'timm_dynamo_opset23'])(
  '%s cut short anywhere gives an InputError, or a graph where only the end is missing',
  async (name) => {
    const original = readFileSync(zooModel(name).path);
    await fc.assert(
      fc.asyncProperty(fc.nat(original.length - 1), async (length) => {
        const error = await importBytes(original.subarray(0, length));
        if (error !== null) expect(error).toBeInstanceOf(InputError);
        // The weights are in the file: half of it can never do.
        if (length < original.length / 2) expect(error).not.toBeNull();
      }),
      { numRuns: 100 },
    );
  },
);

test('any bytes at all give an InputError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      expect(await importBytes(bytes)).toBeInstanceOf(InputError);
    }),
  );
});

test.each(['timm_map_ts_opset17', 'timm_dynamo_fp16'])(
  'flipped bits anywhere in %s give a graph or an InputError',
  async (name) => {
    const original = readFileSync(zooModel(name).path);
    const flip = fc.tuple(fc.nat(original.length - 1), fc.nat(7));
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 8 }), async (flips) => {
        const bytes = new Uint8Array(original);
        for (const [at, bit] of flips) bytes[at] ^= 1 << bit;
        const error = await importBytes(bytes);
        if (error !== null) expect(error).toBeInstanceOf(InputError);
      }),
      { numRuns: 60 },
    );
  },
);
