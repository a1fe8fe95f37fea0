/** Where the model looked, drawn over what it saw. */
import { overlaid } from '../explain/overlay.js';
import { withChannels } from '../images/channels.js';
import type { ImageMap } from '../web/index.js';
import { element } from './dom.js';

/** What the network read of an image. */
export interface Seen {
  /** u8 [height, width, channels], of 1 or 3 channels. */
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** A part of a result that asks for the maps when it is first opened. */
export function attentionPart(seen: Seen, ask: () => Promise<readonly ImageMap[] | null>): HTMLElement {
  const figures = element('div', { className: 'maps' }, [element('p', { className: 'quiet' }, ['Working it out…'])]);
  const part = element('details', {}, [element('summary', {}, ['Where it looked']), figures]);
  const open = async (): Promise<void> => {
    try {
      const maps = (await ask()) ?? [];
      figures.replaceChildren(...maps.map((map) => figureOf(seen, map)));
    } catch (error) {
      figures.replaceChildren(element('p', { className: 'error' }, [(error as Error).message]));
    }
  };
  part.addEventListener('toggle', () => void open(), { once: true });
  return part;
}

function figureOf({ pixels, height, width }: Seen, map: ImageMap): Node {
  const canvas = element('canvas', { height, width });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${map.title}: the brighter, the more the model took from there`);
  const { data } = withChannels({ data: pixels, width, height, channels: pixels.length / (height * width) }, 3);
  const drawn = overlaid(data, map, { height, width });
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    image.data.set(drawn.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return element('figure', {}, [canvas, element('figcaption', { className: 'quiet' }, [map.title])]);
}
