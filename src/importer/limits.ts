/** What importing a model may cost: far beyond any Vision Transformer, and little enough for any machine. */
import { InputError } from '../errors.js';

/** Longest side of the image. */
export const MAX_EDGE = 8192;
/** Elements of an activation. */
export const MAX_ELEMENTS = 2 ** 28;
/** Elements of a constant that arithmetic on weights makes. */
export const MAX_FOLDED = 2 ** 26;
/** Elements of a constant that shape arithmetic makes out of nothing. */
export const MAX_MADE = 2 ** 24;
/** Elements of all constants that are made, beyond twice the weights of the file. */
const MAX_MADE_TOGETHER = 2 ** 27;
/** Pieces of all rearrangements. XCiT-S of 24 blocks moves its channels 2^28 times at 384×384. */
const MAX_MOVED_TOGETHER = 2 ** 29;
/** Multiply-adds of all products of constants. */
const MAX_MULTIPLICATIONS = 2 ** 32;

/** What is left for one model. Everything is counted before it is made. */
export class ImportBudget {
  private elements = MAX_MADE_TOGETHER;
  private pieces = MAX_MOVED_TOGETHER;
  private multiplications = MAX_MULTIPLICATIONS;

  /** Weights of the file allow as much arithmetic on them as a model can need. */
  allow(weights: number): void {
    this.elements += 2 * weights;
  }

  make(elements: number): void {
    this.elements -= elements;
    if (this.elements < 0) throw tooMany(MAX_MADE_TOGETHER);
  }

  move(pieces: number): void {
    this.pieces -= pieces;
    if (this.pieces < 0) throw tooMany(MAX_MOVED_TOGETHER);
  }

  multiply(count: number): void {
    this.multiplications -= count;
    if (this.multiplications < 0)
      throw new InputError(
        `products of constants would take more than ${MAX_MULTIPLICATIONS} multiplications: export the model with ` +
          'its constants folded',
      );
  }
}

const tooMany = (limit: number): InputError =>
  new InputError(
    `more than ${limit} numbers would have to be made of the file's own: no Vision Transformer needs that, the file ` +
      'is damaged',
  );
