/** The sections on layers: bars in network order, the table, and each layer's histograms. */
import { worstLayers } from '../../quantize/report.js';
import type { LayerFigures, LayerIntegers, ReportData } from '../types.js';
import { decibels } from '../../number-format.js';
import { escapeHtml, percent, scrolled, short } from './html.js';
import { barPlot, histogramPlot, type Bar } from './plots.js';

const href = (i: number): string => `#layer-${i + 1}`;
const DB_TICKS = [0, 10, 20, 30, 40, 50, 60];

/** Whether a layer computes the class token's rows alone, or whatever rows the outputs read. */
const isOfOutputRows = ({ name, rows }: LayerFigures, layers: readonly LayerFigures[]): boolean =>
  rows < Math.max(...layers.map((layer) => layer.rows)) && /\.output(\.\d+)?$/.test(name);

export function sqnrSection({ layers }: ReportData): string {
  const known = layers.filter(({ sqnrDb }) => Number.isFinite(sqnrDb));
  if (known.length === 0) return '';
  const [worst] = worstLayers(known, 1);
  const bars = layers.map((layer, i): Bar => ({
    label: layer.name,
    value: Number.isFinite(layer.sqnrDb) ? layer.sqnrDb : null,
    kind: isOfOutputRows(layer, layers) ? 'token' : 'all',
    title: `${layer.name}: ${decibels(layer.sqnrDb)} dB`,
    href: href(i),
  }));
  const highest = Math.max(40, ...known.map(({ sqnrDb }) => sqnrDb));
  const axis = { ticks: DB_TICKS.filter((tick) => tick <= highest), at: (db: number) => db / highest, text: String };
  const about =
    `SQNR of ${known.length} layers in network order, in dB; the least is ${worst.name} with ` +
    `${decibels(worst.sqnrDb)} dB. The table below has all figures.`;
  return `<section><h2 id="sqnr">Error layer by layer</h2>
<p>SQNR of each layer's output against the float model, in dB, in the order of the network: the higher the better.
Errors add up on the way. The worst is <a href="${href(layers.indexOf(worst))}">${escapeHtml(worst.name)}</a>, with
<b>${decibels(worst.sqnrDb)} dB</b>.</p>
${scrolled('SQNR layer by layer', barPlot(bars, axis, about, new Set([worst.name])))}
<p class="dim"><span class="key"></span>all tokens <span class="key token"></span>the rows that the outputs read, which
have layers of their own <span class="key worst"></span>least</p></section>`;
}

export function sensitivitySection(data: ReportData): string {
  const { layers, attentions, analysis } = data;
  const measured = layers.filter(({ input }) => (input.sensitivity ?? 0) > 0);
  if (measured.length === 0)
    return `<section><h2 id="bits">Where more bits went</h2>${moreBits(data)}
<p class="dim">What 8 bits would do to each layer is measured while a model is quantized:
<code>ivit quantize … --report</code>.</p></section>`;
  const values = measured.map(({ input }) => Math.log10(input.sensitivity!));
  const [low, high] = [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values))];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const total = 10 ** (-analysis.fidelity.sqnrDb / 10);
  const bars = layers.map(({ name, inputBits, input }, i): Bar => {
    const { sensitivity } = input;
    return {
      label: name,
      value: sensitivity === null || sensitivity <= 0 ? null : Math.log10(sensitivity),
      kind: inputBits > 8 ? 'more' : 'all',
      title: `${name}: ${short(sensitivity ?? 0)}, ${inputBits} bits`,
      href: href(i),
    };
  });
  const eight = measured.filter(({ inputBits }) => inputBits === 8);
  const most = eight.reduce<LayerFigures | null>(
    (a, b) => (a === null || b.input.sensitivity! > a.input.sensitivity! ? b : a),
    null,
  );
  const axis = {
    ticks,
    at: (log: number) => (log - low + 0.15) / (high - low + 0.15),
    text: (tick: number) => `1e${String(tick).replace('-', '−')}`,
  };
  const about = 'What 8 bits of each layer input do to the outputs, in network order. The table has all figures.';
  const left =
    most === null
      ? ''
      : ` Of those left with 8 bits, <b>${escapeHtml(most.name)}</b> makes most: ` +
        `${percent(Math.min(1, most.input.sensitivity! / total), 0)} of the error that the model has.`;
  return `<section><h2 id="bits">Where more bits went, and why</h2>
<p>What 8 bits of one layer's input alone do to the outputs, as a share of their energy (logarithmic). The most
sensitive inputs for their work got 16 bits.${left}</p>
${scrolled('8-bit error layer by layer', barPlot(bars, axis, about, new Set(most === null ? [] : [most.name])))}
<p class="dim"><span class="key"></span>8 bits <span class="key more"></span>16 bits <span class="key worst"></span>most
of those with 8 bits</p>${moreBits({ layers, attentions })}</section>`;
}

