import { Card, CardBody, CardTitle, Gallery, Stack, StackItem, Title } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { ModulePage } from '../../components/ModulePage';
import { count, plural } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { Records } from '../../components/Records';
import { reportLink } from '../../report/link';
import { Figure } from './Figure';
import { FirstSteps } from './FirstSteps';
import { HealthLabel, useHealth } from '../../components/HealthTable';
import { countErrors, openBySeverity, partsToLookAt } from './figures';

/** How many of the last changes are shown. */
const lastChanges = 10;

/** How it is here: what runs, what needs somebody, what was changed last. */
export function Overview() {
  return (
    <ModulePage title="Overview">
      <Stack hasGutter>
        <StackItem>
          <FirstSteps />
        </StackItem>
        <StackItem>
          <Gallery hasGutter minWidths={{ default: '100%', sm: '16rem' }} component="div">
            <Clients />
            <Machines />
            <Alerts />
            <Errors />
            <Workspaces />
            <Health />
          </Gallery>
        </StackItem>
        <StackItem>
          <LastChanges />
        </StackItem>
      </Stack>
    </ModulePage>
  );
}

const useClientFigures = () =>
  useQuery({
    queryKey: ['client', 'figures'],
    queryFn: () => data(api.GET('/client-figures')),
    refetchInterval: liveInterval,
  });

function Clients() {
  const query = useClientFigures();
  return (
    <Figure title="Clients on-line" query={query}>
      {(f) => ({
        number: count(f.online),
        to: '/clients?state=online',
        says: (
          <>
            of <Link to="/clients">{plural(f.active, 'client')}</Link>
            {f.beyond_limit > 0 && (
              <>
                , <Link to="/clients?state=beyond-limit">{count(f.beyond_limit)} off-line beyond their limit</Link>
              </>
            )}
          </>
        ),
      })}
    </Figure>
  );
}

function Machines() {
  const query = useClientFigures();
  return (
    <Figure title="Machines running" query={query}>
      {(f) => ({
        number: count(f.running_machines),
        to: '/clients?state=running',
        says: (
          <>
            of <Link to="/reports/status">{plural(f.machines, 'machine')}</Link>
          </>
        ),
      })}
    </Figure>
  );
}

function Alerts() {
  const query = useQuery({
    queryKey: ['alert'],
    queryFn: () => data(api.GET('/alerts')),
    refetchInterval: liveInterval,
  });
  return (
    <Figure title="Open alerts" query={query}>
      {(alerts) => ({
        number: `${count(alerts.items.length)}${alerts.next === undefined ? '' : '+'}`,
        to: '/alerts',
        says: openBySeverity(alerts.items),
      })}
    </Figure>
  );
}

function Errors() {
  const query = useQuery({
    queryKey: ['report', 'errors', 'day'],
    queryFn: () => data(api.GET('/reports/errors', { params: { query: { days: 1, group: 'category' } } })),
    refetchInterval: 6 * liveInterval,
  });
  return (
    <Figure title="Errors, last 24 hours" query={query}>
      {({ items }) => ({
        number: count(countErrors(items)),
        to: reportLink('errors', { days: 1 }),
        says: <Link to={reportLink('errors', { days: 1, group: ['category'] })}>By category</Link>,
      })}
    </Figure>
  );
}

function Workspaces() {
  const query = useQuery({ queryKey: ['workspace'], queryFn: () => data(api.GET('/workspaces')) });
  const images = useQuery({ queryKey: ['image'], queryFn: () => data(api.GET('/images')) });
  return (
    <Figure title="Workspaces" query={query}>
      {({ items }) => ({
        number: count(items.length),
        to: '/workspaces',
        says: images.data && <Link to="/images">{plural(images.data.items.length, 'image')}</Link>,
      })}
    </Figure>
  );
}

function Health() {
  const query = useHealth();
  return (
    <Figure title="Server" query={query}>
      {({ status, parts }) => ({
        number: <HealthLabel status={status} />,
        to: '/settings/server',
        says: partsToLookAt(parts),
      })}
    </Figure>
  );
}

function LastChanges() {
  const query = useQuery({
    queryKey: ['audit', 'last'],
    queryFn: () => data(api.GET('/audit', { params: { query: { limit: lastChanges } } })),
    refetchInterval: 6 * liveInterval,
  });
  return (
    <Card>
      <CardTitle>
        <Title headingLevel="h2" size="md">
          Last changes
        </Title>
      </CardTitle>
      <CardBody>
        <Loaded query={query} what="last changes">
          {({ items }) => <Records records={items} />}
        </Loaded>
        <Link to="/audit">All changes</Link>
      </CardBody>
    </Card>
  );
}
