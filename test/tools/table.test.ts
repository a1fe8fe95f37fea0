import { describe, expect, it } from 'vitest';
import { putRow } from '../../tools/measure/deploy/table.js';

const PAGE = `# Digests

| model | wasm | native |
| --- | --: | --: |
| scenes | 20 | 20 |

All of them:

| model | wasm | native | C, x86-64 |
| --- | --: | --: | --: |
| mixer | 3 | 3 | – |
| levit | – | – | 3 |

The end.
`;

describe('rows of a table', () => {
  it('take the cells of the columns that were run, and keep the others', () => {
    const text = putRow(PAGE, ['model', 'C, x86-64', 'wasm'], ['levit', '**2 of 3**', '3']);
    expect(text).toBe(PAGE.replace('| levit | – | – | 3 |', '| levit | 3 | – | **2 of 3** |'));
  });

  it('stay in the table that has them', () => {
    const text = putRow(PAGE, ['model', 'native'], ['scenes', '**19 of 20**']);
    expect(text).toBe(PAGE.replace('| scenes | 20 | 20 |', '| scenes | 20 | **19 of 20** |'));
  });

  it('are put below the last table that has their columns', () => {
    const text = putRow(PAGE, ['model', 'native'], ['xcit', '3']);
    expect(text).toBe(PAGE.replace('| levit | – | – | 3 |', '$&\n| xcit | – | 3 | – |'));
  });

  it('do not go into a table without one of the columns', () => {
    const columns = ['model', 'Firefox'];
    expect(() => putRow(PAGE, columns, ['levit', '3'])).toThrow('no table has the columns model, Firefox');
  });
});
