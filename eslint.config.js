import tseslint from 'typescript-eslint';

/**
 * The integer half of the project may hold no float arithmetic. `/` and fractional literals
 * are syntax, so a syntax rule finds them; `Math` is limited to what maps integers to integers.
 */
const integersOnly = [
  {
    selector: "BinaryExpression[operator='/']",
    message: 'No float division here: shift, or use an integer division helper.',
  },
  { selector: "AssignmentExpression[operator='/=']", message: 'No float division here.' },
  { selector: 'Literal[raw=/^[0-9_]*\\.[0-9]|^[0-9.]+e-/i]', message: 'No fractional literal here.' },
  {
    selector: "MemberExpression[object.name='Math']:not([property.name=/^(imul|clz32|min|max|abs|sign)$/])",
    message: 'Only integer Math functions here.',
  },
  { selector: 'Identifier[name=/^Float(16|32|64)Array$/]', message: 'No float arrays here.' },
  { selector: "CallExpression[callee.name='parseFloat']", message: 'No floats here.' },
];

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'native/build/', 'npm/', 'docs/api/', '**/*.mjs', 'coverage/'] },
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-imports': 'off',
    },
  },
  {
    files: ['src/program/**/*.ts', 'src/kernels/**/*.ts', 'src/engine/**/*.ts'],
    ignores: ['src/kernels/prepare.ts', 'src/engine/clock.ts'],
    rules: { 'no-restricted-syntax': ['error', ...integersOnly] },
  },
);
