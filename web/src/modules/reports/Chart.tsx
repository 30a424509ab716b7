import {
  Chart as Axes,
  ChartArea,
  ChartAxis,
  ChartBar,
  ChartGroup,
  ChartStack,
  ChartVoronoiContainer,
} from '@patternfly/react-charts/victory';
import { useEffect, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { count } from '../../components/format';
import type { Figures } from './series';

interface Props {
  /** What is drawn, for who cannot see it; the figures are in the table. */
  label: string;
  figures: Figures;
  /** Bars stand on each other, areas lie before each other. */
  shape: 'bars' | 'areas';
}

const height = 260;
const text = 'var(--pf-t--global--text--color--regular)';
const line = 'var(--pf-t--global--border--color--default)';
const padding = { top: 10, bottom: 40, left: 70, right: 20 };

const compact = (n: number) => (Number.isInteger(n) ? n.toLocaleString('en', { notation: 'compact' }) : '');

/** A chart as wide as there is room. A click on a point leads to its rows, as the table does for everybody. */
export function Chart({ label, figures: { points, series, shown, ticks: valueTicks }, shape }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  const navigate = useNavigate();
  useEffect(() => {
    const { current } = box;
    if (!current) return undefined;
    const watch = new ResizeObserver(([entry]) => {
      if (entry) setWidth(Math.max(260, Math.floor(entry.contentRect.width)));
    });
    watch.observe(current);
    return () => watch.disconnect();
  }, []);

  const every = Math.max(1, Math.ceil(points.length / Math.max(2, Math.floor(width / 110))));
  const ticks = points.map((_, i) => i).filter((i) => i % every === 0);
  const Shape = shape === 'bars' ? ChartBar : ChartArea;
  const drawings = series.map((s) => (
    <Shape
      key={s.name}
      name={s.name}
      data={s.values.map((y, x) => ({ x, y, name: s.name }))}
      style={{
        data: {
          fill: s.color,
          cursor: 'pointer',
          ...(shape === 'areas' ? { stroke: s.color, strokeWidth: 2, fillOpacity: 0.2 } : { stroke: 'none' }),
        },
      }}
      {...(shape === 'bars' ? { barWidth: Math.max(2, ((width - 90) / points.length) * 0.7) } : {})}
      events={[
        {
          target: 'data',
          eventHandlers: {
            onClick: (_: unknown, clicked: { index?: number | string }) => {
              void navigate(s.link(Number(clicked.index ?? points.length - 1)));
              return null;
            },
          },
        },
      ]}
    />
  ));
  const axis = { axis: { stroke: line }, tickLabels: { fill: text, fontSize: 12 }, ticks: { stroke: line } };
  return (
    <div ref={box}>
      <Axes
        ariaTitle={label}
        width={width}
        height={height}
        padding={padding}
        domainPadding={shape === 'bars' ? { x: 20 } : 0}
        minDomain={{ y: 0 }}
        containerComponent={
          <ChartVoronoiContainer
            voronoiDimension="x"
            constrainToVisibleArea
            labels={({ datum }: { datum: { x: number; y: number | null; name: string } }) =>
              `${points[datum.x] ?? ''} ${datum.name}: ${datum.y === null ? 'unknown' : (shown ?? count)(datum.y)}`
            }
          />
        }
      >
        <ChartAxis tickValues={ticks} tickFormat={(i: number) => (points[i] ?? '').slice(5)} style={axis} />
        <ChartAxis
          dependentAxis
          {...(valueTicks ? { tickValues: valueTicks } : {})}
          tickFormat={shown ?? compact}
          style={{ ...axis, grid: { stroke: line, strokeDasharray: '2 4' } }}
        />
        {shape === 'bars' ? <ChartStack>{drawings}</ChartStack> : <ChartGroup>{drawings}</ChartGroup>}
      </Axes>
    </div>
  );
}
