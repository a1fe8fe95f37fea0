/** How long work goes on that has several stages: guessed from the stage that is at work and what the others take. */

/** A stage that takes long, in the order in which they come. */
export interface Step {
  readonly stage: string;
  /** Its time, in any unit that all steps of a work share. */
  readonly share: number;
}

export interface Pace {
  /** Items of the stage in a second. */
  readonly rate: number;
  /** Seconds that the stage goes on. */
  readonly stage: number;
  /** Seconds that all goes on; null where nothing is known of what follows, or nothing follows. */
  readonly whole: number | null;
}

export class TimeLeft {
  private steps: readonly Step[] = [];
  private stage = '';
  private stageStart = 0;
  /** When the first of the steps began; what comes before them tells nothing of the model's speed. */
  private start: number | null = null;
  /** Shares of the steps that were done before this one. */
  private before = 0;

  /** Says what the work consists of. Steps that are left out at last, as a file has what they give, do no harm. */
  plan(steps: readonly Step[]): void {
    this.steps = steps;
  }

  /**
   * @param now milliseconds
   * @returns null where nothing can be said yet
   */
  update(stage: string, done: number, total: number, now: number): Pace | null {
    if (stage !== this.stage) this.begin(stage, now);
    const elapsed = (now - this.stageStart) / 1000;
    if (!(elapsed > 0) || !(done > 0)) return null;
    return {
      rate: done / elapsed,
      stage: (elapsed * (total - done)) / done,
      whole: this.wholeLeft((elapsed * (total - done)) / done, done / total, now),
    };
  }

  private begin(stage: string, now: number): void {
    this.before += this.shareOf(this.stage);
    [this.stage, this.stageStart] = [stage, now];
    if (this.shareOf(stage) > 0) this.start ??= now;
  }

  private shareOf(stage: string): number {
    return this.steps.find((step) => step.stage === stage)?.share ?? 0;
  }

  /** The stage's own time, and that of those after it at the pace so far. */
  private wholeLeft(stageLeft: number, fraction: number, now: number): number | null {
    const at = this.steps.findIndex((step) => step.stage === this.stage);
    const later = at === -1 ? 0 : this.steps.slice(at + 1).reduce((sum, { share }) => sum + share, 0);
    if (later === 0 || this.start === null) return null;
    const pace = (now - this.start) / 1000 / (this.before + this.steps[at].share * fraction);
    return stageLeft + later * pace;
  }
}
