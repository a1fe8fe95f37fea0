/** Pages in a headless Firefox as distributions have it, driven by its own protocol, Marionette: JSON over TCP. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const CANDIDATES = [process.env.IVIT_FIREFOX ?? '', '/usr/bin/firefox-esr', '/usr/bin/firefox'];
const FIREFOX = CANDIDATES.find((file) => file !== '' && existsSync(file));
export const hasFirefox = FIREFOX !== undefined;

/** Any free port, and nothing that asks the network for something. */
const PREFERENCES = {
  'marionette.port': 0,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'captivedetect.canonicalURL': '',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': '',
  'toolkit.telemetry.enabled': false,
};
const START_MS = 60_000;
const SCRIPT_MS = 100_000;

export class Firefox {
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #failure: Error | null = null;
  #last = 0;
  #received = Buffer.alloc(0);

  private constructor(
    private readonly process: ChildProcess,
    private readonly profile: string,
    private readonly socket: Socket,
  ) {
    socket.on('data', (part) => this.#receive(part));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('Firefox has closed the connection')));
  }

  static async launch(): Promise<Firefox> {
    const profile = mkdtempSync(path.join(tmpdir(), 'ivit-firefox-'));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
    writeFileSync(path.join(profile, 'user.js'), lines.join('\n'));
    const child = spawn(FIREFOX!, ['--headless', '--marionette', '--no-remote', '--profile', profile], {
      stdio: 'ignore',
      env: { ...process.env, HOME: profile },
    });
    try {
      const port = await portOf(profile, child);
      const socket = connect(port, '127.0.0.1');
      const firefox = new Firefox(child, profile, socket);
      await firefox.ask('WebDriver:NewSession', {});
      await firefox.ask('WebDriver:SetTimeouts', { script: SCRIPT_MS });
      return firefox;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  async open(url: string): Promise<void> {
    await this.ask('WebDriver:Navigate', { url });
  }

  /** Runs the body of an async function in the page, with `args`; what it returns must be JSON. */
  async evaluate<T>(body: string, ...args: unknown[]): Promise<T> {
    const script = `
      const done = arguments[arguments.length - 1];
      (async function (...args) { ${body} })(...[...arguments].slice(0, -1))
        .then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const answer = (await this.ask('WebDriver:ExecuteAsyncScript', { script, args, sandbox: null })) as {
      value: { value: T; error?: string };
    };
    if (answer.value.error !== undefined) throw new Error(answer.value.error);
    return answer.value.value;
  }

  async close(): Promise<void> {
    const { exitCode, signalCode } = this.process;
    const hasEnded = exitCode !== null || signalCode !== null;
    const ended = hasEnded ? null : new Promise((resolve) => this.process.once('exit', resolve));
    await this.ask('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => undefined);
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
    this.socket.destroy();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  private ask(command: string, parameters: object): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = ++this.#last;
    const text = JSON.stringify([0, id, command, parameters]);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.socket.write(`${Buffer.byteLength(text)}:${text}`);
    });
  }

  /** Messages are `length:JSON`; the first greets, the others are [1, id, error, result]. */
  #receive(part: Buffer): void {
    this.#received = Buffer.concat([this.#received, part]);
    for (;;) {
      const colon = this.#received.indexOf(':');
      const end = colon + 1 + Number(this.#received.subarray(0, colon).toString());
      if (colon < 0 || this.#received.length < end) return;
      const message: unknown = JSON.parse(this.#received.subarray(colon + 1, end).toString());
      this.#received = this.#received.subarray(end);
      if (!Array.isArray(message)) continue;
      const [, id, error, result] = message as [number, number, { message: string } | null, unknown];
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === null) waiting?.resolve(result);
      else waiting?.reject(new Error(error.message));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Firefox writes the port into its profile when it listens. */
async function portOf(profile: string, child: ChildProcess): Promise<number> {
  const file = path.join(profile, 'MarionetteActivePort');
  for (const start = Date.now(); Date.now() - start < START_MS;) {
    if (existsSync(file)) {
      const port = Number(readFileSync(file, 'utf8'));
      if (port > 0) return port;
    }
    if (child.exitCode !== null) throw new Error(`Firefox ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('Firefox does not listen');
}
