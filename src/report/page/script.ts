/** The page's only script: the table of layers sorts and filters, and links open the layer that they lead to. */
export const SCRIPT = `
'use strict';
const table = document.querySelector('#layer-table');
const body = table.tBodies[0];
const valueOf = (row, at) => {
  const cell = row.cells[at];
  const value = cell.dataset.value;
  return value === undefined ? cell.textContent : value === '' ? null : Number(value);
};
const compare = (a, b) => typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a - b;
table.querySelectorAll('thead button').forEach((button, at) => button.addEventListener('click', () => {
  const heading = button.parentElement;
  const up = heading.getAttribute('aria-sort') !== 'ascending';
  table.querySelectorAll('thead th').forEach((other) => other.removeAttribute('aria-sort'));
  heading.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [valueOf(a, at), valueOf(b, at)];
    if (x === null || y === null) return (x === null) - (y === null);
    return up ? compare(x, y) : compare(y, x);
  });
  body.append(...rows);
}));
const filter = document.querySelector('#filter');
const count = document.querySelector('#filter-count');
filter.addEventListener('input', () => {
  const wanted = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const row of body.rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
    if (!row.hidden) shown++;
  }
  count.textContent = shown + ' of ' + body.rows.length + ' layers';
});
const open = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener('hashchange', open);
open();
`;
