import { act, cleanup, renderHook } from '@testing-library/react';
import type { ReactNode } from 'react';
import { afterEach, expect, test } from 'vitest';
import type { Json } from '../../document/json';
import { withValue } from '../../document/paths';
import { AsOperator } from '../../session/AsOperator';
import type { Held } from './calls';
import { useDraft } from './useDraft';

const held = (name: string, revision = 1): Held => ({
  document: { metadata: { name } },
  tag: `"${revision}"`,
  revision,
});

/** The page of a workspace as somebody has it. */
function opened(who: string, id: string, current = held('Office')) {
  const wrapper = ({ children }: { children: ReactNode }) => <AsOperator name={who}>{children}</AsOperator>;
  return renderHook((now: Held) => useDraft(id, now), { wrapper, initialProps: current });
}

const named = (name: string) => (document: Json) => withValue(document, 'metadata.name', name);
const described = (text: string) => (document: Json) => withValue(document, 'metadata.description', text);

afterEach(() => {
  cleanup();
  sessionStorage.clear();
});

test('a draft is of whom made it', () => {
  const alice = opened('alice', 'w1');
  act(() => alice.result.current.edit(named('Mine')));
  alice.unmount();
  expect(opened('bob', 'w1').result.current.dirty).toBe(false);
  expect(opened('alice', 'w1').result.current.document).toEqual({ metadata: { name: 'Mine' } });
});

test('changes that come one on the other are both there, and none is none', () => {
  const { result } = opened('alice', 'w2');
  act(() => {
    result.current.edit(named('Mine'));
    result.current.edit(described('long'));
  });
  expect(result.current.document).toEqual({ metadata: { name: 'Mine', description: 'long' } });
  act(() => result.current.edit(() => held('Office').document));
  expect(result.current.dirty).toBe(false);
});

test('discarded edits come back after one has left the page', () => {
  const page = opened('alice', 'w3');
  act(() => page.result.current.edit(named('Mine')));
  const { discard } = page.result.current;
  const undo: (() => void)[] = [];
  act(() => {
    undo.push(discard());
  });
  expect(page.result.current.dirty).toBe(false);
  page.unmount();
  undo[0]?.();
  expect(opened('alice', 'w3').result.current.document).toEqual({ metadata: { name: 'Mine' } });
});

test('discarded edits come back together with what was typed since', () => {
  const { result } = opened('alice', 'w4');
  act(() => result.current.edit(named('Mine')));
  const undo: (() => void)[] = [];
  act(() => {
    undo.push(result.current.discard());
  });
  act(() => result.current.edit(described('typed since')));
  act(() => undo[0]?.());
  expect(result.current.document).toEqual({ metadata: { name: 'Mine', description: 'typed since' } });
});

test('a late change is made to the revision that is current then', () => {
  const { result, rerender } = opened('alice', 'w5');
  const { edit } = result.current;
  rerender(held('Office', 2));
  act(() => edit(named('Mine')));
  expect(result.current.base.revision).toBe(2);
});
