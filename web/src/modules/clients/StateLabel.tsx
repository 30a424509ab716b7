import { Label, LabelGroup } from '@patternfly/react-core';
import type { Schemas } from '../../api/client';
import { clockOf, stateOf } from './state';

/** How a client is, and what is wrong with it. */
export function StateLabel({ client }: { client: Schemas['Client'] }) {
  const { text, status } = stateOf(client);
  const clock = clockOf(client);
  return (
    <LabelGroup numLabels={3} aria-label={`State of ${client.host.name}`}>
      <Label isCompact status={status} variant={status === undefined ? 'outline' : 'filled'}>
        {text}
      </Label>
      {client.copied !== undefined && client.revoked === undefined && (
        <Label isCompact status="danger">
          Copied
        </Label>
      )}
      {clock !== undefined && client.revoked === undefined && (
        <Label isCompact status="warning">
          Clock wrong
        </Label>
      )}
    </LabelGroup>
  );
}
