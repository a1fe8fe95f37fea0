/** A report as one HTML page that needs nothing else: no network, no other file. */
import type { Example, FunctionError, Ranked, ReportData } from '../types.js';
import { renderDocument } from './document.js';
import { decibels } from '../../number-format.js';
import { escapeHtml, megabytes, percent, scrolledTable, short, tableRow } from './html.js';
import { histogramSection, sensitivitySection, sqnrSection, tableSection } from './layers.js';
import { curvePlot } from './plots.js';
import { SCRIPT } from './script.js';

/** The figures as JSON, without the pictures: what `--report` writes to a `.json` file, and the page holds. */
export function reportJson(data: ReportData): string {
  return JSON.stringify(data, (key, value: unknown) => (key === 'thumbnail' ? undefined : value), 2);
}

export function renderPage(data: ReportData): string {
  return renderDocument({
    title: `${data.source}: integer model report`,
    generator: 'ivit report',
    lead: `${escapeHtml(data.output)}, written by ${escapeHtml(data.tool)};\n${escapeHtml(data.analysis.about)}`,
    sections: [
      adviceSection,
      summarySection,
      sqnrSection,
      sensitivitySection,
      exampleSection,
      functionSection,
      tableSection,
      histogramSection,
      repeatSection,
    ].map((section) => section(data)),
    json: reportJson(data),
    script: SCRIPT,
  });
}

function adviceSection({ advice }: ReportData): string {
  const items = advice.map(
    ({ kind, text, option }) =>
      `<li class="${kind}">${escapeHtml(text)}${option === null ? '' : `<br><code>${escapeHtml(option)}</code>`}</li>`,
  );
  return `<section><h2 id="advice">What to do</h2><ul class="advice">${items.join('')}</ul></section>`;
}

function summarySection(data: ReportData): string {
  const { analysis, bytes, floatBytes, parameters } = data;
  const { fidelity, speed } = analysis;
  const card = (title: string, value: string, more: string): string =>
    `<div><dt>${title}</dt><dd>${value}<small>${more}</small></dd></div>`;
  const { kl, interval, top1Agreement, images } = fidelity;
  const cards = [
    card(
      'Size',
      megabytes(bytes),
      `float: ${megabytes(floatBytes)}, ${short(floatBytes / bytes)} times as large; ` +
        `${short(parameters / 1e6)} M parameters`,
    ),
    top1Agreement === null || interval === null
      ? ''
      : card(
          'Same decision',
          `<span id="agreement">${percent(top1Agreement)}</span>`,
          `of ${images} images; 95\u00a0% interval ${interval.map(percent).join(' to ').replaceAll(' %', '\u00a0%')}`,
        ),
    card('SQNR of the outputs', `<span id="sqnr-db">${decibels(fidelity.sqnrDb)} dB</span>`, `on ${images} images`),
    kl === null
      ? ''
      : card(
          'KL divergence',
          `<span id="kl">${short(kl.mean)}</span>`,
          `nats, the mean; median ${short(kl.p50)}, 90 % below ${short(kl.p90)}, ` +
            `99 % below ${short(kl.p99)}, largest ${short(kl.max)}`,
        ),
    speed === null
      ? ''
      : card(
          'Time of an image',
          `${short(speed.latencyMs.p50)} ms`,
          `the median; 90 % below ${short(speed.latencyMs.p90)} ms; ` +
            `${escapeHtml(speed.backend)} (${escapeHtml(speed.isa)}), threads: ${speed.threads}`,
        ),
  ];
  const outputs = fidelity.outputs.map(({ name, shape, sqnrDb, cosine }) =>
    tableRow([escapeHtml(name), shape.join(' × '), decibels(sqnrDb), cosine.toFixed(6)]),
  );
  const table = outputs.length < 2 ? '' : scrolledTable('Outputs', ['output', 'shape', 'SQNR, dB', 'cosine'], outputs);
  return `<section><h2 id="summary">Summary</h2><dl class="cards">${cards.join('')}</dl>${table}</section>`;
}

