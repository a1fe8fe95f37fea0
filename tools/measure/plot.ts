/** One curve: its points in order of x. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** Whether y is drawn by its logarithm, from a power of ten on; default: from 0. */
  readonly logarithmic?: boolean;
  readonly series: readonly Series[];
}

const WIDTH = 480;
const HEIGHT = 300;
const MARGIN = { left: 56, right: 16, top: 32, bottom: 44 };
const COLOURS = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700'];

/** A line chart, as an SVG document that reads on white and on black. The x axis begins with 0. */
export function drawPlot({ title, x, y, logarithmic = false, series }: Plot): string {
  const xs = series.flatMap(({ points }) => points.map(([px]) => px));
  const ys = series.flatMap(({ points }) => points.map(([, py]) => py));
  const right = roundUp(Math.max(...xs));
  const yAxis = logarithmic ? decades(ys) : fromZero(ys);
  const toX = (value: number) => MARGIN.left + (value / right) * (WIDTH - MARGIN.left - MARGIN.right);
  const toY = (value: number) => HEIGHT - MARGIN.bottom - yAxis.place(value) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const text = (px: number, py: number, content: string, attributes = '') =>
    `<text x="${px}" y="${py}" ${attributes}>${content}</text>`;
  const parts = [text(WIDTH / 2, 18, title, 'text-anchor="middle" font-weight="bold"')];
  for (let i = 0; i <= 4; i++) {
    const vx = (right * i) / 4;
    parts.push(text(toX(vx), HEIGHT - MARGIN.bottom + 16, label(vx), 'text-anchor="middle"'));
  }
  for (const vy of yAxis.marks) {
    parts.push(
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${toY(vy)}" y2="${toY(vy)}" stroke="#888" ` +
        'stroke-opacity="0.3"/>',
    );
    parts.push(text(MARGIN.left - 6, toY(vy) + 4, label(vy), 'text-anchor="end"'));
  }
  parts.push(text((MARGIN.left + WIDTH - MARGIN.right) / 2, HEIGHT - 8, x, 'text-anchor="middle"'));
  parts.push(text(14, HEIGHT / 2, y, `text-anchor="middle" transform="rotate(-90 14 ${HEIGHT / 2})"`));
  // Curves that rise leave the upper left free, those that fall the upper right.
  const [{ points: first }] = series;
  const falls = first[0][1] > first.at(-1)![1];
  const legend = falls ? { x: WIDTH - MARGIN.right - 10, anchor: 'end' } : { x: MARGIN.left + 10, anchor: 'start' };
  series.forEach(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = points.map(([px, py]) => `${toX(px).toFixed(1)},${toY(py).toFixed(1)}`);
    parts.push(`<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const point of path)
      parts.push(`<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="3" fill="${colour}"/>`);
    parts.push(text(legend.x, MARGIN.top + 12 + 16 * i, name, `text-anchor="${legend.anchor}" fill="${colour}"`));
  });
  const font = 'font-family="sans-serif" font-size="12" fill="#888"';
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${font}>`;
  return `${open}\n${parts.join('\n')}\n</svg>\n`;
}

/** Where a value lies between an axis's ends, 0 to 1, and the values that are marked. */
interface Axis {
  readonly place: (value: number) => number;
  readonly marks: readonly number[];
}

function fromZero(values: readonly number[]): Axis {
  const end = roundUp(Math.max(...values));
  return { place: (value) => value / end, marks: [0, 1, 2, 3, 4].map((i) => (end * i) / 4) };
}

function decades(values: readonly number[]): Axis {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.ceil(Math.log10(Math.max(...values)));
  return {
    place: (value) => (Math.log10(value) - first) / (last - first),
    marks: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)),
  };
}

/** The least of 1, 2, 4, 5, 8, 10 times a power of ten that is not below. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 5, 8, 10].find((step) => step * power >= value)!;
}

function label(value: number): string {
  return String(Number(value.toPrecision(3)));
}
