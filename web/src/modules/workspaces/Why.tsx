import {
  Alert,
  Content,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Flex,
  FlexItem,
  FormGroup,
  Label,
  Stack,
  StackItem,
  Title,
} from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { PrincipalPicker } from '../../components/PrincipalPicker';
import { Granted } from './Granted';

type Principal = Schemas['Principal'];
type Explanation = Schemas['Why'];

/** A principal as people and addresses write it: DIRECTORY\name. */
const qualified = (p: Principal): string => (p.directory === '' ? p.name : `${p.directory}\\${p.name}`);

/** The principal that an address names; of the first directory when it names none. */
const groupOf = (text: string): Principal => {
  const [directory = '', name] = text.split('\\', 2);
  return name === undefined
    ? { kind: 'group', directory: '', key: '', name: directory }
    : { kind: 'group', directory, key: '', name };
};

/** What a user gets of a workspace, and which grant gives each value; and who gets nothing of it. */
export function Why({ id, dirty }: { id: string; dirty: boolean }) {
  const [search, setSearch] = useSearchParams();
  const user = search.get('user') ?? '';
  const group = search.get('as-if-in') ?? '';
  const put = (name: string, value: string) =>
    setSearch((was) => {
      if (value === '') was.delete(name);
      else was.set(name, value);
      return was;
    });
  const query = useQuery({
    queryKey: ['workspace', id, 'why', user, group],
    enabled: user !== '',
    queryFn: () =>
      data(
        api.POST('/workspaces/{id}/why', {
          params: { path: { id } },
          body: { user, ...(group === '' ? {} : { as_if_in: [groupOf(group)] }) },
        }),
      ),
  });
  return (
    <Stack hasGutter>
      <StackItem>
        <Content component="p">
          Choose a user to see what they get of this workspace, and which grant gives it
          {dirty ? '. The answer is about what is committed; your changes are not in it' : ''}.
        </Content>
      </StackItem>
      <StackItem>
        <Flex alignItems={{ default: 'alignItemsFlexStart' }}>
          <FlexItem grow={{ default: 'grow' }}>
            <FormGroup label="User" fieldId="why-user">
              <PrincipalPicker id="why-user" kinds={['user']} label="User" onPick={(p) => put('user', qualified(p))} />
            </FormGroup>
          </FlexItem>
          {user !== '' && (
            <FlexItem grow={{ default: 'grow' }}>
              <FormGroup label="As if the user were in a group" fieldId="why-group">
                <PrincipalPicker
                  id="why-group"
                  kinds={['group']}
                  label="As if the user were in a group"
                  onPick={(p) => put('as-if-in', qualified(p))}
                />
              </FormGroup>
            </FlexItem>
          )}
        </Flex>
        {group !== '' && (
          <Label variant="outline" onClose={() => put('as-if-in', '')} closeBtnAriaLabel="Without the group">
            As if in {group}
          </Label>
        )}
      </StackItem>
      {user !== '' && (
        <StackItem>
          <Loaded query={query} what="answer">
            {(why) => (
              <Stack hasGutter>
                <StackItem>
                  <Answer why={why} />
                </StackItem>
                {why.otherwise && (
                  <StackItem>
                    <Title headingLevel="h2">As if in the group</Title>
                    <Answer why={why.otherwise} />
                  </StackItem>
                )}
              </Stack>
            )}
          </Loaded>
        </StackItem>
      )}
      <StackItem>
        <Granted id={id} ask={(p) => put('user', qualified(p))} />
      </StackItem>
    </Stack>
  );
}

type Field = Schemas['WhyField'];

function Answer({ why }: { why: Explanation }) {
  const from = (f: Field): string =>
    (f.from ?? []).map((n) => why.grants.find((g) => g.grant === n)?.principal.name ?? `grant ${n + 1}`).join(', ');
  const columns: Column<Field & { key: string }>[] = [
    { name: 'Field', cell: (f) => <code>{f.path}</code>, sort: (f) => f.path },
    { name: 'Value', cell: (f) => <span className="dormer-name">{f.value}</span>, sort: (f) => f.value },
    { name: 'Comes from', cell: (f) => f.origin, sort: (f) => f.origin },
    { name: 'Grant', cell: (f) => <span className="dormer-name">{from(f)}</span>, sort: from },
  ];
  // A list has one field of the same path for each entry.
  const rows = why.fields.map((f, i) => Object.assign({}, f, { key: String(i) }));
  return (
    <Stack hasGutter>
      <StackItem>
        <Alert
          isInline
          variant={why.gets ? 'success' : 'warning'}
          title={
            <>
              <span className="dormer-name">{why.user.name}</span>{' '}
              {why.gets ? 'gets this workspace' : 'does not get this workspace'}
            </>
          }
        >
          <span className="dormer-name">{why.reason}</span>
        </Alert>
      </StackItem>
      {why.grants.length > 0 && (
        <StackItem>
          <Table aria-label="Grants and whether they count" variant="compact">
            <Thead>
              <Tr>
                <Th>Grant</Th>
                <Th>Counts</Th>
                <Th>Why</Th>
              </Tr>
            </Thead>
            <Tbody>
              {why.grants.map((g) => (
                <Tr key={`${g.grant} ${g.principal.name} ${g.added ? 'added' : ''}`}>
                  <Td dataLabel="Grant" modifier="breakWord">
                    <span className="dormer-name">{`${g.principal.kind} ${qualified(g.principal)}`}</span>
                  </Td>
                  <Td dataLabel="Counts">{g.counts ? 'yes' : 'no'}</Td>
                  <Td dataLabel="Why" modifier="breakWord">
                    <span className="dormer-name">{g.reason}</span>
                    {g.chain && g.chain.length > 1 && (
                      <DescriptionList isCompact isHorizontal>
                        <DescriptionListGroup>
                          <DescriptionListTerm>Through</DescriptionListTerm>
                          <DescriptionListDescription>
                            <span className="dormer-name">{g.chain.map((c) => c.name).join(' › ')}</span>
                          </DescriptionListDescription>
                        </DescriptionListGroup>
                      </DescriptionList>
                    )}
                  </Td>
                </Tr>
              ))}
            </Tbody>
          </Table>
        </StackItem>
      )}
      {rows.length > 0 && (
        <StackItem>
          <DataTable
            label="values of the effective policy"
            columns={columns}
            rows={rows}
            id={(f) => f.key}
            text={(f) => `${f.path} ${f.value} ${f.origin} ${from(f)}`}
            empty={null}
          />
        </StackItem>
      )}
    </Stack>
  );
}
