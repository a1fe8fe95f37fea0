/** `npm install ivit vite`, then `npx vite build`. The model lies in public/. */
import { digestOf, loadModel } from 'ivit/web';

const output = document.querySelector('output');
const model = await loadModel('./model.ivit');
output.textContent = `${model.info.hash}, ${model.info.isa}`;
document.querySelector('input').addEventListener('change', async ({ target }) => {
  const pixels = new Uint8Array(await target.files[0].arrayBuffer());
  const values = await model.run(pixels);
  const [{ label, probability }] = model.predictions(values, 1);
  output.textContent = `${label}, ${(100 * probability).toFixed(1)} %, digest ${digestOf(values)}`;
});
