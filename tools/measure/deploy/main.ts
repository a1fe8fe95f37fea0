/**
 * Whether a model gives the same integers wherever it runs: digests of images in the engines of this package, in the C
 * export on every machine that can be had or emulated, in the ONNX export, in browsers. A row is a model, a column what
 * runs it, a cell how many digests are those of `ivit infer --digest`. Rows go to standard output once they are done.
 * Ends with 1 where a digest differs or something fails.
 *
 *   npm run deploy                                             the fixture
 *   npm run deploy -- --model deit.ivit --images photos        a model of one's own; NAME=FILE names its row
 *   npm run deploy -- --zoo                                    a model of each family of fixtures/zoo and zoo2
 *   npm run deploy -- --zoo=all --only gcc,sanitizers          all of them; some of the columns
 *   npm run deploy -- --zoo=mixer_ts17,levit_ts17              those named
 *
 * --count N: images of each model, the first by name; of the zoos' models their own. --slow N: on machines that are
 * emulated, and on the reference. --into FILE.md: puts each row into the table there that has these columns.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { digestOf } from '../../../src/metrics/output-digest.js';
import { createEngine } from '../../../src/engine/engine.js';
import { PLATFORMS, type Platform } from './platforms.js';
import { fixture, subjectOf, zooSubject, zooSubjects, type Subject } from './subjects.js';
import { putRow } from './table.js';

type Maker = () => Promise<Subject>;

const note = (text: string): unknown => process.stderr.write(`${text}\n`);

function usage(text: string): never {
  note(`error: ${text}`);
  process.exit(2);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', multiple: true },
      images: { type: 'string' },
      zoo: { type: 'string' },
      only: { type: 'string' },
      count: { type: 'string', default: '20' },
      slow: { type: 'string' },
      into: { type: 'string' },
    },
    args: process.argv.slice(2).map((one) => (one === '--zoo' ? '--zoo=families' : one)),
  });
  const { count, slow = count } = values;
  for (const [option, value] of Object.entries({ count, slow }))
    if (!/^[1-9][0-9]*$/.test(value)) usage(`--${option} is ${value}, not a number from 1`);
  return { ...values, count: Number(count), slow: Number(slow) };
}

/** What `--zoo` means. */
function named(zoo: string): string[] {
  if (zoo === 'families' || zoo === 'all') return zooSubjects(zoo);
  const all = zooSubjects('all');
  const names = zoo.split(',');
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) usage(`--zoo: there is no ${unknown.join(', no ')}; else it is families or all`);
  return names;
}

function makers(values: ReturnType<typeof readArguments>): [string, Maker][] {
  const { model = [], images, zoo, count } = values;
  if (model.length > 0 && images === undefined) usage('--model needs --images, a folder');
  const own = model.map((text): [string, Maker] => {
    const [, name = path.basename(text, '.ivit'), file] = /^(?:([^=]+)=)?(.*)$/.exec(text)!;
    return [name, () => subjectOf(name, file, images!, count)];
  });
  const ofZoo = zoo === undefined ? [] : named(zoo);
  if (own.length + ofZoo.length === 0) return [['scenes', () => fixture(count)]];
  return [...own, ...ofZoo.map((name): [string, Maker] => [name, () => zooSubject(name)])];
}

function chosen(only: string | undefined): readonly Platform[] {
  if (only === undefined) return PLATFORMS;
  const ids = only.split(',');
  const unknown = ids.filter((id) => !PLATFORMS.some((platform) => platform.id === id));
  if (unknown.length > 0)
    usage(`--only: there is no ${unknown.join(', no ')}; there are ${PLATFORMS.map(({ id }) => id).join(', ')}`);
  return PLATFORMS.filter(({ id }) => ids.includes(id));
}

/** What `ivit infer --digest` prints. */
async function expectedOf({ model, images }: Subject): Promise<string[]> {
  const engine = await createEngine(model.program);
  const digests: string[] = [];
  for (const image of images) digests.push(digestOf(await engine.run(image)));
  await engine.close();
  return digests;
}

/** @returns how many digests are as expected, in words; whether all are */
async function cellOf(platform: Platform, subject: Subject, expected: readonly string[]): Promise<[string, boolean]> {
  try {
    const found = await platform.digests(subject);
    const same = expected.filter((digest, i) => digest === found[i]).length;
    const isSame = same === expected.length && found.length === same;
    return [isSame ? String(same) : `**${same} of ${expected.length}**`, isSame];
  } catch (error) {
    note(`${subject.name}, ${platform.id}: ${(error as Error).message}`);
    return ['**failed**', false];
  }
}

async function rowOf(subject: Subject, platforms: readonly Platform[]): Promise<[string[], boolean]> {
  const expected = await expectedOf(subject);
  const cells: string[] = [];
  let isFine = true;
  for (const platform of platforms) {
    const start = performance.now();
    const images = subject.images.slice(0, platform.isSlow ? values.slow : undefined);
    const [cell, isSame] = await cellOf(platform, { ...subject, images }, expected.slice(0, images.length));
    note(`${subject.name}: ${platform.id} ${cell}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
    cells.push(cell);
    isFine &&= isSame;
  }
  return [cells, isFine];
}

const print = (cells: readonly string[]): unknown => process.stdout.write(`| ${cells.join(' | ')} |\n`);

const wrong: string[] = [];

function summary(models: number): string {
  if (wrong.length > 0) return `${models} models, of which ${wrong.length} are not right: ${wrong.join(', ')}`;
  return `${models === 1 ? '1 model' : `${models} models`}: all digests agree`;
}

const values = readArguments();
const subjects = makers(values);
const skipped: string[] = [];
const platforms = chosen(values.only).filter((platform) => {
  const missing = platform.missing();
  if (missing !== null) skipped.push(`${platform.title} (${missing})`);
  return missing === null;
});
if (platforms.length === 0) usage('nothing is left to run');

const titles = ['model', ...platforms.map(({ title }) => title)];

const withRow = (file: string, cells: readonly string[]): string => putRow(readFileSync(file, 'utf8'), titles, cells);

function report(cells: readonly string[]): void {
  print(cells);
  const { into } = values;
  if (into !== undefined) writeFileSync(into, withRow(into, cells));
}

if (values.into !== undefined) {
  try {
    withRow(values.into, titles);
  } catch (error) {
    usage(`--into ${values.into}: ${(error as Error).message}`);
  }
}
print(titles);
print(['---', ...platforms.map(() => '--:')]);
for (const [name, make] of subjects) {
  try {
    const [cells, isFine] = await rowOf(await make(), platforms);
    report([name, ...cells]);
    if (!isFine) wrong.push(name);
  } catch (error) {
    note(`${name}: ${(error as Error).message}`);
    report([name, ...platforms.map(() => '**failed**')]);
    wrong.push(name);
  }
}
for (const { close } of platforms) await close?.();
if (wrong.length > 0) process.exitCode = 1;
process.stdout.write(`\n${summary(subjects.length)}\n`);
if (skipped.length > 0) process.stdout.write(`\nNot run: ${skipped.join('; ')}\n`);
