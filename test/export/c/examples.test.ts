import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createEngine } from '../../../src/engine/engine.js';
import { cTarget } from '../../../src/export/c/index.js';
import { loadModel } from '../../../src/program/file.js';
import { SCENES_MODEL } from '../../scenes.js';
import { HOST, has, run, unpack } from './compile.js';

const EXAMPLES = path.resolve(import.meta.dirname, '../../../examples');
const STUBS = path.join(import.meta.dirname, 'stubs');

const model = await loadModel(SCENES_MODEL);
const { height, width, channels } = model.program.input;
/** As the Arduino sketch makes them. */
const pixels = Uint8Array.from({ length: height * width * channels }, (_, i, length = height * width * channels) =>
  Math.floor((i * 256) / length),
);

async function expected(): Promise<number[]> {
  const engine = await createEngine(model.program);
  const values = await engine.run(pixels);
  await engine.close();
  return [...values];
}

/** An example with the fixture exported into one of its folders. */
async function exampleIn(name: string, at: string): Promise<string> {
  const folder = unpack({ files: new Map() });
  cpSync(path.join(EXAMPLES, name), folder, { recursive: true });
  const { files } = await cTarget.write({ model, name: 'model', options: {} });
  mkdirSync(path.join(folder, at));
  for (const [file, content] of files) writeFileSync(path.join(folder, at, file), content);
  return folder;
}

test.skipIf(HOST === null || !has('cmake') || process.platform !== 'linux')(
  'the project for ESP-IDF builds, against a stand-in for it, and gives the integers',
  async () => {
    const folder = await exampleIn('esp32', 'components/model/export');
    writeFileSync(path.join(folder, 'main', 'pixels.bin'), pixels);
    const tools = path.join(folder, 'idf', 'tools', 'cmake');
    mkdirSync(tools, { recursive: true });
    cpSync(path.join(STUBS, 'project.cmake'), path.join(tools, 'project.cmake'));
    const idf = `IDF_PATH=${path.join(folder, 'idf')}`;
    run(folder, 'env', [idf, 'cmake', `-DSTUBS=${STUBS}`, `-DCMAKE_C_COMPILER=${HOST}`, '-S', '.', '-B', 'build']);
    run(folder, 'cmake', ['--build', 'build']);
    const lines = run(folder, './build/app', []).trim().split('\n');
    expect(lines.shift()).toBe('I model: status 0, 0 ms');
    expect(lines).toEqual((await expected()).map((value, i) => `I model: ${i}: ${value}`));
  },
);

test.skipIf(!has('g++') || !has('gcc'))(
  'the Arduino sketch builds with all files of the export, against a stand-in, and gives the integers',
  async () => {
    const folder = await exampleIn('arduino/model', 'src');
    const sources = ['model', 'model_weights', 'model_memory', 'model_test'].map((name) => `src/${name}.c`);
    const flags = ['-DARDUINO=10819', '-O2', '-Wall', '-Wextra', '-Werror'];
    run(folder, 'gcc', [...flags, '-c', ...sources]);
    run(folder, 'g++', [...flags, '-I.', '-o', 'sketch', path.join(STUBS, 'arduino.cpp'), ...objects(sources)]);
    const [head, ...lines] = run(folder, './sketch', []).trim().split('\n');
    expect(head).toBe('status 0, ms 0');
    expect(lines).toEqual((await expected()).map(String));
  },
);

const objects = (sources: readonly string[]): string[] => sources.map((file) => path.basename(file, '.c') + '.o');
