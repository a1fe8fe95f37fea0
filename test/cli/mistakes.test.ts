/** What people type wrong: one message that says what to do, the exit code, no output, no file left. */
import { mkdir, writeFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
let before: string[];

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
  for (const name of ['cat/1.png', 'dog/2.png']) await savePhoto(folder.path('photos', name), 1, 12);
  await mkdir(folder.path('empty'));
  const files: Record<string, string> = {
    'notes.txt': 'not a model\n',
    'two.txt': 'one\ntwo\n',
    'broken.json': '{ "quantize": ',
    'array.json': '[]',
    'command.json': '{ "quantise": {} }',
    'option.json': '{ "quantize": { "efort": "fast" } }',
    'value.json': '{ "quantize": { "effort": "fats" } }',
    'kind.json': '{ "quantize": { "threads": true } }',
    'part.jsonl': '{"format":"something else"}\n',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(folder.path(name), text);
  before = await folder.files();
});

const QUANTIZE = ['quantize', 'float.onnx', '-o', 'out.ivit'];
const INFER = ['infer', 'photos/cat/1.png'];

const MISTAKES: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['a command with a typo', ['quantise', 'float.onnx'], 2, /did you mean quantize\?/],
  ['a command of other tools', ['convert', 'float.onnx'], 2, /unknown command 'convert'.*ivit --help lists/s],
  ['help of no command', ['help', 'quantise'], 2, /quantise/],
  ['an option with a typo', [...QUANTIZE, '--efort', 'fast'], 2, /did you mean --effort\?/],
  ['an option of another command', [...INFER, '--images', 'photos'], 2, /unknown option '--images'/],
  ['an option without its value', [...QUANTIZE, '--effort'], 2, /--effort <level>' argument missing/],
  ['no model to quantize', ['quantize'], 2, /missing required argument 'model.onnx'/],
  ['two models to quantize', ['quantize', 'float.onnx', 'float.onnx'], 2, /too many arguments/],
  ['a kernel set with a typo', [...QUANTIZE, '--kernels', 'shft'], 2, /did you mean shift\?/],
  ['an effort that is none', [...QUANTIZE, '--effort', 'high'], 2, /It must be one of none, fast, normal, best/],
  ['scales with a typo', [...QUANTIZE, '--scales', 'dynamc'], 2, /did you mean dynamic\?/],
  ['a preset with a typo', [...QUANTIZE, '--preset', 'imagent'], 2, /did you mean imagenet\?/],
  ['an interpolation with a typo', [...QUANTIZE, '--interpolation', 'bicubik'], 2, /did you mean bicubic\?/],
  ['a mean of words', [...QUANTIZE, '--mean', 'imagenet'], 2, /Expected numbers/],
  ['a size of zero', [...QUANTIZE, '--size', '0'], 2, /from 1 to/],
  ['a crop of per cent', [...QUANTIZE, '--crop-pct', '87.5'], 2, /a share above 0 and up to 1/],
  ['weights of 16 bits', [...QUANTIZE, '--weight-bits', '16'], 2, /It must be 2 to 8/],
  ['a target without a unit', [...QUANTIZE, '--target-size', '4'], 2, /It must be a size like 4MB/],
  ['a target of another unit', [...QUANTIZE, '--target-size', '4 bits'], 2, /It must be a size like 4MB/],
  ['bits on average beyond 8', [...QUANTIZE, '--target-bits', '16'], 2, /It must be a number of 2 to 8/],
  ['two targets', [...QUANTIZE, '--target-bits', '4', '--target-size', '1MB'], 2, /give one of them/],
  ['a drop of a word', [...QUANTIZE, '--max-drop', 'half'], 2, /It must be a number of 0 to 100/],
  [
    'a target beside bits',
    [...QUANTIZE, '--target-bits', '4', '--weight-bits', '6'],
    2,
    /give one of them, or patterns/,
  ],
  [
    'a size too small',
    [...QUANTIZE, '--target-size', '1kB', '--num-images', '2'],
    3,
    /with the fewest bits it takes about/,
  ],
  ['layer bits of no number', [...QUANTIZE, '--layer-bits', 'head'], 2, /It must be a name or pattern, =, and 8 or 16/],
  ['a layer with a typo', [...QUANTIZE, '--layer-bits', 'haed=16', '--num-images', '2'], 3, /nearest are head/],
  ['a shard that is none', [...QUANTIZE, '--shard', '0/4'], 2, /like 3\/16/],
  ['a float model that is not there', ['quantize', 'flaot.onnx'], 3, /flaot\.onnx/],
  ['a text as float model', ['quantize', 'notes.txt'], 3, /notes\.txt/],
  ['an integer model to quantize', ['quantize', 'tiny.ivit', '-o', 'out.ivit'], 3, /tiny\.ivit/],
  ['images that are not there', [...QUANTIZE, '--images', 'phots'], 3, /No such file or folder: phots/],
  ['a folder without images', [...QUANTIZE, '--images', 'empty'], 3, /No image in empty/],
  ['an output in no folder', ['quantize', 'float.onnx', '-o', 'absent/out.ivit'], 3, /absent/],
  ['an output over the input', ['quantize', 'float.onnx', '-o', 'float.onnx'], 3, /choose another name/],
  ['an output over another kind of file', ['quantize', 'float.onnx', '-o', 'notes.txt'], 3, /choose another name/],
  ['no image', ['infer'], 2, /No image given: name files/],
  ['an image that is not there', ['infer', 'phtos/1.png'], 3, /phtos/],
  ['a float model to infer with', [...INFER, '-m', 'float.onnx'], 3, /float\.onnx.*ivit quantize/],
  ['a backend with a typo', [...INFER, '--backend', 'wsm'], 2, /did you mean wasm\?/],
  ['threads of none', [...INFER, '--threads', '0'], 2, /whole number of at least 1/],
  ['a memory of words', [...INFER, '--max-memory', 'lots'], 2, /a size like 512M or 4G/],
  ['a format with a typo', [...INFER, '--format', 'jsnl'], 2, /did you mean jsonl\?/],
  ['outputs in a file of no kind', [...INFER, '--save', 'out.txt'], 2, /\.npz.*\.safetensors/],
  ['labels of another number', [...INFER, '--labels', 'two.txt'], 3, /has 2 labels/],
  ['an evaluation of nothing', ['eval'], 2, /required option '--dataset <dir>' not specified/],
  ['a dataset without classes', ['eval', '--dataset', 'empty'], 3, /empty/],
  ['a part that is none', ['merge', 'part.jsonl'], 3, /part\.jsonl/],
  ['a peer that ends', ['bench', '-m', 'tiny.ivit', '-r', '1', '--peer', 'exit 5'], 3, /ended with exit code 5/],
  ['a target with a typo', ['export', 'tiny.ivit', '--to', 'onx'], 2, /did you mean onnx\?/],
  [
    'a report of another kind',
    ['report', 'tiny.ivit', '--float', 'float.onnx', '--images', 'photos'],
    2,
    /-o, --output/,
  ],
  ['a model of words to inspect', ['inspect', 'notes.txt'], 3, /notes\.txt/],
  ['one model to compare', ['diff', 'tiny.ivit'], 2, /missing required argument 'b\.ivit'/],
  ['a share of more than all', ['verify', 'tiny.ivit', '--min-agreement', '98'], 2, /a share between 0 and 1/],
  ['a shell that is none', ['completion', 'powershell'], 2, /bash, zsh, fish/],
  ['a port that is none', ['serve', '--port', 'http'], 2, /from 0 to 65535/],
  ['options in no file', [...QUANTIZE, '--config', 'absent.json'], 2, /there is no such file/],
  ['options in broken JSON', [...QUANTIZE, '--config', 'broken.json'], 2, /it must be a file of JSON/],
  ['options in a list', [...QUANTIZE, '--config', 'array.json'], 2, /a section for each command/],
  ['options of no command', [...QUANTIZE, '--config', 'command.json'], 2, /did you mean quantize\?/],
  ['an option with a typo in a file', [...QUANTIZE, '--config', 'option.json'], 2, /did you mean effort\?/],
  ['a value with a typo in a file', [...QUANTIZE, '--config', 'value.json'], 2, /value\.json: .*did you mean fast\?/],
  ['a value of another kind in a file', [...QUANTIZE, '--config', 'kind.json'], 2, /must be a text or a number/],
];

test.concurrent.each(MISTAKES)('%s', async (_, args, code, message) => {
  const outcome = await ivit(args, { cwd: folder.path() });
  expect(outcome.stderr).toMatch(message);
  expect(outcome.stderr).toMatch(/^(?:(?:note|warning): .*\n)*error: .*\n(?:\(.*\)\n)?$/);
  expect(outcome.stderr).not.toMatch(/\n +at |This is a fault of ivit/);
  expect(outcome).toMatchObject({ code, stdout: '' });
});

test('and none of them left a file', async () => {
  expect(MISTAKES.length).toBeGreaterThanOrEqual(40);
  expect(await folder.files()).toEqual(before);
});
