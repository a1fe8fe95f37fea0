/** Lists of names in messages, and what somebody meant who wrote one that is not there. */
import { editDistance } from './metrics/edit-distance.js';

/** Letters to change, of those of a word, from which another word is meant. */
const FAR = 0.5;
/** How many names a list shows. */
const SHOWN = 5;

/** The first few names, and how many more there are. */
export function someOf(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return more > 1 ? `${names.slice(0, SHOWN).join(', ')} and ${more} more` : names.join(', ');
}

/** The names that are most like what was written, nearest first. */
export function nearestNames(written: string, names: readonly string[], count: number): string[] {
  return names
    .map((name) => ({ name, distance: editDistance(name.toLowerCase(), written.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ name }) => name);
}

/** `; did you mean wasm?` where one name is near enough to be meant, else nothing. */
export function suggestion(written: string, names: readonly string[]): string {
  const longer =
    written === '' ? undefined : names.find((name) => name.toLowerCase().startsWith(written.toLowerCase()));
  const nearest = longer ?? nearestNames(written, names, 1)[0];
  if (nearest === undefined) return '';
  const [a, b] = [nearest.toLowerCase(), written.toLowerCase()];
  const isNear = editDistance(a, b) <= Math.max(a.length, b.length) * FAR;
  return longer !== undefined || isNear ? `; did you mean ${nearest}?` : '';
}
