import cliProgress from 'cli-progress';
import { complain, notice, seconds, significant } from './render.js';
import { widthOf } from './terminal.js';
import { TimeLeft } from './time-left.js';
import type { Pace, Step } from './time-left.js';

/** Without a terminal, a line tells so often that work goes on … */
const SIGN_OF_LIFE_MS = 15_000;
/** … the first of them as soon as someone may wonder. */
const FIRST_SIGN_MS = 1500;
/** Cells of a bar: more tell nothing, fewer do not move. */
const [WIDEST_BAR, NARROWEST_BAR] = [20, 5];

/**
 * How far long work is: on a terminal a bar on standard error with rate and time left, else a line now and then. What
 * has one step takes no bar: it says what is done.
 */
export class Progress {
  private bar: cliProgress.SingleBar | null = null;
  private stage = '';
  /** What a line would say now. */
  private text = '';
  private told = false;
  private toldAt = performance.now();
  private readonly left = new TimeLeft();
  private timer: NodeJS.Timeout | null = null;

  /** Says what all the work consists of: then the time to its end is told too. */
  plan(steps: readonly Step[]): void {
    this.left.plan(steps);
  }

  /**
   * Says what is done before anything can be counted.
   *
   * @param isLong whether the program may be deaf meanwhile for longer than people like to wait: it is told at once
   */
  begin(what: string, isLong = false): void {
    this.update(what, 0, 1);
    if (process.stderr.isTTY) return;
    if (isLong) this.tell();
    else
      this.timer ??= setTimeout(() => {
        if (!this.told) this.tell();
      }, FIRST_SIGN_MS).unref();
  }

  update(stage: string, done: number, total: number): void {
    const now = performance.now();
    const pace = this.left.update(stage, done, total, now);
    if (stage !== this.stage) {
      this.clear();
      this.stage = stage;
    }
    this.text = lineText(stage, done, total, pace);
    if (process.stderr.isTTY) this.draw(done, total, pace);
    else if (now - this.toldAt >= (this.told ? SIGN_OF_LIFE_MS : FIRST_SIGN_MS)) this.tell();
  }

  private tell(): void {
    this.told = true;
    this.toldAt = performance.now();
    complain('progress', this.text);
  }

  private draw(done: number, total: number, pace: Pace | null): void {
    if (this.bar === null) {
      this.bar = new cliProgress.SingleBar({
        format: (_, params, payload: { pace: Pace | null }) =>
          barLine(this.stage, params.value, params.total, payload.pace, widthOf(process.stderr)),
        stream: process.stderr,
        clearOnComplete: true,
        // An interrupt may end the process at any time: leave the terminal's settings alone.
        linewrap: true,
      });
      this.bar.start(total, 0, { pace });
    }
    this.bar.update(done, { pace });
  }

  private clear(): void {
    this.bar?.stop();
    this.bar = null;
  }

  /** Something the user should know meanwhile: told above the bar. */
  readonly notice = (text: string): void => {
    this.stop();
    notice(text);
  };

  /** Clears the bar: before anything else is printed. */
  stop(): void {
    this.clear();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

const rateText = ({ rate }: Pace): string => `${significant(rate)}/s`;

function leftTexts({ stage, whole }: Pace): string[] {
  return [`${seconds(stage)} left`, ...(whole === null ? [] : [`about ${seconds(whole)} to the end`])];
}

/** Without a terminal. */
function lineText(stage: string, done: number, total: number, pace: Pace | null): string {
  if (total === 1) return stage;
  const times = pace === null ? [] : [rateText(pace), ...leftTexts(pace)];
  return [`${stage.replace(/ +/g, ' ').trim()} ${done} of ${total}`, ...times].join(', ');
}

/** One line that fits the terminal: the bar shrinks first, then the rate is left out, then the stage's own time. */
export function barLine(stage: string, done: number, total: number, pace: Pace | null, width: number): string {
  if (total === 1) return `${stage} …`;
  const texts = pace === null ? [] : [rateText(pace), ...leftTexts(pace)];
  const line = (cells: number, told: readonly string[]): string => {
    const full = Math.round((cells * done) / total);
    const share = `${Math.floor((100 * done) / total)} %`.padStart(5);
    return `${stage} ${'█'.repeat(full)}${'░'.repeat(cells - full)} ${share}  ${done}/${total}  ${told.join(', ')}`;
  };
  // The last column stays free: some terminals go on to the next line there.
  const roomOf = (told: readonly string[]): number => Math.min(WIDEST_BAR, width - 1 - line(0, told).length);
  const fitting = [0, 1, 2].map((from) => texts.slice(from)).find((told) => roomOf(told) >= NARROWEST_BAR);
  return fitting === undefined ? line(0, []).slice(0, width - 1) : line(roomOf(fitting), fitting);
}
