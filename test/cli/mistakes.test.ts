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
    'three.txt': 'cat\ndog\nnewt\n',
    'empty.txt': '',
    'empty.png': '',
    'json.json': '{ "quantize": { "json": "yes" } }',
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
const EVAL = ['eval', '--dataset', 'photos', '-m', 'tiny.ivit'];
const REPORT = ['report', 'tiny.ivit', '--float', 'float.onnx', '--images', 'photos'];
const COMPARE = ['compare', 'float.onnx', '--images', 'photos', '--dataset', 'photos'];
const SHARD = ['quantize', 'float.onnx', '--images', 'photos', '--save-stats', 's.stats', '--shard', '1/2'];

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
  ['options in an empty file', [...QUANTIZE, '--config', 'empty.txt'], 2, /must be a file of JSON/],
  ['options in a folder', [...QUANTIZE, '--config', 'empty'], 2, /must be a file of JSON/],
  ['an option of JSON in a file', [...QUANTIZE, '--config', 'json.json'], 2, /quantize has no option json/],
  ['a value of another kind in a file', [...QUANTIZE, '--config', 'kind.json'], 2, /must be a text or a number/],

  // Names that promise another kind of file.
  ['a model named as a float one', ['quantize', 'float.onnx', '-o', 'out.onnx'], 2, /end in \.ivit or \.safetensors/],
  ['a report named as a document', [...QUANTIZE, '--report', 'r.pdf'], 2, /no \.pdf file but a quantization report/],
  ['a report of a model, likewise', [...REPORT, '-o', 'r.md'], 2, /end in \.json or \.html/],
  ['predictions named as JSON', [...EVAL, '--predictions', 'p.json'], 2, /end in \.csv/],
  ['labels into a float model', ['label', 'tiny.ivit', '--labels', 'three.txt', '-o', 'o.onnx'], 2, /end in \.ivit/],
  ['a graph named as a model', ['export', 'tiny.ivit', '--to', 'onnx', '-o', 'o.ivit'], 2, /end in \.onnx/],
  ['a comparison of no kind', [...COMPARE, '-o', 'c.pdf'], 2, /tells no format/],
  ['a matrix of no kind', [...EVAL, '--confusion', 'c.jpg'], 2, /as \.csv or \.png/],
  ['a picture of no kind', [...INFER, '--explain', 'where.gif'], 2, /name it \.png/],
  ['statistics over the model', [...QUANTIZE, '--save-stats', 'out.ivit'], 3, /is the output of -o/],
  ['one file for two tables', [...EVAL, '--predictions', 's.csv', '--results-file', 's.csv'], 3, /is the output of/],
  ['a folder as output', ['quantize', 'float.onnx', '-o', 'empty'], 3, /it is a folder/],
  ['a device as output', ['quantize', 'float.onnx', '-o', '/dev/null'], 3, /it is no regular file/],
  ['an output without a name', ['quantize', 'float.onnx', '-o', ''], 2, /output must be a path/],
  ['exported over the model', ['export', 'tiny.ivit', '--to', 'onnx', '-o', 'tiny.ivit'], 3, /choose another name/],

  // Files of the wrong kind, empty or cut off.
  ['an empty model', ['infer', 'photos/cat/1.png', '-m', 'empty.txt'], 3, /only 0 bytes; make it again with ivit quan/],
  ['a text as model', [...INFER, '-m', 'notes.txt'], 3, /Not a valid \.ivit file.*make it again/],
  ['an image as float model', ['quantize', 'photos/cat/1.png'], 3, /give the model first, and images with --images/],
  ['a folder as float model', ['quantize', 'photos', '-o', 'out.ivit'], 3, /is a folder, not an ONNX file/],
  ['an empty float model', ['quantize', 'empty.txt'], 3, /is empty \(0 bytes\): export the model again/],
  ['an address as float model', ['quantize', 'https://a.example/f.onnx'], 3, /download it first/],
  ['a model among the images', ['infer', 'tiny.ivit', '-m', 'tiny.ivit'], 3, /not an image in a known format/],
  ['an empty image', ['infer', 'empty.png', '-m', 'tiny.ivit'], 3, /it is empty/],
  ['a pattern of nothing', ['infer', 'no*.png', '-m', 'tiny.ivit'], 3, /No file matches/],
  ['a folder without images to infer', ['infer', 'empty', '-m', 'tiny.ivit'], 3, /No image in empty/],
  ['nothing on standard input', ['infer', '-', '-m', 'tiny.ivit'], 3, /standard input: it is empty/],
  ['a list that names nothing', [...QUANTIZE, '--images', 'empty.txt'], 3, /write a path on each line/],
  ['a list of images that are not there', [...QUANTIZE, '--images', 'two.txt'], 3, /line 1: no such image: one/],
  ['a model as list of images', [...QUANTIZE, '--images', 'tiny.ivit'], 3, /is not a text file/],
  ['labels in an empty file', [...QUANTIZE, '--labels', 'empty.txt'], 3, /is empty/],
  [
    'statistics that are none',
    [...QUANTIZE, '--num-images', '2', '--stats', 'two.txt'],
    3,
    /no file of calibration stat/,
  ],
  ['a float model to compare two of', ['diff', 'tiny.ivit', 'float.onnx'], 3, /ivit quantize float\.onnx/],
  ['an image to inspect', ['inspect', 'photos/cat/1.png'], 3, /photos\/cat\/1\.png/],
  ['an integer model as the float one', [...EVAL, '--float', 'tiny.ivit'], 3, /tiny\.ivit/],
  ['a float model to serve', ['serve', 'float.onnx'], 3, /ivit quantize float\.onnx/],
  ['a float model to measure', ['bench', '-m', 'float.onnx'], 3, /ivit quantize float\.onnx/],
  ['a float model to verify', ['verify', 'float.onnx'], 3, /ivit quantize float\.onnx/],
  ['a float model to export', ['export', 'float.onnx', '--to', 'c'], 3, /ivit quantize float\.onnx/],
  [
    'swapped models',
    ['report', 'float.onnx', '--float', 'tiny.ivit', '--images', 'photos', '-o', 'r.html'],
    3,
    /float\.onnx/,
  ],

  // Words of other tools, lists as shells have them, files of another place.
  ['a model without a command', ['float.onnx'], 2, /did you mean ivit quantize float\.onnx\?/],
  ['a list with spaces', [...QUANTIZE, '--mean', '0.5', '0.5', '0.5'], 2, /one value: 1,2,3 for lists/],
  ['a folder that is to be made', ['quantize', 'float.onnx', '-o', 'absent/'], 3, /name of a folder; add the file's/],
  ['an address as image', ['infer', 'https://a.example/1.jpg', '-m', 'tiny.ivit'], 3, /download it first/],
  [
    'an image as dataset',
    ['eval', '--dataset', 'photos/cat/1.png', '-m', 'tiny.ivit'],
    3,
    /is an image: give a folder/,
  ],
  [
    'images without classes',
    ['eval', '--dataset', 'photos/cat', '-m', 'tiny.ivit'],
    3,
    /one folder per class.*--float/,
  ],
  [
    'a model to verify against that is not there',
    ['verify', 'tiny.ivit', '--against', 'absent.onnx', '--images', 'photos'],
    3,
    /absent\.onnx/,
  ],
  ['a name with a letter too many', ['verify', 'tinyy.ivit'], 3, /did you mean tiny\.ivit\?/],

  // Numbers.
  [
    'images of a huge number',
    [...QUANTIZE, '--num-images', '99999999999999999999'],
    2,
    /must be at most 9007199254740991/,
  ],
  ['images of a negative number', [...QUANTIZE, '--num-images', '-5'], 2, /whole number of at least 2/],
  ['images of a broken number', [...QUANTIZE, '--num-images', '3.5'], 2, /whole number of at least 2/],
  ['images of no number', [...QUANTIZE, '--num-images', 'NaN'], 2, /whole number of at least 2/],
  ['two numbers of bits for all', [...QUANTIZE, '--weight-bits', '4,5'], 2, /two numbers without a name/],
  ['bits of nothing', [...QUANTIZE, '--weight-bits', '4,,5'], 2, /It must be 2 to 8/],
  ['a mean of bytes', [...QUANTIZE, '--mean', '123.7,116.3,103.5'], 2, /Give --mean 0\.485/],
  ['a deviation that is infinite', [...QUANTIZE, '--std', '1e400,1,1'], 2, /Expected positive numbers/],
  ['a mean of other channels', [...QUANTIZE, '--mean', '0.5,0.5'], 2, /give one for each channel/],
  ['a size of another network', [...QUANTIZE, '--size', '32'], 3, /made for images of 16×16/],
  ['threads of a thousand', [...INFER, '--threads', '1e3'], 2, /whole number/],
  ['threads of too many', [...INFER, '--threads', '99999'], 2, /at most \d+ threads/],
  ['a memory below none', [...INFER, '--max-memory', '-4G'], 2, /a size like 512M or 4G/],
  ['a memory too small', [...INFER, '-m', 'tiny.ivit', '--max-memory', '1'], 3, /--max-memory allows more/],
  ['classes of none', [...INFER, '--top', '0'], 2, /whole number of at least 1/],
  ['a port beyond all', ['serve', 'tiny.ivit', '--port', '70000'], 2, /from 0 to 65535/],
  ['the same threads twice', ['bench', '-m', 'tiny.ivit', '--threads', '1,1'], 2, /appears twice/],
  ['rounds of none', ['bench', '-m', 'tiny.ivit', '-r', '0'], 2, /whole number of at least 1/],
  ['a shard beyond the last', [...EVAL, '--shard', '3/2', '--out', 'p.jsonl'], 2, /like 3\/16/],

  // Options that do not go together, of which one would be ignored.
  [
    'two formats',
    [...INFER, '-m', 'tiny.ivit', '--json', '--format', 'csv'],
    2,
    /--json and --format csv do not go together/,
  ],
  ['logits in CSV', [...INFER, '-m', 'tiny.ivit', '--logits', '--format', 'csv'], 2, /give --format jsonl or json/],
  ['reals that are not saved', [...INFER, '-m', 'tiny.ivit', '--reals'], 2, /give --save too/],
  ['an agreement with nothing', ['verify', 'tiny.ivit', '--min-agreement', '98%'], 2, /give it too, with --against/],
  ['images to verify on alone', ['verify', 'tiny.ivit', '--images', 'photos'], 2, /--images needs --against/],
  ['two ways to resize', [...QUANTIZE, '--crop-pct', '1', '--resize', '256'], 2, /give one of them/],
  ['kernels without such scales', [...QUANTIZE, '--kernels', 'paper', '--scales', 'dynamic'], 2, /leave --scales out/],
  ['a part without its file', [...QUANTIZE, '--shard', '1/2'], 2, /give --images and --save-stats/],
  ['a part to be resumed', [...SHARD, '--resume'], 2, /--resume/],
  ['kernel sets of which one is none', [...COMPARE, '--kernels', 'shift,shft'], 2, /did you mean shift\?/],
  ['a file to keep models in', [...COMPARE, '--keep', 'two.txt/kept'], 3, /is a file, or below one: give a folder/],
  ['a folder to watch that is a file', ['infer', '--watch', 'two.txt', '-m', 'tiny.ivit'], 3, /is no folder/],
  ['an option of the other target', ['export', 'tiny.ivit', '--to', 'onnx', '--tile', '2'], 2, /no option tile/],
  ['something for the doctor', ['doctor', 'please'], 2, /too many arguments/],
  ['an output that the model has not', [...QUANTIZE, '--output', 'nosuch'], 3, /no output "nosuch"; it has/],
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
  expect(new Set(MISTAKES.map(([name]) => name)).size).toBe(MISTAKES.length);
  expect(await folder.files()).toEqual(before);
});
