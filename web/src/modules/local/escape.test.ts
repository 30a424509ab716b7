import { expect, test } from 'vitest';
import { isEscape } from './escape';

test('the three modifiers together leave the screen, in any order, and nothing else does', () => {
  const held = { ctrlKey: true, altKey: true, shiftKey: true };
  expect(isEscape({ key: 'Shift', ...held })).toBe(true);
  expect(isEscape({ key: 'Control', ...held })).toBe(true);
  expect(isEscape({ key: 'F', ...held })).toBe(false);
  expect(isEscape({ key: 'Shift', ...held, altKey: false })).toBe(false);
  expect(isEscape({ key: 'Tab', ctrlKey: false, altKey: false, shiftKey: true })).toBe(false);
});
