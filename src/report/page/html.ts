/** Text and numbers as they stand on the page. */

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character]);
}

/** A row of a table. */
export const tableRow = (cells: readonly string[]): string =>
  `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;

/** A table in a region that scrolls sideways where it is wide. */
export const scrolledTable = (about: string, heads: readonly string[], rows: readonly string[]): string =>
  scrolled(
    about,
    `<table><thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr></thead>` +
      `<tbody>${rows.join('')}</tbody></table>`,
  );

/** What may be wider than a phone: it scrolls by itself, by keyboard too. */
export const scrolled = (about: string, content: string): string =>
  `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(about)}">${content}</div>`;

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

/** Three digits, with an exponent where a number is very small or large. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(1).replace('e-', 'e−');
  return String(Number(value.toPrecision(3)));
}

export const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
