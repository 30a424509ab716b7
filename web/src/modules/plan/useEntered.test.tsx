import { act, renderHook } from '@testing-library/react';
import type { ReactNode } from 'react';
import { expect, test } from 'vitest';
import { withValue } from '../../document/paths';
import { AsOperator } from '../../session/AsOperator';
import { useEntered } from './useEntered';

function opened(who: string) {
  const wrapper = ({ children }: { children: ReactNode }) => <AsOperator name={who}>{children}</AsOperator>;
  return renderHook(useEntered, { wrapper });
}

const one = { kind: 'Organization', metadata: { name: 'One' } };
const other = { kind: 'Organization', metadata: { name: 'Other' } };

test('a plan that was replaced comes back, and what was typed since stays', () => {
  const { result } = opened('alice');
  act(() => result.current.edit(() => one));
  const undo: (() => void)[] = [];
  act(() => {
    undo.push(result.current.replace(other));
  });
  act(() => result.current.edit((now) => withValue(now, 'metadata.description', 'typed')));
  act(() => undo[0]?.());
  expect(result.current.organization).toEqual({
    kind: 'Organization',
    metadata: { name: 'One', description: 'typed' },
  });
});

test('a text that is no document stays until it is one, or something else comes, and is back with undo', () => {
  const { result } = opened('bob');
  const text = { text: 'a: [', line: 1, message: 'no end' };
  act(() => result.current.edit(() => one));
  act(() => result.current.setText(text));
  expect(opened('bob').result.current.text).toEqual(text);
  const undo: (() => void)[] = [];
  act(() => {
    undo.push(result.current.replace(other));
  });
  expect(result.current.text).toBeUndefined();
  act(() => undo[0]?.());
  expect(result.current).toMatchObject({ organization: one, text });
  expect(opened('alice').result.current.text).toBeUndefined();
});
