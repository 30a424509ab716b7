import { expect, test } from 'vitest';
import { fileName, headerText } from './calls';

test('messages go through a header in any script', () => {
  const header = headerText(' größer:\n日本 ');
  expect(() => new Headers({ 'Dormer-Message': header })).not.toThrow();
  expect(new TextDecoder().decode(Uint8Array.from(header, (c) => c.charCodeAt(0)))).toBe('größer: 日本');
});

test.each([
  ['Office', 'Office.yaml'],
  ['<script>/../x', '-script-..-x.yaml'],
  ['../..', '-...yaml'],
  ['日本', '日本.yaml'],
  ['...', 'workspace.yaml'],
])('the file of %j is %j', (name, file) => {
  expect(fileName(name)).toBe(file);
});
