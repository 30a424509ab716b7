import { FormGroup, HelperText, HelperTextItem, TextInput } from '@patternfly/react-core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { api, data } from '../../../api/client';
import { asProblem } from '../../../api/problem';
import { useLater } from '../../../app/later';

/** How long nobody must have typed before names are made, in milliseconds. */
const pause = 300;

interface Props {
  pattern: string;
  /** Name of the workspace, as the pattern takes it. */
  workspace: string;
}

/** Shows names that machines would get from a pattern, made by the server as it makes the real ones. */
export function NamePreview({ pattern, workspace }: Props) {
  const [user, setUser] = useState('');
  const [host, setHost] = useState('');
  const id = useId();
  const asked = useLater(pattern, pause);
  const [forUser, onHost] = [useLater(user, pause), useLater(host, pause)];
  const body = {
    pattern: asked,
    ...(forUser && { user: forUser }),
    ...(onHost && { host: onHost }),
    ...(workspace && { workspace }),
  };
  const names = useQuery({
    queryKey: ['workspace-name-preview', body],
    enabled: asked !== '',
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => data(api.POST('/workspaces/name-preview', { body, signal })),
  });
  const refused = names.isError
    ? (asProblem(names.error).fields[0]?.message ?? asProblem(names.error).message)
    : undefined;
  return (
    <div>
      <FormGroup label="Names that it gives" role="group" fieldId={id}>
        <HelperText isLiveRegion>
          {pattern === '' ? (
            <HelperTextItem>
              Machines keep the name of their image. {'{user}'}, {'{domain}'}, {'{host}'}, {'{workspace}'} and{' '}
              {'{machine}'} stand for values, each # for a random character.
            </HelperTextItem>
          ) : refused !== undefined ? (
            <HelperTextItem variant="error">The pattern {refused}</HelperTextItem>
          ) : (
            <HelperTextItem>
              <code className="dormer-name">{(names.data?.names ?? []).join(', ')}</code>
            </HelperTextItem>
          )}
          {names.data?.warning !== undefined && refused === undefined && pattern !== '' && (
            <HelperTextItem variant="warning">The pattern {names.data.warning}</HelperTextItem>
          )}
        </HelperText>
      </FormGroup>
      {/\{(user|host)\}/u.test(pattern) && (
        <div style={{ display: 'flex', gap: '1rem', flexWrap: 'wrap', marginBlockStart: '0.5rem' }}>
          <FormGroup label="For the user" fieldId={`${id}-user`}>
            <TextInput id={`${id}-user`} value={user} placeholder="alice" onChange={(_, v) => setUser(v)} />
          </FormGroup>
          <FormGroup label="on the host" fieldId={`${id}-host`}>
            <TextInput id={`${id}-host`} value={host} placeholder="desk-17" onChange={(_, v) => setHost(v)} />
          </FormGroup>
        </div>
      )}
    </div>
  );
}
