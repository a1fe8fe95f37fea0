/** Elements of the page. */

/** The element of an id that the page has. */
export function byId<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

type Children = readonly (Node | string)[];

/** A new element; what it holds is never read as HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  children: Children = [],
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Terms and what they mean; a term that is empty goes on with the one before. */
export function pairsOf(rows: readonly (readonly [name: string, value: string])[]): Node[] {
  return rows.flatMap(([name, value]) => [
    ...(name === '' ? [] : [element('dt', {}, [name])]),
    element('dd', {}, [value]),
  ]);
}

export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
}

export function tableOf(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): HTMLElement {
  const classOf = (i: number): string => (columns[i].isNumber ? 'number' : '');
  const head = columns.map(({ title }, i) => element('th', { scope: 'col', className: classOf(i) }, [title]));
  const body = rows.map((row) =>
    element(
      'tr',
      {},
      row.map((cell, i) => element('td', { className: classOf(i) }, [cell])),
    ),
  );
  return element('table', {}, [
    element('caption', {}, [caption]),
    element('thead', {}, [element('tr', {}, head)]),
    element('tbody', {}, body),
  ]);
}
