import { unsupportedExtension } from '../formats/recognize.js';

/** Counts the images of a folder that are of kinds that are not decoded, and so are left out. */
export class UnreadImages {
  private readonly counts = new Map<string, number>();

  /** @returns whether the file is such an image, and is counted */
  add(name: string): boolean {
    const extension = unsupportedExtension(name);
    if (extension === null) return false;
    this.counts.set(extension, (this.counts.get(extension) ?? 0) + 1);
    return true;
  }

  /** Extension → how many, most first. */
  byExtension(): Record<string, number> {
    return Object.fromEntries([...this.counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
  }

  /** One line for the user; null where there are none. */
  notice(source: string): string | null {
    const counts = Object.entries(this.byExtension());
    if (counts.length === 0) return null;
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    return (
      `${source}: ${total} ${total === 1 ? 'image is' : 'images are'} left out, of a kind that is not decoded ` +
      `(${counts.map(([extension, count]) => `${count} .${extension}`).join(', ')}): convert to JPEG or PNG`
    );
  }
}
