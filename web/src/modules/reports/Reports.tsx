import { Nav, NavItem, NavList, Stack, StackItem } from '@patternfly/react-core';
import { lazy, Suspense } from 'react';
import { NavLink, useParams } from 'react-router';
import { NotFound } from '../../app/NotFound';
import { ModulePage } from '../../components/ModulePage';
import { kinds } from '../../report/query';
import { ReportPage } from './ReportPage';
import { Saved } from './Saved';
import { titles } from '../../report/table';
import { Waiting } from '../../components/Waiting';

// Charts are heavy, and most who look at reports look at rows.
const Trends = lazy(async () => ({ default: (await import('./Trends')).Trends }));
const Delivery = lazy(async () => ({ default: (await import('./Delivery')).Delivery }));

const sections: { path: string; name: string }[] = [
  ...kinds.map((k) => ({ path: k, name: titles[k] })),
  { path: 'trends', name: 'Trends' },
  { path: 'delivery', name: 'Delivery' },
  { path: 'saved', name: 'Saved' },
];

/** What runs where, what happened, how it went over the last weeks, what deliveries saved, and saved reports. */
export function Reports() {
  const { section = '' } = useParams();
  const here = sections.find((s) => s.path === section);
  if (!here) return <NotFound />;
  const kind = kinds.find((k) => k === section);
  const charts = section === 'trends' || section === 'delivery';
  return (
    <ModulePage title={section === 'saved' ? 'Saved reports' : here.name}>
      <Stack hasGutter>
        <StackItem>
          <Nav aria-label="Reports" variant="horizontal-subnav">
            <NavList>
              {sections.map((s) => (
                <NavItem key={s.path} isActive={s.path === section}>
                  <NavLink to={`/reports/${s.path}`}>{s.name}</NavLink>
                </NavItem>
              ))}
            </NavList>
          </Nav>
        </StackItem>
        <StackItem>
          {kind && <ReportPage key={kind} kind={kind} />}
          {section === 'saved' && <Saved />}
          {charts && (
            <Suspense fallback={<Waiting what="the charts" height="20rem" />}>
              {section === 'trends' ? <Trends /> : <Delivery />}
            </Suspense>
          )}
        </StackItem>
      </Stack>
    </ModulePage>
  );
}
