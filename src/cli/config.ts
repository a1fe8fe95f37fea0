/** Options in a file: a JSON object with a section for each command, whose keys are the options' names. */
import { readFileSync } from 'node:fs';
import type { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { nearFile } from '../near-file.js';
import { suggestion } from '../names.js';
import { WHOLE_NUMBERS, isRepeatable } from './options.js';
import { complain } from './render.js';

const CONFIG_FLAGS = '--config <file.json>';
/** Commands with options that are worth keeping. */
const CONFIGURABLE = ['quantize', 'infer', 'eval', 'compare', 'report', 'verify', 'export', 'serve', 'bench'];

export function addConfigOption(command: Command): void {
  if (!CONFIGURABLE.includes(command.name())) return;
  command.option(CONFIG_FLAGS, 'take options from a file, from the section of this command; those given here win');
}

/** Options that say something about one call alone. */
const NOT_IN_FILES = new Set(['--config', '--help', '--debug', '--json', '--version']);

const optionsOf = (command: Command): Option[] => command.options.filter(({ long }) => !NOT_IN_FILES.has(long!));
const isConfigurable = (command: Command): boolean => command.options.some(({ flags }) => flags === CONFIG_FLAGS);

/** Whether arguments name a file of options. */
export const namesConfig = (args: readonly string[]): boolean => args.some((arg) => /^--config(=|$)/.test(arg));

/**
 * The arguments with those of the file that they name; what they give themselves wins.
 *
 * @param program one that parses nothing else: it is used up
 * @throws UsageError, or CommanderError, for what the file may not say
 */
export function withConfig(program: Command, args: readonly string[]): string[] {
  const at = args.findIndex((arg) => !arg.startsWith('-'));
  const command = program.commands.find((one) => one.name() === args[at]);
  if (command === undefined || !isConfigurable(command)) return [...args];
  command.parseOptions(args.slice(at + 1));
  const file = command.getOptionValue('config') as string;
  const parts = Object.entries(sectionOf(command, file)).map(([key, value]) => {
    const option = optionsOf(command).find(({ long }) => long === `--${key}`);
    if (option === undefined) {
      const known = optionsOf(command).map(({ long }) => long!.slice(2));
      throw new UsageError(
        `${file}: ${command.name()} has no option ${key}${suggestion(key, known) || suggested(command)}`,
      );
    }
    const isGiven = command.getOptionValueSource(option.attributeName()) === 'cli';
    return { isGiven, args: argumentsOf(option, value, `${file}: ${key} of ${command.name()}`) };
  });
  const outputError = (text: string) => complain('error', `${file}: ${text.trim().replace(/^error: /, '')}`);
  command.configureOutput({ outputError }).parseOptions(parts.flatMap((part) => part.args));
  const added = parts.flatMap((part) => (part.isGiven ? [] : part.args));
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  return [...args.slice(0, end), ...added, ...args.slice(end)];
}

const suggested = (command: Command): string => `; ivit help ${command.name()} lists them`;

/** What the file says of a command. @throws UsageError for what is no such file */
function sectionOf(command: Command, file: string): Record<string, unknown> {
  const content = read(file);
  for (const key of Object.keys(content))
    if (key !== '$schema' && !CONFIGURABLE.includes(key))
      throw new UsageError(
        `${file}: ${key} is no command with options in files` +
          (suggestion(key, CONFIGURABLE) || `; ${CONFIGURABLE.join(', ')} are`),
      );
  const section = content[command.name()] ?? {};
  if (isObject(section)) return section;
  throw new UsageError(`${file}: ${command.name()} must be an object of options, like { "threads": 2 }`);
}

function read(file: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? `there is no such file${nearFile(file)}` : message;
    throw new UsageError(`--config ${file}: ${reason}; it must be a file of JSON`, { cause: error });
  }
  if (isObject(content)) return content;
  throw new UsageError(`${file} must hold an object with a section for each command, like { "quantize": { … } }`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** As the command line has them. @throws UsageError for a value of another kind than the option takes */
function argumentsOf(option: Option, value: unknown, where: string): string[] {
  const takesValue = option.required || option.optional;
  if (typeof value === 'boolean' && !option.required) return value ? [option.long!] : [];
  const values = Array.isArray(value) && isRepeatable(option) ? value : [value];
  const isText = (one: unknown): boolean => typeof one === 'string' || typeof one === 'number';
  if (takesValue && values.every(isText)) return values.map((one) => `${option.long}=${one}`);
  const kinds = takesValue ? `a text or a number${isRepeatable(option) ? ', or a list of them' : ''}` : 'true or false';
  throw new UsageError(`${where} must be ${kinds}, not ${JSON.stringify(value)}`);
}

/** A JSON Schema of such files, for editors. */
export function configSchema(program: Command): object {
  const section = (command: Command) => ({
    type: 'object',
    description: command.description(),
    additionalProperties: false,
    properties: Object.fromEntries(optionsOf(command).map((option) => [option.long!.slice(2), schemaOf(option)])),
  });
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Options of ivit: ivit COMMAND --config FILE',
    type: 'object',
    additionalProperties: false,
    properties: {
      $schema: { type: 'string' },
      ...Object.fromEntries(
        program.commands.filter(isConfigurable).map((command) => [command.name(), section(command)]),
      ),
    },
  };
}

function schemaOf(option: Option): object {
  const { description, argChoices, parseArg } = option;
  const least = WHOLE_NUMBERS.get(parseArg);
  if (!option.required && !option.optional) return { description, type: 'boolean' };
  if (argChoices !== undefined) return { description, enum: argChoices };
  if (least !== undefined)
    return { description, type: option.optional ? ['integer', 'boolean'] : 'integer', minimum: least };
  const one = { type: ['string', 'number'] };
  return isRepeatable(option) ? { description, anyOf: [one, { type: 'array', items: one }] } : { description, ...one };
}
