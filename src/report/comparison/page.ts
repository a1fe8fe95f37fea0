/** A comparison as one HTML page. */
import { renderDocument } from '../page/document.js';
import { escapeHtml, scrolled, scrolledTable, short, tableRow } from '../page/html.js';
import { barPlot, type Bar } from '../page/plots.js';
import { functionTitles, modelsWithFunctions, opFigures, titleOf } from './functions.js';
import { KIND_HEADS, MODEL_COLUMNS, aboutComparison, aboutFunctions, kindRows } from './text.js';
import type { ComparedModel, ComparisonData } from './types.js';

export const comparisonJson = (data: ComparisonData): string => JSON.stringify(data, null, 2);

export function comparisonPage(data: ComparisonData): string {
  return renderDocument({
    title: `${data.comparison}: its forms side by side`,
    generator: 'ivit compare',
    lead: escapeHtml(aboutComparison(data)),
    sections: [modelSection, functionSection, plotSection, opSection, repeatSection].map((section) => section(data)),
    json: comparisonJson(data),
  });
}

const cells = (row: readonly string[]): string => tableRow(row.map(escapeHtml));

function modelSection({ models }: ComparisonData): string {
  const heads = MODEL_COLUMNS.map(([title]) => title);
  const rows = models.map((model) => cells(MODEL_COLUMNS.map(([, cell]) => cell(model))));
  return `<section><h2 id="models">Accuracy, size and speed</h2>${scrolledTable('Models', heads, rows)}</section>`;
}

function functionSection(data: ComparisonData): string {
  const rows = kindRows(data).map(cells);
  return `<section><h2 id="functions">Functions</h2><p>${escapeHtml(aboutFunctions(data))}</p>
${scrolledTable('Functions', KIND_HEADS, rows)}</section>`;
}

/** One plot for each function and model; those of a function have one axis. */
function plotSection(data: ComparisonData): string {
  const parts = functionTitles(data).map((title) => {
    const models = modelsWithFunctions(data).filter(({ functions }) => functions.some((one) => titleOf(one) === title));
    const axis = axisOf(models, title);
    const plots = models.map((model) => {
      const own = model.functions.filter((one) => titleOf(one) === title);
      const bars = own.map(({ name, meanError, maxError }): Bar => ({
        label: name,
        value: meanError > 0 ? Math.log10(meanError) : null,
        kind: 'all',
        title: `${name}: mean error ${short(meanError)}, largest ${short(maxError)}`,
        href: '#ops',
      }));
      const worst = own.reduce((a, b) => (b.meanError > a.meanError ? b : a));
      const about =
        `Mean error of each ${title} of ${model.name}, in network order; the largest is ${worst.name} with ` +
        `${short(worst.meanError)}. The table below has all figures.`;
      const plot = barPlot(bars, axis, about, new Set([worst.name]));
      return `<h4>${escapeHtml(model.name)}</h4>${scrolled(`${title}, ${model.name}`, plot)}`;
    });
    return `<h3>${escapeHtml(title)}</h3>${plots.join('')}`;
  });
  return `<section><h2 id="plots">Mean error of each function, in network order</h2>
<p>Logarithmic; the plots of a function have the same axis. The op with the largest mean error is named.</p>
${parts.join('')}</section>`;
}

/** Whole powers of ten about the mean errors of a function. */
function axisOf(models: readonly ComparedModel[], title: string) {
  const logs = models
    .flatMap(({ functions }) => functions)
    .filter((one) => titleOf(one) === title && one.meanError > 0)
    .map(({ meanError }) => Math.log10(meanError));
  const [low, high] = logs.length === 0 ? [-1, 0] : [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, i) => low + i),
    at: (log: number) => (log - low + 0.15) / (high - low + 0.15),
    text: (tick: number) => `1e${String(tick).replace('-', '−')}`,
  };
}

function opSection(data: ComparisonData): string {
  const heads = ['op', 'function', ...modelsWithFunctions(data).map(({ name }) => escapeHtml(name))];
  const rows = opFigures(data).map(({ name, title, errors }) =>
    cells([name, title, ...errors.map((one) => (one ? `${short(one.meanError)}; ${short(one.maxError)}` : '–'))]),
  );
  const table = scrolledTable('Op by op', heads, rows);
  return `<section><h2 id="ops">Op by op: mean and largest error</h2>${table}</section>`;
}

function repeatSection({ command }: ComparisonData): string {
  return `<section><h2 id="repeat">To repeat it</h2><pre>${escapeHtml(command)}</pre></section>`;
}
