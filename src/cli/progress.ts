import cliProgress from 'cli-progress';
import { seconds } from './render.js';

/** A progress bar on standard error with the time left; nothing where that is no terminal. */
export class Progress {
  private bar: cliProgress.SingleBar | null = null;
  private stage = '';
  private start = 0;

  update(stage: string, done: number, total: number): void {
    if (!process.stderr.isTTY) return;
    if (this.bar === null || stage !== this.stage) {
      this.stop();
      this.stage = stage;
      this.start = performance.now();
      this.bar = new cliProgress.SingleBar({
        format: `${stage} {bar} {percentage} %  {value}/{total}{left}`,
        stream: process.stderr,
        clearOnComplete: true,
        // An interrupt may end the process at any time: leave the terminal's settings alone.
        linewrap: true,
        barsize: 30,
        barCompleteChar: '█',
        barIncompleteChar: '░',
      });
      this.bar.start(total, 0, { left: '' });
    }
    const left = ((performance.now() - this.start) / 1000) * (total / done - 1);
    this.bar.update(done, { left: Number.isFinite(left) ? `  ${seconds(left)} left` : '' });
  }

  /** Clears the bar: before anything else is printed. */
  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }
}
