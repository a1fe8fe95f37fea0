/** The page: a model and images are opened, and what the model says of them is shown. */
import { OP_COLUMNS, modelSummary, opCells } from '../model-summary.js';
import { digestOf, loadModel, type ModelSource, type WebModel } from '../web/index.js';
import { attentionPart } from './attention.js';
import { benchmark } from './benchmark.js';
import { decode } from './decoder.js';
import { byId, pairsOf, tableOf } from './dom.js';
import { ResultCard } from './result-card.js';

const TOP = 5;
/** Where a model lies that is served with the page. */
const SERVED_MODEL = 'model.ivit';

const modelStatus = byId('status');
const summary = byId('summary');
const results = byId('results');
const progress = byId('progress');
const loading = byId<HTMLProgressElement>('loading');
const benchmarkButton = byId<HTMLButtonElement>('benchmark');
const benchmarkResult = byId('benchmark-result');

let model: WebModel | null = null;
let cards: ResultCard[] = [];
/** What is done one thing after the other: each image takes the model that is there when its turn comes. */
let queue: Promise<void> = Promise.resolve();

function enqueue(work: () => Promise<void>): void {
  queue = queue.then(work, work);
}

/** The same, with what it gives. */
function later<T>(work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => enqueue(() => work().then(resolve, reject)));
}

async function openModel(source: ModelSource, name: string): Promise<void> {
  modelStatus.className = '';
  modelStatus.textContent = `Loading ${name}…`;
  loading.hidden = false;
  try {
    const loaded = await loadModel(source, { onProgress: showProgress });
    await warmUp(loaded);
    model?.close();
    model = loaded;
    showModel(loaded, name);
    for (const card of cards) card.wait();
    runAll(cards);
  } catch (error) {
    showError((error as Error).message);
  } finally {
    loading.hidden = true;
    loading.removeAttribute('value');
  }
}

/** The engine compiles code anew that has run a few times: the first images would be slow. */
async function warmUp(loaded: WebModel): Promise<void> {
  const { height, width, channels } = loaded.info.input;
  const pixels = new Uint8Array(height * width * channels);
  for (let i = 0; i < 2; i++) await loaded.runAll(Array.from({ length: loaded.threads }, () => pixels));
}

function showProgress(loaded: number, total: number | null): void {
  if (total !== null) loading.value = loaded / total;
}

function showError(message: string): void {
  modelStatus.className = 'error';
  modelStatus.textContent = message;
}

function showModel({ info, threads }: WebModel, name: string): void {
  document.title = `${name} – ivit`;
  const engine = `WebAssembly (${info.isa}), ${threads} thread${threads > 1 ? 's' : ''}`;
  const why = crossOriginIsolated ? '' : ': the page is not cross-origin isolated, which more need';
  modelStatus.textContent = `${name} is ready: ${engine}${why}.`;
  summary.replaceChildren(...pairsOf(modelSummary({ ...info, integerOnly: true }, info.layers)));
  byId('about').hidden = false;
  const table = tableOf(
    `${info.layers.length} layers, in the order in which they run`,
    OP_COLUMNS,
    info.layers.map(opCells),
  );
  byId('layers').querySelector('.scroll')!.replaceChildren(table);
  benchmarkResult.replaceChildren();
  benchmarkButton.disabled = false;
}

function openImages(files: readonly File[]): void {
  const added = files.map((file) => new ResultCard(file));
  results.prepend(...added.map(({ node }) => node));
  cards = [...added, ...cards];
  byId('digest-hint').hidden = false;
  if (model === null) progress.textContent = 'The images wait for a model.';
  else runAll(added);
}

function runAll(some: readonly ResultCard[]): void {
  for (const [i, card] of some.entries())
    enqueue(async () => {
      progress.textContent = `Image ${i + 1} of ${some.length}`;
      await run(card);
      if (i + 1 === some.length)
        progress.textContent = `${some.length === 1 ? 'The image is' : `${some.length} images are`} done.`;
    });
}

async function run(card: ResultCard): Promise<void> {
  const running = model;
  if (running === null) return;
  try {
    const { image, notes } = await decode(card.file);
    const pixels = await running.prepare(image);
    const start = performance.now();
    const values = await running.run(pixels);
    const ms = performance.now() - start;
    const { width, height } = image;
    const seen = { pixels, ...running.info.input };
    const attention =
      running.info.hasAttention && [1, 3].includes(seen.channels)
        ? attentionPart(seen, () => later(() => running.attention(pixels)))
        : null;
    card.show({ outputs: running.results(values, TOP), digest: digestOf(values), ms, width, height, notes, attention });
  } catch (error) {
    card.fail((error as Error).message);
  }
}

/** Models and images, told apart by their names. */
function open(files: readonly File[]): void {
  const models = files.filter(({ name }) => name.endsWith('.ivit'));
  const images = files.filter((file) => !models.includes(file));
  if (models.length > 0) void openModel(models[models.length - 1], models[models.length - 1].name);
  if (images.length > 0) openImages(images);
}

for (const id of ['model-file', 'image-files'])
  byId<HTMLInputElement>(id).addEventListener('change', ({ target }) => {
    const input = target as HTMLInputElement;
    open([...(input.files ?? [])]);
    input.value = ''; // the same file can be chosen again
  });

addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('is-dragging');
});
addEventListener('dragleave', () => document.body.classList.remove('is-dragging'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('is-dragging');
  open([...(event.dataTransfer?.files ?? [])]);
});
addEventListener('paste', (event) => open([...(event.clipboardData?.files ?? [])]));

benchmarkButton.addEventListener('click', () =>
  enqueue(async () => {
    if (model === null) return;
    benchmarkButton.disabled = true;
    benchmarkResult.replaceChildren('Measuring…');
    benchmarkResult.replaceChildren(await benchmark(model).catch((error: Error) => error.message));
    benchmarkButton.disabled = false;
  }),
);

const served = await fetch(SERVED_MODEL, { method: 'HEAD' }).catch(() => null);
if (served?.ok) await openModel(SERVED_MODEL, SERVED_MODEL);
else modelStatus.textContent = 'Open a .ivit model to begin: ivit quantize makes one of a float ONNX model.';
