import {
  Card,
  CardBody,
  CardTitle,
  Content,
  EmptyState,
  EmptyStateBody,
  List,
  ListItem,
  Stack,
  StackItem,
} from '@patternfly/react-core';
import { CheckCircleIcon } from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import { ExclamationCircleIcon } from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Loaded } from '../../components/Loaded';
import { ProblemAlert } from '../../components/ProblemAlert';

type Tested = Schemas['DirectoryTest'];

/** Where people come from: the directories of the configuration, examined when asked. */
export function Directories() {
  const methods = useQuery({ queryKey: ['sign-in-methods'], queryFn: () => data(api.GET('/sign-in-methods')) });
  const test = useMutation({ mutationFn: () => data(api.POST('/directory/test')) });
  return (
    <Loaded query={methods} what="directories">
      {(m) => (
        <Stack hasGutter>
          <StackItem>
            <Content component="p">
              Directories and providers are set in the configuration file of the server;{' '}
              <code>dormerd config --explain</code> says how.
            </Content>
            <List>
              {m.directories.map((d, i) => (
                <ListItem key={d}>
                  <span className="dormer-name">{d}</span>
                  {i === 0 && ' (meant when a name has no directory)'}
                </ListItem>
              ))}
              {m.kerberos && <ListItem>Kerberos tickets are taken</ListItem>}
              {m.providers.map((p) => (
                <ListItem key={p.name}>{`${p.title} (OpenID Connect provider ${p.name})`}</ListItem>
              ))}
            </List>
          </StackItem>
          <StackItem>
            <ActionButton variant="secondary" isLoading={test.isPending} onClick={() => test.mutate()}>
              Examine the directories
            </ActionButton>
          </StackItem>
          {test.isError && (
            <StackItem>
              <ProblemAlert problem={test.error} title="The directories could not be examined" />
            </StackItem>
          )}
          {test.data?.items.map((t) => (
            <StackItem key={t.directory}>
              <Examined test={t} />
            </StackItem>
          ))}
          {test.data?.items.length === 0 && (
            <EmptyState titleText="There is nothing to examine" headingLevel="h2">
              <EmptyStateBody>Only the embedded directory is there, which the server keeps itself.</EmptyStateBody>
            </EmptyState>
          )}
        </Stack>
      )}
    </Loaded>
  );
}

function Examined({ test }: { test: Tested }) {
  return (
    <Card>
      <CardTitle component="h2">{test.directory}</CardTitle>
      <CardBody>
        <List isPlain>
          {test.findings.map((f) => (
            <ListItem
              key={f.setting + f.what}
              icon={
                f.problem === undefined || f.problem === '' ? (
                  <CheckCircleIcon
                    aria-label="Well"
                    color="var(--pf-t--global--icon--color--status--success--default)"
                  />
                ) : (
                  <ExclamationCircleIcon
                    aria-label="Problem"
                    color="var(--pf-t--global--icon--color--status--danger--default)"
                  />
                )
              }
            >
              {f.what} <code>{f.setting}</code> {`(${f.millis} ms)`}
              {f.problem !== undefined && f.problem !== '' && <Content component="p">{f.problem}</Content>}
            </ListItem>
          ))}
        </List>
      </CardBody>
    </Card>
  );
}