function exampleSection({ analysis, classes }: ReportData): string {
  if (classes === 0) return '';
  const { disagreements, examples, fidelity } = analysis;
  const text =
    disagreements === 0
      ? `None of ${fidelity.images} images is decided differently. These differ most:`
      : `${disagreements} of ${fidelity.images} images ${disagreements === 1 ? 'is' : 'are'} decided differently` +
        `${examples.length < disagreements ? `; the ${examples.length} that differ most` : ''}:`;
  return `<section><h2 id="examples">Images on which the two models differ</h2><p>${text}</p>
<div class="examples">${examples.map(exampleArticle).join('')}</div></section>`;
}

function exampleArticle({ name, kl, float, integer, thumbnail }: Example): string {
  const image = thumbnail === null ? '' : `<img src="${thumbnail}" width="96" alt="">`;
  const said = ({ index, label, probability }: Ranked): string =>
    `${escapeHtml(label ?? `class ${index}`)} <span class="dim">${percent(probability)}</span>`;
  const rows = float.map((one, i) => `<tr><td>${said(one)}</td><td class="text">${said(integer[i])}</td></tr>`);
  return `<article>${image}<h3>${escapeHtml(name)}</h3><p class="dim">KL ${short(kl)}</p>
<table><thead><tr><th scope="col">float</th><th scope="col" class="text">integer</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></article>`;
}

function functionSection({ analysis }: ReportData): string {
  const { softmax, softmaxCurve, activations, activationCurve } = analysis;
  if (softmax.length + activations.length === 0) return '';
  const worst = (errors: readonly FunctionError[]): string => {
    const most = errors.reduce((a, b) => (b.meanError > a.meanError ? b : a));
    return `${escapeHtml(most.name)}: mean error ${short(most.meanError)}, largest ${short(most.maxError)}`;
  };
  const softmaxPart =
    softmax.length === 0
      ? ''
      : `<div><h3>Softmax (${escapeHtml(softmax[0].kind)})</h3>${
          softmaxCurve === null
            ? ''
            : curvePlot(
                softmaxCurve,
                'The integer exponential beside 2^−d',
                'd: octaves below the largest score of a row',
              )
        }<p>Largest mean error of its probabilities: ${worst(softmax)}.</p></div>`;
  const activationPart =
    activations.length === 0
      ? ''
      : `<div><h3>${escapeHtml(activations[0].kind)}</h3>${
          activationCurve === null
            ? ''
            : curvePlot(activationCurve, 'The integer activation beside the exact one', 'x: its input')
        }<p>Largest mean error: ${worst(activations)}.</p></div>`;
  const rows = [...softmax, ...activations].map(({ name, kind, meanError, maxError, sqnrDb }) =>
    tableRow([escapeHtml(name), escapeHtml(kind), short(meanError), short(maxError), decibels(sqnrDb)]),
  );
  const heads = ['op', 'function', 'mean error', 'largest error', 'SQNR, dB'];
  return `<section><h2 id="functions">Integer functions beside the exact ones</h2>
<p>On the model's own data, of ${analysis.observedImages} images: the integers that go in are the same for both.</p>
<div class="pair">${softmaxPart}${activationPart}</div>
<details><summary>All of them</summary>${scrolledTable('Errors of the functions', heads, rows)}</details></section>`;
}

function repeatSection({ command, settings, calibration }: ReportData): string {
  const told = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return `<section><h2 id="repeat">To repeat it</h2><pre>${escapeHtml(command)}</pre>
<p class="dim">Settings: ${escapeHtml(told.join(', '))}. Calibrated on ${calibration.images} ${
    calibration.source === 'synthetic' ? 'made-up images' : 'images'
  }.</p><h2 id="words">The words</h2>
<p><b>Same decision</b>: the share of images whose first class is the same in both models. From 98 % on users see no
difference; with few images the interval is wide. <b>KL divergence</b>: how far the integer model's probabilities lie
from the float model's, in nats; below 0.01 is good. <b>SQNR</b>: the energy of the float values over that of the error,
in dB; each 6 dB halve the error. At the outputs, 25 dB and more are good.</p></section>`;
}
