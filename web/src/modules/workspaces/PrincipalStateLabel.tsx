import { Label } from '@patternfly/react-core';
import type { Schemas } from '../../api/client';
import { words } from '../../document/reading';

/** What the directories know of somebody who is granted a workspace. */
export type PrincipalState = Schemas['PrincipalState'];

const states: Record<string, { color: 'green' | 'orange' | 'red'; says?: string }> = {
  found: { color: 'green' },
  renamed: { color: 'orange' },
  gone: { color: 'red', says: 'nobody gets it by this grant' },
};

/** What the directories know of somebody: found, renamed and how, gone, or what kept them from saying. */
export function PrincipalStateLabel({ state }: { state: PrincipalState }) {
  const known = states[state.state];
  const now = state.state === 'renamed' ? `now ${state.name ?? ''}` : undefined;
  return (
    <>
      <Label isCompact color={known?.color ?? 'grey'}>
        {words(state.state)}
      </Label>{' '}
      <span className="dormer-name">{[now, known?.says, state.detail].filter(Boolean).join(' · ')}</span>
    </>
  );
}
