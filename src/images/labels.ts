/**
 * Class labels, one string per class in index order. A label may lead with its WordNet id, as ImageNet's lists do
 * (`n01440764 tench, Tinca tinca`): the id finds class folders, and is not shown.
 */
import { labelsOf } from './label-list.js';
import { labelSynset, labelText } from './label-text.js';
import { readBeside } from './preprocess/beside.js';

/**
 * Finds classes by what users call them: the whole label, its text, its WordNet id, or the first of its synonyms; case
 * and the difference between space, underscore and hyphen do not count. A name that means several classes finds none.
 */
export function labelIndex(labels: readonly string[]): (name: string) => number | undefined {
  const byName = new Map<string, number | 'ambiguous'>();
  // A name of a higher rank hides the same name of a lower: 'crane' the label, before 'crane, crane bird' the synonym.
  const ranks = [
    (label: string) => [label, labelText(label), labelSynset(label)],
    (label: string) => [labelText(label).split(',')[0]],
  ];
  for (const namesOf of ranks) {
    const ofRank = new Map<string, number | 'ambiguous'>();
    labels.forEach((label, index) => {
      for (const name of new Set(namesOf(label).map((one) => one && canonical(one)))) {
        if (name) ofRank.set(name, ofRank.has(name) ? 'ambiguous' : index);
      }
    });
    for (const [name, index] of ofRank) if (!byName.has(name)) byName.set(name, index);
  }
  return (name) => {
    const index = byName.get(canonical(name));
    return index === 'ambiguous' ? undefined : index;
  };
}

function canonical(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ');
}

/**
 * The `id2label` of the `config.json` beside a model, when it names as many classes as the model has; undefined where
 * there is none. A repository's placeholder names (LABEL_0, LABEL_1, …) count as none.
 */
export async function findLabels(modelPath: string, classCount: number): Promise<string[] | undefined> {
  const config = await readBeside(modelPath, 'config.json');
  const { id2label } = config?.content ?? {};
  if (config === undefined || typeof id2label !== 'object' || id2label === null) return undefined;
  const labels = labelsOf(id2label, config.path);
  const arePlaceholders = labels.every((label, index) => label === `LABEL_${index}`);
  return labels.length === classCount && !arePlaceholders ? labels : undefined;
}
