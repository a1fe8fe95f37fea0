/** What a label holds: its text, and perhaps the WordNet id that leads it. */
const SYNSET = /^(n\d{8})[\s,:;]+(\S.*)$/;

/** What to show of a label: without its WordNet id. */
export function labelText(label: string): string {
  return SYNSET.exec(label)?.[2] ?? label;
}

/** The WordNet id that leads a label, where there is one. */
export function labelSynset(label: string): string | undefined {
  return SYNSET.exec(label)?.[1];
}
