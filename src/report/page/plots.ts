/** Plots as static SVG: they need no script, and print. Colours are those of the style sheet. */
import type { Curve, Histogram, IntegerHistogram } from '../types.js';
import { escapeHtml, short } from './html.js';

/** One bar of a plot over the layers. */
export interface Bar {
  readonly label: string;
  /** null: no bar. */
  readonly value: number | null;
  /** Class of the style sheet. */
  readonly kind: string;
  readonly title: string;
  readonly href: string;
}

interface Axis {
  /** What the ticks are labelled with. */
  readonly ticks: readonly number[];
  /** 0 at the bottom, 1 at the top. */
  readonly at: (value: number) => number;
  readonly text: (tick: number) => string;
}

const WIDTH = 960;
const HEIGHT = 240;
const LEFT = 44;
const TOP = 26;

const n = (value: number): string => String(Number(value.toFixed(1)));

/** Bars in the order of the network; those of `marked` bear their label. */
export function barPlot(bars: readonly Bar[], axis: Axis, about: string, marked: ReadonlySet<string>): string {
  const step = (WIDTH - LEFT) / bars.length;
  const y = (value: number): number => TOP + (HEIGHT - TOP) * (1 - Math.max(0, Math.min(1, axis.at(value))));
  const grid = axis.ticks.map(
    (tick) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${n(y(tick))}" y2="${n(y(tick))}"/>` +
      `<text class="tick" x="${LEFT - 6}" y="${n(y(tick) + 4)}" text-anchor="end">${axis.text(tick)}</text>`,
  );
  const marks: string[] = [];
  const drawn = bars.map(({ label, value, kind, title, href }, i) => {
    if (value === null) return '';
    const x = LEFT + i * step;
    const top = y(value);
    const isMarked = marked.has(label);
    const rect =
      `<a href="${href}" tabindex="-1"><rect class="${kind}${isMarked ? ' worst' : ''}" x="${n(x + step * 0.1)}" ` +
      `y="${n(top)}" width="${n(step * 0.8)}" height="${n(Math.max(1, HEIGHT - top))}">` +
      `<title>${escapeHtml(title)}</title></rect></a>`;
    if (!isMarked) return rect;
    const middle = n(x + step / 2);
    const anchor = x > WIDTH * 0.7 ? 'end' : x < WIDTH * 0.3 ? 'start' : 'middle';
    // Above all bars, so that none hides it.
    marks.push(
      `<line class="leader" x1="${middle}" x2="${middle}" y1="${TOP - 8}" y2="${n(top)}"/>` +
        `<text class="mark" x="${middle}" y="${TOP - 12}" text-anchor="${anchor}">${escapeHtml(label)}</text>`,
    );
    return rect;
  });
  return (
    `<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT + 4}" role="img" aria-label="${escapeHtml(about)}">` +
    `${grid.join('')}${drawn.join('')}${marks.join('')}</svg>`
  );
}

const SMALL = { width: 300, height: 84 };

/** Bars of a histogram, the height by the logarithm of the counts, with the ends of the type drawn in. */
export function histogramPlot(histogram: IntegerHistogram, title: string, unit: string): string {
  const { from, step, counts, ends, atEnds, type } = histogram;
  const { width, height } = SMALL;
  const shown = trimmed(histogram);
  const [first, last] = [from + shown.first * step, from + shown.end * step];
  const x = (value: number): number => ((value - first) / (last - first)) * width;
  const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b), 1));
  let path = `M0 ${height}`;
  for (let i = shown.first; i < shown.end; i++) {
    const top = height - (Math.log1p(counts[i]) / most) * (height - 8);
    path += `V${n(top)}H${n(x(from + (i + 1) * step))}`;
  }
  const limits = ends
    .filter((end) => end >= first && end <= last)
    .map((end) => `<line class="limit" x1="${n(x(end))}" x2="${n(x(end))}" y1="0" y2="${height}"/>`);
  // Rows that are scaled by their own largest value reach the end by design.
  const clipped = type === 'rows' ? '' : `, ${short(100 * atEnds)} % at the ends`;
  const about = `${title}: ${type}, ${short(first)} to ${short(last)}${clipped}`;
  return (
    `<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(about)}">` +
    `<path class="area" d="${path}V${height}Z"/>${limits.join('')}</svg>` +
    `<figcaption>${escapeHtml(about)}${unit === '' ? '' : `<br>${escapeHtml(unit)}`}</figcaption></figure>`
  );
}

/** The part of a histogram that holds anything. */
function trimmed({ counts }: Histogram): { first: number; end: number } {
  const first = counts.findIndex((count) => count > 0);
  const end = counts.findLastIndex((count) => count > 0) + 1;
  return first < 0 ? { first: 0, end: counts.length } : { first, end };
}

/** An integer function over the exact one, with the share of the data below. */
export function curvePlot(curve: Curve, about: string, axis: string): string {
  const { width, height } = { width: 460, height: 250 };
  const low = Math.min(...curve.exact, ...curve.integer);
  const high = Math.max(...curve.exact, ...curve.integer);
  const [first, last] = [curve.x[0], curve.x[curve.x.length - 1]];
  const x = (value: number): number => ((value - first) / (last - first)) * (width - LEFT) + LEFT;
  const y = (value: number): number => height - 22 - ((value - low) / (high - low)) * (height - 40);
  const line = (values: readonly number[]): string =>
    values.map((value, i) => `${i === 0 ? 'M' : 'L'}${n(x(curve.x[i]))} ${n(y(value))}`).join('');
  const most = Math.max(...curve.share, 1e-9);
  const floor = height - 22;
  const data = curve.share.map((share, i) => `L${n(x(curve.x[i]))} ${n(floor - (share / most) * (height - 60))}`);
  const ticks = [first, (first + last) / 2, last].map(
    (tick) => `<text class="tick" x="${n(x(tick))}" y="${height - 6}" text-anchor="middle">${short(tick)}</text>`,
  );
  const levels = [low, high].map(
    (level) => `<text class="tick" x="${LEFT - 6}" y="${n(y(level) + 4)}" text-anchor="end">${level.toFixed(1)}</text>`,
  );
  return (
    `<figure><svg class="curve" viewBox="0 0 ${width + 12} ${height}" role="img" aria-label="${escapeHtml(about)}">` +
    `<path class="data" d="M${n(x(first))} ${floor}${data.join('')}L${n(x(last))} ${floor}Z"/>` +
    `<path class="exact" d="${line(curve.exact)}"/><path class="integer" d="${line(curve.integer)}"/>` +
    `${ticks.join('')}${levels.join('')}</svg>` +
    `<figcaption><span class="key exact"></span>exact <span class="key integer"></span>integer ` +
    `<span class="key data"></span>where the data lie; ${escapeHtml(axis)}</figcaption></figure>`
  );
}
