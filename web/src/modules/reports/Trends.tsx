import { Stack, StackItem, Switch, ToolbarItem } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { api, data } from '../../api/client';
import { useZone } from '../../app/zone';
import { Loaded } from '../../components/Loaded';
import { eventFigures, onlineFigures, versionFigures, versioned, type Figures } from './series';
import { useSpan } from './span';
import { SpanBar } from './SpanBar';
import { TrendCard } from './TrendCard';

/** How the last weeks went: events, clients on-line, and which versions are in use. */
export function Trends() {
  const { zone } = useZone();
  const [search, setSearch] = useSearchParams();
  const days = useSpan();
  const information = search.has('information');
  const query = useQuery({
    queryKey: ['report', 'trends', days, zone],
    queryFn: () => data(api.GET('/reports/trends', { params: { query: { days, tz: zone } } })),
    refetchInterval: 60_000,
  });
  const set = (name: string, value: string | undefined) =>
    setSearch(
      (was) => {
        const to = new URLSearchParams(was);
        if (value === undefined) to.delete(name);
        else to.set(name, value);
        return to;
      },
      { replace: true },
    );
  const events = (all: Figures): Figures => (information ? all : { ...all, series: all.series.slice(0, 2) });
  return (
    <>
      <SpanBar>
        <ToolbarItem alignSelf="center">
          <Switch
            label="Events of severity information, too"
            isChecked={information}
            onChange={(_, on) => set('information', on ? 'yes' : undefined)}
          />
        </ToolbarItem>
      </SpanBar>
      <Loaded query={query} what="trends">
        {(t) => (
          <Stack hasGutter>
            <StackItem>
              <TrendCard
                title="Events a day"
                figures={events(eventFigures(t))}
                shape="bars"
                empty="Nothing went wrong in this time."
              />
            </StackItem>
            <StackItem>
              <TrendCard
                title="Clients on-line"
                figures={onlineFigures(t, zone)}
                shape="areas"
                empty="Clients are counted each hour, once some are connected."
              />
            </StackItem>
            {versioned.map((v) => (
              <StackItem key={v.of}>
                <TrendCard
                  title={v.title}
                  figures={versionFigures(t, v.of, v.rows)}
                  shape="areas"
                  empty="Versions are counted each hour, once clients have them."
                />
              </StackItem>
            ))}
          </Stack>
        )}
      </Loaded>
    </>
  );
}
