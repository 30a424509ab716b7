import { expect, test } from 'vitest';
import { fromYAML, linesOf, toYAML } from './yaml';

const workspace = {
  grants: [{ clipboard: 'both', principal: { kind: 'user', name: 'alice', directory: 'local' } }],
  metadata: { name: 'Büro <script>', description: 'two\nlines\n' },
  spec: { machine: { suspendIdle: '1h', lock: { idle: 'on' } }, general: { frame: { color: '#3d7ab8' } } },
  kind: 'Workspace',
  apiVersion: 'dormer/v1',
};

test('a document comes back from YAML as it was', () => {
  expect(fromYAML(toYAML(workspace))).toEqual({ document: workspace });
});

test('members that name things come first', () => {
  const text = toYAML(workspace);
  expect(text.split('\n').filter((l) => /^\w/.test(l))).toEqual([
    'apiVersion: dormer/v1',
    'kind: Workspace',
    'metadata:',
    'spec:',
    'grants:',
  ]);
  expect(text).toContain('- principal:\n      directory: local\n      kind: user\n      name: alice');
});

test.each([
  'yes',
  'off',
  '0x10',
  '1:30',
  '2026-01-01',
  '~',
  'null',
  '012',
  '1e3',
  ' a',
  '',
  '*.txt',
  '{user}',
  '- x',
  'a: b',
  '"',
])('the text %j stays a text', (value) => {
  const text = toYAML({ value });
  expect(fromYAML(text)).toEqual({ document: { value } });
  if (['yes', 'off', '0x10', '1:30', '012'].includes(value)) expect(text).toMatch(/["']/);
});

test.each([
  ['a: 1\nb: [1, 2\n', 3, ''],
  ['a: 1\na: 2\n', 2, 'unique'],
  ['a: &x 1\nb: *x\n', 1, 'Anchors'],
  ['- a\n', 1, 'names and values'],
  ['', 1, 'names and values'],
  ['a: .nan\n', 1, 'JSON'],
  ['a: 1\n---\nb: 2\n', 2, ''],
  ['a: !!binary aGk=\n', 1, ''],
])('%j is refused at its line', (text, line, message) => {
  const read = fromYAML(text);
  if (!('error' in read)) throw new Error(`it was read: ${JSON.stringify(read.document)}`);
  expect(read.error.line).toBe(line);
  expect(read.error.message).toContain(message);
});

test('a name like that of a prototype is a name', () => {
  const read = fromYAML('__proto__:\n  a: 1\n');
  expect('document' in read && Object.keys(read.document ?? {})).toEqual(['__proto__']);
});

test('paths have lines, or that of what is above them', () => {
  const text = 'a: 1\nspec:\n  machine:\n    image: {}\ngrants:\n  - principal:\n      name: x\n  - enabled: false\n';
  expect(
    linesOf(text, ['spec.machine.image.name', 'grants[1].enabled', 'grants[0].principal.name', 'spec', 'none', '']),
  ).toEqual([4, 8, 7, 2, 1, 1]);
});
