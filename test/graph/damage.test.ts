import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { importModel } from '../../src/graph/index.js';
import { temporaryFolder } from '../onnx/build.js';
import { zooModel } from '../zoo.js';

/** Where the exporter wrote the nodes, before the weights. */
const NODES_END = 20_000;

test.each(['timm_ts_opset17_nofold', 'timm_swinv2_ts_opset17', 'ort_extended_opset17'])(
  'changed bytes in the graph of %s give a graph or an InputError',
  async (name) => {
    const original = readFileSync(zooModel(name).path);
    const file = path.join(temporaryFolder({}), 'model.onnx');
    const change = fc.tuple(fc.nat(NODES_END), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = new Uint8Array(original);
        for (const [at, value] of changes) bytes[at] = value;
        writeFileSync(file, bytes);
        await importModel(file).catch((error: unknown) => expect(error).toBeInstanceOf(InputError));
      }),
      { numRuns: 60 },
    );
  },
);
