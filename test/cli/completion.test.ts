/** What the shells themselves offer with the scripts of `ivit completion`. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { ivit, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();

const quoted = (text: string): string => `'${text}'`;

/** Each prints what is offered for the last word of a line, one a line. `NAME.completion` is the script. */
const SHELLS: Readonly<Record<string, (line: string) => readonly string[]>> = {
  bash: (line) => {
    const words = line.split(' ');
    return [
      'bash',
      '-c',
      `source bash.completion; COMP_WORDS=(${words.map(quoted).join(' ')}); COMP_CWORD=${words.length - 1}; _ivit
       printf '%s\n' "\${COMPREPLY[@]}"`,
    ];
  },
  fish: (line) => ['fish', '--no-config', '-c', `source fish.completion; complete -C '${line}'`],
  // zsh completes in its line editor alone: one types into it.
  zsh: (line) => [
    'zsh',
    '-f',
    '-c',
    String.raw`zmodload zsh/zpty
      zpty editor zsh -f -i
      zpty -w editor 'PROMPT=; source typed.zsh'
      zpty -r editor seen '*READY*'
      zpty -w -n editor "$1"$'\t'
      zpty -r editor seen '*ALL OFFERED*'
      zpty -d editor
      print -r -- "$seen" | tr -d '\r' | sed -n 's/^.*OFFERED: //p'`,
    'zsh',
    line,
  ],
};

/** What runs in the shell that is typed into: what completion adds is printed. */
const TYPED = String.raw`
autoload -U compinit && compinit -D -u
source zsh.completion
compadd() {
  if [[ ${'$'}{@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a offered
  builtin compadd -O offered "$@"
  (( $#offered )) && print -rl -- '' OFFERED:\ ${'$'}{^offered}
  builtin compadd "$@"
}
complete-and-end() { zle complete-word; print; print ALL OFFERED; exit }
zle -N complete-and-end
bindkey '^I' complete-and-end
print READY
`;

beforeAll(async () => {
  for (const name of ['a file.onnx', 'model.onnx']) await writeFile(folder.path(name), '');
  await writeFile(folder.path('typed.zsh'), TYPED);
  for (const shell of Object.keys(SHELLS))
    await writeFile(folder.path(`${shell}.completion`), (await ivit(['completion', shell])).stdout);
});

describe.each(Object.keys(SHELLS))('%s', (shell) => {
  const isThere = spawnSync(shell, ['-c', 'true']).status === 0;

  function offered(line: string): string[] {
    const [command, ...args] = SHELLS[shell]!(line);
    const options = { cwd: folder.path(), encoding: 'utf8', timeout: 30_000 } as const;
    const { stdout, stderr } = spawnSync(command!, args, options);
    expect(stderr).toBe('');
    // What fish offers has a description after a tab.
    return stdout.split('\n').flatMap((told) => told.split('\t')[0] || []);
  }

  test.skipIf(!isThere)(`commands, options, values and files${isThere ? '' : ` (no ${shell} here)`}`, async () => {
    const commands = (await createProgram()).commands.map((command) => command.name());
    expect(offered('ivit ')).toEqual(expect.arrayContaining(commands));
    expect(offered('ivit quantize --ker')).toEqual(['--kernels']);
    expect(offered('ivit infer --backend ').sort()).toEqual(['native', 'reference', 'wasm']);
    expect(offered('ivit export model.ivit --to ').sort()).toEqual(['c', 'onnx']);
    expect(offered('ivit quantize mod')).toEqual(['model.onnx']);
    expect(offered('ivit quantize model.onnx --images mod')).toEqual(['model.onnx']);
    expect(offered('ivit completion f')).toEqual(['fish']);
    expect(offered('ivit doctor mod')).toEqual([]);
  });

  test('has every command and every option', async () => {
    const { stdout } = await ivit(['completion', shell]);
    for (const command of (await createProgram()).commands) {
      expect(stdout).toContain(command.name());
      for (const { long } of command.options)
        expect(stdout).toContain({ zsh: `${long}[`, fish: `-l ${long!.slice(2)}` }[shell] ?? long);
    }
  });
});
