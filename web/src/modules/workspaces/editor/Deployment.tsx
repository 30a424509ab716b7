import { Alert } from '@patternfly/react-core';
import { useMemo, useState } from 'react';
import { plural } from '../../../components/format';
import { PrincipalPicker } from '../../../components/PrincipalPicker';
import { asList, asText, isObject, type JsonObject } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { words } from '../../../document/reading';
import { Items, type ItemColumn } from '../../../form/Items';
import { Section } from '../../../form/Section';
import { PrincipalStateLabel } from '../PrincipalStateLabel';
import type { Draft } from './draft';
import { GrantFields } from './GrantFields';
import { grantName, grantOf, grantPlace, usePrincipalStates } from './principals';
import { SeveralGrants } from './SeveralGrants';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const deploymentPaths = ['grants'];

/** The tab Deployment: who gets the workspace, and what each of them may do with it. */
export function Deployment({ ws }: { ws: Draft }) {
  const stateOf = usePrincipalStates(ws.document);
  const columns = useMemo<ItemColumn[]>(
    () => [
      { name: 'Who', cell: grantName },
      {
        name: 'Directory says',
        cell: (g) => {
          const state = stateOf(g);
          return state ? <PrincipalStateLabel state={state} /> : 'Not asked yet';
        },
      },
      { name: 'In force', cell: inForce },
      { name: 'Off-line', cell: offline },
      { name: 'At a limit', cell: atLimit },
      { name: 'May', cell: may },
    ],
    [stateOf],
  );
  const [said, setSaid] = useState('');
  const grants = asList(valueAt(ws.document, 'grants'));
  return (
    <TabForm ws={ws} prefixes={deploymentPaths}>
      <Section
        title="Grants"
        says="A user's several grants, own and of groups, combine to the least restrictive value, field by field. The tab Why shows the result for somebody."
      >
        {said !== '' && <Alert isInline isLiveRegion variant="info" title={said} />}
        <Items
          path="grants"
          label="Grants"
          one="grant"
          name={grantName}
          empty="Nobody gets the workspace yet. Name a user or a group to grant it."
          adder={(add, not) => (
            <PrincipalPicker
              not={not}
              kinds={['user', 'group']}
              label="Grant to"
              onPick={(p) => {
                if (grantPlace(grants, p) >= 0) {
                  setSaid(`${p.name} has a grant already: open it in the table.`);
                  return;
                }
                setSaid('');
                add(grantOf(p));
              }}
            />
          )}
          several={(chosen, clear) => <SeveralGrants chosen={chosen} onDone={clear} />}
          columns={columns}
          fields={(at) => <GrantFields at={at} />}
        />
      </Section>
    </TabForm>
  );
}

function inForce(grant: JsonObject): string {
  if (grant['enabled'] === false) return 'Disabled';
  const expires = asText(grant['expires']);
  return expires === '' ? 'Yes' : `Until ${expires}`;
}

function offline(grant: JsonObject): string {
  const allow = asText(valueAt(grant, 'offline.allow')) || 'limited';
  return allow === 'limited' ? asText(valueAt(grant, 'offline.limit')) || '7d' : words(allow);
}

const atLimit = (grant: JsonObject): string => words(asText(valueAt(grant, 'atLimit.action')) || 'stop');

const rights: [string, string][] = [
  ['savePassword', 'password saved'],
  ['printing', 'printing'],
  ['opticalDrive', 'optical drive'],
  ['audio', 'audio'],
  ['microphone', 'microphone'],
];

/** What a grant allows beyond the defaults, in a few words. */
function may(grant: JsonObject): string {
  const clipboard = asText(grant['clipboard']) || 'none';
  const files = asText(valueAt(grant, 'fileTransfer.direction')) || 'none';
  const folders = asList(grant['sharedFolders']).filter(isObject).length;
  return [
    clipboard !== 'none' && `clipboard ${words(clipboard).toLowerCase()}`,
    files !== 'none' && `files ${words(files).toLowerCase()}`,
    ...rights.map(([member, name]) => grant[member] === true && name),
    asList(grant['usb']).length > 0 && 'USB',
    folders > 0 && plural(folders, 'shared folder'),
  ]
    .filter((text) => text !== false)
    .join(', ');
}
