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
/** Elements of all constants that are made, and pieces of all rearrangements, beyond twice the weights of the file. */
const MAX_MADE_TOGETHER = 2 ** 27;
/** Multiply-adds of all products of constants. */
const MAX_MULTIPLICATIONS = 2 ** 32;

/** What is left for one model. Everything is counted before it is made. */
export class ImportBudget {
  private elements = MAX_MADE_TOGETHER;
  private multiplications = MAX_MULTIPLICATIONS;

  /** Weights of the file allow as much arithmetic on them as a model can need. */
  allow(weights: number): void {
    this.elements += 2 * weights;
  }

  make(elements: number): void {
    this.elements -= elements;
    if (this.elements < 0)
      throw new InputError(
        `more than ${MAX_MADE_TOGETHER} numbers would have to be made of the file's own: no Vision Transformer needs ` +
          'that, the file is damaged',
      );
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
