import cliProgress from 'cli-progress';

/** A progress bar on standard error with the time left; nothing where that is no terminal. */
export class Progress {
  private bar: cliProgress.SingleBar | null = null;
  private stage = '';

  update(stage: string, done: number, total: number): void {
    if (!process.stderr.isTTY) return;
    if (stage !== this.stage) {
      this.stop();
      this.stage = stage;
      this.bar = new cliProgress.SingleBar({
        format: `${stage} {bar} {percentage} %  {value}/{total}  {eta_formatted} left`,
        stream: process.stderr,
        clearOnComplete: true,
        barsize: 30,
        barCompleteChar: '█',
        barIncompleteChar: '░',
        etaBuffer: 20,
      });
      this.bar.start(total, done);
    }
    this.bar?.update(done);
  }

  /** Clears the bar: before anything else is printed. */
  stop(): void {
    this.bar?.stop();
    this.bar = null;
    this.stage = '';
  }
}
