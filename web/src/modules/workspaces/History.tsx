import {
  Button,
  Content,
  Flex,
  FlexItem,
  FormSelect,
  FormSelectOption,
  Stack,
  StackItem,
  Title,
  ToggleGroup,
  ToggleGroupItem,
} from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { useSearchParams } from 'react-router';
import type { Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Time } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { Differences } from '../../document/Differences';
import { toYAML } from '../../document/yaml';
import { history, load, type Held } from './calls';
import { RollBack } from './RollBack';
import { Waiting } from '../../components/Waiting';

const TextComparison = lazy(async () => ({ default: (await import('./TextComparison')).TextComparison }));

interface Props {
  id: string;
  current: Held;
  /** Why nothing can be rolled back now; undefined: it can. */
  not?: string | undefined;
}

/** All revisions of a workspace: who made each, and why; any two side by side; and back to one of them. */
export function History({ id, current, not }: Props) {
  const query = useQuery({ queryKey: ['workspace', id, 'revisions'], queryFn: () => history(id) });
  const [search, setSearch] = useSearchParams();
  const [back, setBack] = useState<number>();
  const choose = (from: number, to: number) =>
    setSearch(
      (was) => {
        was.set('from', String(from));
        was.set('to', String(to));
        return was;
      },
      { replace: true },
    );
  return (
    <Loaded query={query} what="revisions">
      {(revisions) => {
        const newest = revisions[0]?.revision ?? current.revision;
        const to = Number(search.get('to') ?? newest);
        const from = Number(search.get('from') ?? Math.max(1, newest - 1));
        return (
          <Stack hasGutter>
            <StackItem>
              <Table aria-label="Revisions" variant="compact">
                <Thead>
                  <Tr>
                    <Th>Revision</Th>
                    <Th>When</Th>
                    <Th>Who</Th>
                    <Th>Message</Th>
                    <Th screenReaderText="Actions" />
                  </Tr>
                </Thead>
                <Tbody>
                  {revisions.map((r) => (
                    <Tr key={r.revision}>
                      <Td dataLabel="Revision">
                        {r.revision}
                        {r.revision === newest ? ' (current)' : ''}
                      </Td>
                      <Td dataLabel="When">
                        <Time at={r.time} />
                      </Td>
                      <Td dataLabel="Who" modifier="breakWord">
                        <span className="dormer-name">{r.author}</span>
                      </Td>
                      <Td dataLabel="Message" modifier="breakWord">
                        <span className="dormer-name">{r.message ?? ''}</span>
                      </Td>
                      <Td isActionCell>
                        <Flex gap={{ default: 'gapSm' }} flexWrap={{ default: 'nowrap' }}>
                          {r.revision > 1 && (
                            <Button
                              variant="link"
                              isInline
                              aria-label={`Changes of revision ${r.revision}`}
                              onClick={() => choose(r.revision - 1, r.revision)}
                            >
                              Changes
                            </Button>
                          )}
                          {r.revision !== newest && (
                            <ActionButton
                              variant="link"
                              isInline
                              not={not}
                              aria-label={`Roll back to ${r.revision}`}
                              onClick={() => setBack(r.revision)}
                            >
                              Roll back
                            </ActionButton>
                          )}
                        </Flex>
                      </Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            </StackItem>
            {revisions.length > 1 && (
              <StackItem>
                <Comparison id={id} revisions={revisions} from={from} to={to} choose={choose} />
              </StackItem>
            )}
            {back !== undefined && (
              <RollBack id={id} number={back} current={current} onClose={() => setBack(undefined)} />
            )}
          </Stack>
        );
      }}
    </Loaded>
  );
}

interface ComparisonProps {
  id: string;
  revisions: Schemas['Workspace'][];
  from: number;
  to: number;
  choose: (from: number, to: number) => void;
}

/** Two revisions side by side: as fields, or as text. */
function Comparison({ id, revisions, from, to, choose }: ComparisonProps) {
  const [search, setSearch] = useSearchParams();
  const asText = search.get('as') === 'text';
  const show = (as: 'text' | 'fields') =>
    setSearch(
      (was) => {
        was.set('as', as);
        return was;
      },
      { replace: true },
    );
  const query = useQuery({
    queryKey: ['workspace', id, 'compare', from, to],
    queryFn: () => Promise.all([load(id, from), load(id, to)]),
    staleTime: Infinity,
  });
  const names: [string, string] = [`Revision ${from}`, `Revision ${to}`];
  const picker = (label: string, value: number, onChange: (n: number) => void) => (
    <FormSelect aria-label={label} value={value} onChange={(_, v) => onChange(Number(v))}>
      {revisions.map((r) => (
        <FormSelectOption key={r.revision} value={r.revision} label={`Revision ${r.revision} by ${r.author}`} />
      ))}
    </FormSelect>
  );
  return (
    <Stack hasGutter>
      <StackItem>
        <Title headingLevel="h2">Side by side</Title>
      </StackItem>
      <StackItem>
        <Flex>
          <FlexItem>{picker('Earlier revision', from, (n) => choose(n, to))}</FlexItem>
          <FlexItem>
            <Content component="p">and</Content>
          </FlexItem>
          <FlexItem>{picker('Later revision', to, (n) => choose(from, n))}</FlexItem>
          <FlexItem>
            <ToggleGroup aria-label="How they are compared">
              <ToggleGroupItem text="Fields" isSelected={!asText} onChange={() => show('fields')} />
              <ToggleGroupItem text="Text" isSelected={asText} onChange={() => show('text')} />
            </ToggleGroup>
          </FlexItem>
        </Flex>
      </StackItem>
      <StackItem>
        <Loaded query={query} what="revisions">
          {([before, after]) =>
            asText ? (
              <Suspense fallback={<Waiting what="the comparison" />}>
                <TextComparison before={toYAML(before.document)} after={toYAML(after.document)} names={names} />
              </Suspense>
            ) : (
              <Differences before={before.document} after={after.document} names={names} />
            )
          }
        </Loaded>
      </StackItem>
    </Stack>
  );
}
