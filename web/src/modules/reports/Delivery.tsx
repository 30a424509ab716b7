import { DescriptionList, EmptyState, EmptyStateBody, Stack, StackItem, Title } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { versionPath } from '../../app/addresses';
import { useZone } from '../../app/zone';
import { DataTable, type Column } from '../../components/DataTable';
import { Fact } from '../../components/Fact';
import { bytes, count, part, plural } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { eventsLink, deliveryFigures } from './delivery';
import { useSpan } from './span';
import { SpanBar } from './SpanBar';
import { TrendCard } from './TrendCard';

type DeliveredImage = Schemas['DeliveredImage'];

/** What clients got of images: what came over the network, and what was saved because it was there. */
export function Delivery() {
  const { zone } = useZone();
  const days = useSpan();
  const query = useQuery({
    queryKey: ['report', 'delivery', days, zone],
    queryFn: () => data(api.GET('/reports/delivery', { params: { query: { days, tz: zone } } })),
    refetchInterval: 60_000,
  });
  return (
    <>
      <SpanBar />
      <Loaded query={query} what="deliveries">
        {(d) =>
          d.total.deliveries === 0 ? (
            <EmptyState titleText="Nothing was delivered in this time" headingLevel="h2">
              <EmptyStateBody>
                When a client has fetched a version of an image, it is counted here: what came over the network, and
                what was saved because other versions had brought it. <Link to="/images">The images</Link>
              </EmptyStateBody>
            </EmptyState>
          ) : (
            <Stack hasGutter>
              <StackItem>
                <Total total={d.total} days={days} />
              </StackItem>
              <StackItem>
                <TrendCard
                  title="Delivered a day"
                  figures={deliveryFigures(d)}
                  shape="bars"
                  empty="Nothing was delivered in this time."
                />
              </StackItem>
              <StackItem>
                <Title headingLevel="h2">By version</Title>
                <DataTable
                  label="versions"
                  columns={columns(days)}
                  rows={d.images}
                  id={(i) => i.image ?? ''}
                  text={nameOf}
                  empty={null}
                  sorted={{ column: 5, direction: 'desc' }}
                />
              </StackItem>
            </Stack>
          )
        }
      </Loaded>
    </>
  );
}

function Total({ total, days }: { total: Schemas['Delivered']; days: number }) {
  return (
    <DescriptionList isCompact columnModifier={{ default: '1Col', sm: '2Col', lg: '3Col' }}>
      <Fact term="Delivered">
        {bytes(total.size)} with {plural(total.deliveries, 'delivery', 'deliveries')}.{' '}
        <Link to={eventsLink(days)}>Events of them</Link>
      </Fact>
      <Fact term="Over the network">{bytes(total.fetched)}</Fact>
      <Fact term="Saved">
        {bytes(total.saved)}, {part(total.saved, total.size)}
      </Fact>
    </DescriptionList>
  );
}

const nameOf = (image: DeliveredImage): string => image.name ?? 'Versions that are not here';

const columns = (days: number): Column<DeliveredImage>[] => [
  { name: 'Version', cell: (i) => <Version image={i} />, sort: nameOf },
  { name: 'Clients', cell: (i) => (i.clients === undefined ? '' : count(i.clients)), sort: (i) => i.clients ?? 0 },
  { name: 'Deliveries', cell: (i) => count(i.deliveries), sort: (i) => i.deliveries },
  { name: 'Delivered', cell: (i) => bytes(i.size), sort: (i) => i.size },
  { name: 'Over the network', cell: (i) => bytes(i.fetched), sort: (i) => i.fetched },
  { name: 'Saved', cell: (i) => `${bytes(i.saved)}, ${part(i.saved, i.size)}`, sort: (i) => i.saved },
  {
    name: 'Events',
    cell: ({ name }) =>
      name !== undefined && (
        <Link to={eventsLink(days, name)} aria-label={`Events of ${name}`}>
          Events
        </Link>
      ),
  },
];

function Version({ image }: { image: DeliveredImage }) {
  const called = nameOf(image);
  const at = called.lastIndexOf('/');
  if (image.name === undefined || at < 0) return called;
  return (
    <Link className="dormer-name" to={versionPath(called.slice(0, at), Number(called.slice(at + 1)))}>
      {called}
    </Link>
  );
}
