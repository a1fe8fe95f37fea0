import cliProgress from 'cli-progress';
import { complain, seconds, significant } from './render.js';

/** Without a terminal, a line tells so often that work goes on. */
const SIGN_OF_LIFE_MS = 15_000;

/**
 * How far long work is: on a terminal a bar on standard error with rate and time left, else a line now and then. What
 * is shown before the first step, while files are read, takes no bar.
 */
export class Progress {
  private bar: cliProgress.SingleBar | null = null;
  private stage = '';
  private start = performance.now();
  private toldAt = performance.now();

  update(stage: string, done: number, total: number): void {
    const now = performance.now();
    if (stage !== this.stage) {
      this.stop();
      this.stage = stage;
      this.start = now;
    }
    const elapsed = (now - this.start) / 1000;
    const rate = done / elapsed;
    const left = elapsed * (total / done - 1);
    const isKnown = Number.isFinite(rate) && Number.isFinite(left);
    const told = isKnown ? `  ${significant(rate)}/s, ${seconds(left)} left` : '';
    if (process.stderr.isTTY) this.draw(done, total, told);
    else if (now - this.toldAt >= SIGN_OF_LIFE_MS) {
      this.toldAt = now;
      complain('progress', `${stage.trim()} ${done} of ${total}${told && `,${told.slice(1)}`}`);
    }
  }

  private draw(done: number, total: number, told: string): void {
    if (this.bar === null) {
      this.bar = new cliProgress.SingleBar({
        format: `${this.stage} {bar} {percentage} %  {value}/{total}{told}`,
        stream: process.stderr,
        clearOnComplete: true,
        // An interrupt may end the process at any time: leave the terminal's settings alone.
        linewrap: true,
        barsize: 20,
        barCompleteChar: '█',
        barIncompleteChar: '░',
      });
      this.bar.start(total, 0, { told: '' });
    }
    this.bar.update(done, { told });
  }

  /** Clears the bar: before anything else is printed. */
  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }
}
