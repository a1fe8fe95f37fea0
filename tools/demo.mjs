/** `npm run demo`: quantizes the Vision Transformer of fixtures/scenes, classifies an image, measures it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

const scenes = 'fixtures/scenes';
const model = 'demo/scenes.ivit';
const commands = [
  ['quantize', `${scenes}/scenes_vit.onnx`, '--images', `${scenes}/calibration`, '-o', model],
  ['infer', `${scenes}/test/sailboat/00.jpg`, '-m', model, '--top', '3'],
  ['eval', '--dataset', `${scenes}/test`, '-m', model, '--float', `${scenes}/scenes_vit.onnx`],
];

prepare();
mkdirSync(join(root, 'demo'), { recursive: true });
for (const command of commands) {
  process.stdout.write(`\n$ npx ivit ${command.join(' ')}\n\n`);
  run(process.execPath, ['bin/ivit.js', ...command]);
}
process.stdout.write(`
The model is in ${model}. Now your own:

  npx ivit quantize your-model.onnx --images your-photos/
  npx ivit infer photo.jpg -m your-model.ivit
`);
