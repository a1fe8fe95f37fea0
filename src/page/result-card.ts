import type { Prediction } from '../metrics/predictions.js';
import { isOnlyClassifier, realValues, summaryOf, type OutputResult } from '../metrics/results.js';
import { milliseconds, percent, significant } from '../number-format.js';
import { element, tableOf } from './dom.js';

/** What the model said of an image. */
export interface Result {
  readonly outputs: readonly OutputResult[];
  readonly digest: string;
  readonly ms: number;
  readonly width: number;
  readonly height: number;
  readonly notes: readonly string[];
  /** Where the model looked; null: it does not tell. */
  readonly attention: HTMLElement | null;
}

/** The place of an image in the list: its name and picture, and soon its result. */
export class ResultCard {
  readonly node: HTMLElement;
  readonly #body: HTMLElement;
  readonly #picture: HTMLImageElement;

  constructor(readonly file: File) {
    // Shown by the browser, and not read from: the pixels for the model come from the file.
    this.#picture = element('img', { src: URL.createObjectURL(file), alt: '' });
    this.#picture.addEventListener('load', () => URL.revokeObjectURL(this.#picture.src));
    this.#picture.addEventListener('error', () => (this.#picture.hidden = true));
    this.#body = element('div');
    const title = element('h3', {}, [file.name]);
    this.node = element('li', { className: 'card' }, [this.#picture, element('div', {}, [title, this.#body])]);
    this.wait();
  }

  wait(): void {
    this.#body.replaceChildren(element('p', { className: 'quiet' }, ['Waiting…']));
  }

  fail(message: string): void {
    this.#body.replaceChildren(element('p', { className: 'error' }, [message]));
  }

  show({ outputs, digest, ms, width, height, notes, attention }: Result): void {
    this.#body.replaceChildren(
      element('p', { className: 'quiet' }, [`${width}×${height} pixels, ${milliseconds(ms)}`]),
      ...outputs.filter(({ isClasses }) => isClasses).map((output) => classList(output, outputs.length > 1)),
      ...(isOnlyClassifier(outputs) ? [] : [summaryTable(outputs)]),
      ...notes.map((note) => element('p', { className: 'warning' }, [note])),
      ...(attention === null ? [] : [attention]),
      digestLine(digest, this.file.name),
    );
  }
}

function classList({ name, predictions }: OutputResult, isNamed: boolean): Node {
  const items = predictions.map(({ index, label, probability }) => {
    const bar = element('span', { className: 'bar' });
    bar.style.width = `${100 * probability}%`;
    bar.setAttribute('aria-hidden', 'true');
    return element('li', {}, [
      bar,
      element('span', {}, [classText({ index, label })]),
      element('span', {}, [percent(probability)]),
    ]);
  });
  const list = element('ol', { className: 'classes' }, items);
  list.setAttribute('aria-label', isNamed ? `Likeliest classes of ${name}` : 'Likeliest classes');
  return list;
}

const classText = ({ index, label }: Pick<Prediction, 'index' | 'label'>): string =>
  label === null ? `class ${index}` : `${label} (${index})`;

/** Few numbers themselves, else how large they are. */
function summaryTable(outputs: readonly OutputResult[]): Node {
  const columns = [
    { title: 'output' },
    { title: 'shape' },
    { title: 'least', isNumber: true },
    { title: 'mean', isNumber: true },
    { title: 'greatest', isNumber: true },
  ];
  const rows = outputs.map((output) => {
    const { name, shape, min, mean, max } = summaryOf(output);
    return [name, shape.join('×') || '1', significant(min), significant(mean), significant(max)];
  });
  const few = outputs
    .map((output) => ({ output, values: realValues(output).values }))
    .filter(({ output, values }) => !output.isClasses && values.length <= FEW)
    .map(({ output, values }) => element('p', {}, [`${output.name}: ${Array.from(values, significant).join(' ')}`]));
  const table = element('div', { className: 'scroll', tabIndex: 0 }, [tableOf('Outputs', columns, rows), ...few]);
  table.setAttribute('role', 'region');
  table.setAttribute('aria-label', 'Outputs');
  return table;
}

const FEW = 8;

function digestLine(digest: string, name: string): Node {
  const copy = element('button', { type: 'button', className: 'small' }, ['Copy']);
  copy.setAttribute('aria-label', `Copy the digest of ${name}`);
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(digest).then(
      () => (copy.textContent = 'Copied'),
      () => (copy.textContent = 'Not allowed'),
    );
  });
  return element('p', {}, ['digest ', element('span', { className: 'digest' }, [digest]), ' ', copy]);
}
