import {
  Chart,
  ChartAxis,
  ChartBar,
  ChartGroup,
  ChartLine,
  ChartStack,
  ChartThemeColor,
  ChartVoronoiContainer,
} from '@patternfly/react-charts/victory';
import { Card, CardBody, CardTitle, ExpandableSection } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';

export interface Series {
  name: string;
  /** One value for each category. */
  values: number[];
}

interface Props {
  title: string;
  /** What the chart says, for who cannot see it. */
  says: string;
  categories: string[];
  series: Series[];
  shown: (value: number) => string;
}

const width = 640;
const rowHeight = 34;
const edge = 24;

/** How many characters of a name stand beside a bar. */
const named = 22;
const short = (name: string): string => (name.length > named ? `${name.slice(0, named - 1)}…` : name);

/** Bars beside names, in parts that lie one after another. */
export function StackedBars({ title, says, categories, series, shown }: Props) {
  const height = categories.length * rowHeight + 120;
  return (
    <Drawn title={title} categories={categories} series={series} shown={shown}>
      <Chart
        ariaDesc={says}
        ariaTitle={title}
        width={width}
        height={height}
        padding={{ left: 170, right: 40, top: edge, bottom: 90 }}
        domainPadding={{ x: 20 }}
        themeColor={ChartThemeColor.multiUnordered}
        legendData={series.map((s) => ({ name: short(s.name) }))}
        legendPosition="bottom"
        legendAllowWrap
        containerComponent={
          <ChartVoronoiContainer
            constrainToVisibleArea
            labels={({ datum }: { datum: { name?: string; y?: number } }) =>
              `${datum.name ?? ''}: ${shown(datum.y ?? 0)}`
            }
          />
        }
      >
        <ChartAxis
          tickValues={categories.map((_, i) => i + 1)}
          tickFormat={(i: number) => short(categories[i - 1] ?? '')}
          invertAxis
        />
        <ChartAxis dependentAxis showGrid tickFormat={shown} tickCount={4} />
        <ChartStack horizontal>
          {series.map((s) => (
            <ChartBar key={s.name} barWidth={18} data={s.values.map((y, i) => ({ x: i + 1, y, name: s.name }))} />
          ))}
        </ChartStack>
      </Chart>
    </Drawn>
  );
}

interface LinesProps extends Props {
  /** Where the categories stand on the axis, and how a place on it is written; absent: one beside the other. */
  at?: { places: number[]; shown: (place: number) => string };
}

/** Lines over something that goes on, years or hours. */
export function Lines({ title, says, categories, series, shown, at }: LinesProps) {
  const place = (i: number) => at?.places[i] ?? i + 1;
  return (
    <Drawn title={title} categories={categories} series={series} shown={shown}>
      <Chart
        ariaDesc={says}
        ariaTitle={title}
        width={width}
        height={280}
        padding={{ left: 90, right: 40, top: edge, bottom: 80 }}
        minDomain={{ y: 0 }}
        themeColor={ChartThemeColor.multiUnordered}
        legendData={series.map((s) => ({ name: short(s.name) }))}
        legendPosition="bottom"
        containerComponent={
          <ChartVoronoiContainer
            constrainToVisibleArea
            labels={({ datum }: { datum: { name?: string; y?: number } }) =>
              `${datum.name ?? ''}: ${shown(datum.y ?? 0)}`
            }
          />
        }
      >
        {at ? (
          <ChartAxis tickCount={mostTicks} tickFormat={at.shown} />
        ) : (
          <ChartAxis tickValues={ticks(categories.length)} tickFormat={(i: number) => categories[i - 1] ?? ''} />
        )}
        <ChartAxis dependentAxis showGrid tickFormat={shown} tickCount={5} />
        <ChartGroup>
          {series.map((s) => (
            <ChartLine key={s.name} data={s.values.map((y, i) => ({ x: place(i), y, name: s.name }))} />
          ))}
        </ChartGroup>
      </Chart>
    </Drawn>
  );
}

/** At most so many names stand below a chart. */
const mostTicks = 8;

const ticks = (n: number): number[] => {
  const step = Math.max(1, Math.ceil(n / mostTicks));
  return Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step + 1);
};

interface DrawnProps extends Pick<Props, 'title' | 'categories' | 'series' | 'shown'> {
  children: React.ReactNode;
}

/** A chart on a card, with the numbers that it draws as a table. */
function Drawn({ title, categories, series, shown, children }: DrawnProps) {
  return (
    <Card>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <div style={{ maxInlineSize: width }}>{children}</div>
        <ExpandableSection toggleText="As a table">
          <Table aria-label={title} variant="compact">
            <Thead>
              <Tr>
                <Th screenReaderText={title} />
                {series.map((s) => (
                  <Th key={s.name}>{s.name}</Th>
                ))}
              </Tr>
            </Thead>
            <Tbody>
              {categories.map((c, i) => (
                <Tr key={c}>
                  <Th dataLabel={title}>{c}</Th>
                  {series.map((s) => (
                    <Td key={s.name} dataLabel={s.name}>
                      {shown(s.values[i] ?? 0)}
                    </Td>
                  ))}
                </Tr>
              ))}
            </Tbody>
          </Table>
        </ExpandableSection>
      </CardBody>
    </Card>
  );
}
