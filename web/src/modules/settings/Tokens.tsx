import { EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter, Label } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { rowAction } from '../../components/rowAction';
import { ShownOnce } from '../../components/ShownOnce';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';

interface Token {
  id: string;
  name: string;
}

/** A token as it was just made: the only time that it can be read. */
export interface Made {
  name: string;
  token: string;
}

/** What a dialog that makes a token is given. */
export interface MakeProps {
  title: string;
  onMade: (made: Made) => Promise<void>;
  onClose: () => void;
}

interface Props<T extends Token> {
  /** Kind of the tokens as notices name it. */
  kind: string;
  /** What one is called, and with its article: "API token", "an API token". */
  called: string;
  aToken: string;
  list: () => Promise<{ items: T[] }>;
  revoke: (id: string) => Promise<unknown>;
  /** Valid, or what it is instead; only what is valid can be revoked. */
  stateOf: (token: T) => string;
  /** The columns after name and state. */
  columns: Column<T>[];
  sorted?: { column: number; direction: 'asc' | 'desc' };
  /** The texts beside name and state in which the search looks. */
  text: (token: T) => string;
  /** What is said while there are none. */
  none: { title: string; says: string };
  Make: (props: MakeProps) => ReactNode;
  /** What to do with one that was made. */
  use: ReactNode;
  /** What becomes of it when one is revoked. */
  revoked: string;
}

/** Tokens of a kind: listed, made, shown this once, and revoked. */
export function Tokens<T extends Token>(props: Props<T>) {
  const { kind, called, aToken, list, revoke, stateOf, columns, sorted, text, none, Make, use, revoked } = props;
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: [kind], queryFn: list });
  const [adding, setAdding] = useState(false);
  const [revoking, setRevoking] = useState<T>();
  const [made, setMade] = useState<Made>();
  const changed = () => queries.invalidateQueries({ queryKey: [kind] });
  const title = `Make ${aToken}`;
  const add = <ActionButton onClick={() => setAdding(true)}>{title}</ActionButton>;
  const every: Column<T>[] = [
    { name: 'Name', cell: (t) => <span className="dormer-name">{t.name}</span>, sort: (t) => t.name },
    {
      name: 'State',
      cell: (t) => <Label status={stateOf(t) === 'Valid' ? 'success' : undefined}>{stateOf(t)}</Label>,
      sort: stateOf,
    },
    ...columns,
  ];
  return (
    <Loaded query={query} what={`${called}s`}>
      {({ items }) => (
        <>
          <DataTable
            label={`${called}s`}
            columns={every}
            rows={items}
            id={(t) => t.id}
            text={(t) => `${t.name} ${stateOf(t)} ${text(t)}`}
            searchKey="search"
            {...(sorted && { sorted })}
            tools={add}
            name={(t) => t.name}
            actions={(t) => [
              rowAction(
                'Revoke',
                readOnly ?? (stateOf(t) === 'Valid' ? undefined : `It is ${stateOf(t).toLowerCase()} already.`),
                () => setRevoking(t),
              ),
            ]}
            empty={
              <EmptyState titleText={none.title} headingLevel="h2">
                <EmptyStateBody>{none.says}</EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {adding && (
            <Make
              title={title}
              onMade={async (m) => {
                setMade(m);
                await changed();
              }}
              onClose={() => setAdding(false)}
            />
          )}
          {made && (
            <ShownOnce
              title={`${called[0]?.toUpperCase() ?? ''}${called.slice(1)} ${made.name}`}
              text={made.token}
              onClose={() => setMade(undefined)}
            >
              {use}
            </ShownOnce>
          )}
          {revoking && (
            <Confirm
              title={`Revoke the ${called} ${revoking.name}?`}
              verb="Revoke"
              act={async () => {
                await revoke(revoking.id);
                await changed();
                say.done(`The ${called} ${revoking.name} is revoked`);
              }}
              onClose={() => setRevoking(undefined)}
            >
              {revoked}
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}