function moreBits({ layers, attentions }: Pick<ReportData, 'layers' | 'attentions'>): string {
  const list = (title: string, names: readonly string[]): string =>
    names.length === 0 ? '' : `<p>${title}: ${names.map((name) => `<code>${escapeHtml(name)}</code>`).join(', ')}</p>`;
  const sensitive = layers.filter((layer) => !isOfOutputRows(layer, layers));
  return (
    list(
      '16-bit inputs',
      sensitive.filter(({ inputBits }) => inputBits > 8).map(({ name }) => name),
    ) +
    list(
      '12-bit weights',
      layers.filter(({ weightBits }) => weightBits > 8).map(({ name }) => name),
    ) +
    list(
      '12-bit softmax',
      attentions
        .filter(({ name, softmaxBits }) => softmaxBits > 8 && !name.endsWith('.output'))
        .map(({ name }) => name),
    )
  );
}

const COLUMNS = [
  ['#', 'Place in the network'],
  ['layer', 'Name'],
  ['shape', 'rows × inputs → outputs'],
  ['in bits', 'Bits of its input'],
  ['w bits', 'Bits of its weights'],
  ['SQNR, dB', 'Of its output, against float'],
  ['8-bit error', "What 8 bits of its input do to the outputs, as a share of the outputs' energy"],
  ['weight error', "What the bits of one plane of weights do to the outputs, as a share of the outputs' energy"],
  ['clipped', 'Share of its outputs at the limit of their type'],
  ['range', 'Of its input, in the float model'],
  ['step', 'Real value of one step of its input, least and greatest of all channels'],
] as const;

export function tableSection({ layers }: ReportData): string {
  const heads = COLUMNS.map(
    ([title, about], i) =>
      `<th scope="col"${i === 1 ? ' class="text"' : ''}><button type="button" title="${escapeHtml(about)}">` +
      `${title}</button></th>`,
  );
  return `<section><h2 id="layers">All layers</h2>
<p class="noprint"><label>Filter <input id="filter" type="search" placeholder="mlp.fc2" autocomplete="off"></label>
<span id="filter-count" class="dim" role="status">${layers.length} of ${layers.length} layers</span></p>
${scrolled(
  'Table of layers',
  `<table id="layer-table"><thead><tr>${heads.join('')}</tr></thead>` +
    `<tbody>${layers.map(tableRow).join('')}</tbody></table>`,
)}</section>`;
}

function tableRow(layer: LayerFigures, i: number): string {
  const { name, rows, inFeatures, outFeatures, inputBits, weightBits, sqnrDb, clipped, input } = layer;
  const cell = (value: number | null, text: string): string =>
    `<td data-value="${value === null || !Number.isFinite(value) ? '' : value}">${text}</td>`;
  const extent = (range: { min: number; max: number } | null): string =>
    range === null ? '–' : range.min === range.max ? short(range.min) : `${short(range.min)} … ${short(range.max)}`;
  const share = (value: number | null): string => (value === null ? '–' : short(value));
  return (
    `<tr>${cell(i + 1, String(i + 1))}<th scope="row" class="text"><a href="${href(i)}">${escapeHtml(name)}</a></th>` +
    cell(rows * inFeatures * outFeatures, `${rows} × ${inFeatures} → ${outFeatures}`) +
    cell(inputBits, String(inputBits)) +
    cell(weightBits, String(weightBits)) +
    cell(sqnrDb, decibels(sqnrDb)) +
    cell(input.sensitivity, share(input.sensitivity)) +
    cell(layer.weightSensitivity, share(layer.weightSensitivity)) +
    cell(clipped, `${short(100 * clipped)} %`) +
    cell(input.range?.max ?? null, extent(input.range)) +
    cell(input.scale?.max ?? null, extent(input.scale)) +
    '</tr>'
  );
}

/** Histograms of each layer's integers, in the network's order. */
export function histogramSection({ layers, analysis }: ReportData): string {
  const found = new Map(analysis.layers.map((integers) => [integers.name, integers]));
  const parts = layers.flatMap((layer, i) => {
    const integers = found.get(layer.name);
    return integers === undefined ? [] : [layerDetails(layer, integers, i)];
  });
  return `<section><h2 id="histograms">Weights and activations of each layer</h2>
<p>How often each integer occurs, on ${analysis.observedImages} images; heights are logarithmic. Red lines are the ends
of the type, as the chosen scale places them: what would lie beyond is clipped to them. A layer that uses a small part
of its type wastes bits; one with high bars at the ends clips.</p>
${parts.join('')}</section>`;
}

function layerDetails(layer: LayerFigures, { weights, inputs, outputs }: LayerIntegers, i: number): string {
  const step = (scale: { min: number; max: number } | null): string => {
    if (scale === null) return '';
    return scale.min === scale.max
      ? `1 step = ${short(scale.min)}`
      : `1 step = ${short(scale.min)} … ${short(scale.max)}`;
  };
  return (
    `<details id="layer-${i + 1}"><summary>${escapeHtml(layer.name)} <span class="dim">${decibels(layer.sqnrDb)} dB` +
    `</span></summary><div class="figures">${histogramPlot(weights, 'Weights', '')}` +
    `${histogramPlot(inputs, 'Inputs', step(layer.input.scale))}` +
    `${histogramPlot(outputs, 'Outputs', step(layer.output.scale))}</div></details>`
  );
}
