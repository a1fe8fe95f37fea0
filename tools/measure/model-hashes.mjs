/**
 * `node tools/measure/model-hashes.mjs [CHECKOUT] [--data DIR]`: quantizes a fixed list of models with the `ivit` of a
 * built checkout (default: this one) and prints the SHA-256 of each file. Two checkouts that print the same list make
 * the same models, byte for byte:
 *
 *     node tools/measure/model-hashes.mjs ../before > before.txt
 *     node tools/measure/model-hashes.mjs           > after.txt
 *     diff before.txt after.txt
 *
 * The models are those of this checkout's fixtures, with all kernel sets and scales. With --data, a folder that holds
 * deit_tiny_patch16_224.onnx, vit_tiny_patch16_224.onnx and calib-256/, the two real models too.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: { data: { type: 'string' } } });
const checkout = resolve(positionals[0] ?? root);
const folder = mkdtempSync(join(tmpdir(), 'ivit-hashes-'));

/** One zoo model of each exporter and family that is built differently. */
const ZOO = [
  'timm_ts_opset17',
  'timm_dynamo_opset20',
  'timm_swin_ts_opset17_dynbatch',
  'timm_swinv2_ts_opset17',
  'timm_deit3_dynamo_opset20',
  'timm_map_ts_opset17',
  'timm_qknorm_dynamo_opset20',
  'hf_dinov2_ts_opset17',
  'hf_siglip_ts_opset17',
  'torchvision_ts_opset17',
];

const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Quantizes and prints one line. */
function hash(label, model, args) {
  const output = join(folder, 'model.ivit');
  const command = ['quantize', model, '-o', output, '--threads', '2', ...args];
  const { status, stderr } = spawnSync(process.execPath, [join(checkout, 'bin/ivit.js'), ...command], {
    encoding: 'utf8',
  });
  if (status !== 0) process.stderr.write(`${label}: exit ${status}\n${stderr}\n`);
  process.stdout.write(`${status === 0 ? sha256(output) : `failed${' '.repeat(58)}`}  ${label}\n`);
}

/** Unpacks a model of the zoo, with its external data. */
function unpack(name) {
  const zoo = join(root, 'fixtures/zoo');
  const own = readdirSync(zoo).filter((file) => file.startsWith(`${name}.onnx`));
  for (const file of own) writeFileSync(join(folder, basename(file, '.gz')), gunzipSync(readFileSync(join(zoo, file))));
  return join(folder, `${name}.onnx`);
}

process.stdout.write(`${sha256(join(root, 'test/program/golden.ivit'))}  test/program/golden.ivit\n`);

const scenes = join(root, 'fixtures/scenes');
for (const kernels of ['shift', 'lut', 'paper', 'ibert']) {
  for (const scales of ['static', 'dynamic']) {
    if (kernels === 'paper' && scales === 'dynamic') continue; // the published kernels have static scales alone
    const settings = ['--kernels', kernels, '--scales', scales];
    hash(`scenes ${kernels} ${scales}`, join(scenes, 'scenes_vit.onnx'), [
      '--images',
      join(scenes, 'calibration'),
      ...settings,
    ]);
  }
}
hash('scenes 4-bit weights', join(scenes, 'scenes_vit.onnx'), [
  '--images',
  join(scenes, 'calibration'),
  '--weight-bits',
  '4',
]);
hash('scenes without images', join(scenes, 'scenes_vit.onnx'), []);
for (const name of ZOO) hash(name, unpack(name), ['--kernels', 'lut', '--num-images', '8']);

if (flags.data !== undefined) {
  for (const model of ['deit_tiny_patch16_224', 'vit_tiny_patch16_224']) {
    const file = join(flags.data, `${model}.onnx`);
    if (!existsSync(file)) continue;
    const own = ['--images', join(flags.data, 'calib-256'), '--effort', 'fast'];
    // Said in full: where nothing says it, newer checkouts find it on the images, and record that they did.
    const recipe = model.startsWith('vit')
      ? ['--mean', '0.5', '--std', '0.5']
      : ['--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225'];
    hash(`${model} shift static`, file, [...own, ...recipe]);
    hash(`${model} lut dynamic`, file, [...own, ...recipe, '--kernels', 'lut', '--scales', 'dynamic']);
  }
}
rmSync(folder, { recursive: true, force: true });
