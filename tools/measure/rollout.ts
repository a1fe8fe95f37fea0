/**
 * How near the integer model's attention rollout is to the float model's: the correlation of the two maps, image by
 * image.
 *
 *     npm run rollout -- model.ivit model.onnx photos/ 50
 */
import { explain } from '../../src/api/explain.js';
import { Model } from '../../src/api/model.js';
import { decodeImage } from '../../src/images/decode.js';
import { listImages } from '../../src/images/datasets/index.js';
import { sample } from '../../src/images/random.js';
import { correlation, openFloatAttention } from './float-attention.js';

const [file, float, images, count = '50'] = process.argv.slice(2);
const model = await Model.load(file);
const exact = await openFloatAttention(float, model);
const found: number[][] = [];
for (const path of sample(await listImages(images), Number(count), 1)) {
  const pixels = model.prepare(await decodeImage(path));
  const [maps] = await explain(model, [{ title: path, pixels }]);
  const floatMaps = await exact.maps(pixels);
  found.push(maps.map(({ values }, i) => correlation(values, floatMaps[i].values)));
}
await exact.close();
await model.close();
const summary = (name: string, values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  const mean = values.reduce((a, b) => a + b) / values.length;
  return `${name}: mean ${mean.toFixed(4)}, least ${sorted[0].toFixed(4)}`;
};
console.log(`correlation with the float model's on ${found.length} images`);
console.log(
  summary(
    '  rollout',
    found.map(([rollout]) => rollout),
  ),
);
console.log(
  summary(
    '  heads of the last block',
    found.flatMap(([, ...heads]) => heads),
  ),
);
