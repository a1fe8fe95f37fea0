/**
 * Writes a float DeiT of random weights as an ONNX file, for sizes of which no trained model is at hand.
 *
 *   npm run bench:random-onnx -- <width> <model.onnx>
 */
import { writeFileSync } from 'node:fs';
import { graphToOnnx } from '../../src/importer/index.js';
import { DEIT_TINY } from './synthetic-vit.js';
import { randomVit } from './random-vit.js';

const width = Number(process.argv[2]);
const file = process.argv[3];
if (!Number.isInteger(width) || width < 64 || width % 64 !== 0 || file === undefined) {
  process.stderr.write('usage: npm run bench:random-onnx -- <width, a multiple of 64> <model.onnx>\n');
  process.exit(2);
}
writeFileSync(file, graphToOnnx(randomVit({ ...DEIT_TINY, width, heads: width / 64, hidden: 4 * width })));
