import { Nav, NavItem, NavList, Stack, StackItem } from '@patternfly/react-core';
import { NavLink, useParams } from 'react-router';
import { NotFound } from '../../app/NotFound';
import { ModulePage } from '../../components/ModulePage';
import { History } from './History';
import { OpenAlerts } from './OpenAlerts';
import { Rules } from './Rules';

const sections = [
  { path: '', name: 'Open', Page: OpenAlerts },
  { path: 'history', name: 'History', Page: History },
  { path: 'rules', name: 'Rules', Page: Rules },
];

/** What needs somebody, what did, and what decides that. */
export function Alerts() {
  const { section = '' } = useParams();
  const here = sections.find((s) => s.path === section);
  if (!here) return <NotFound />;
  return (
    <ModulePage title="Alerts">
      <Stack hasGutter>
        <StackItem>
          <Nav aria-label="Alerts" variant="horizontal-subnav">
            <NavList>
              {sections.map((s) => (
                <NavItem key={s.path} isActive={s.path === section}>
                  <NavLink to={s.path === '' ? '/alerts' : `/alerts/${s.path}`} end>
                    {s.name}
                  </NavLink>
                </NavItem>
              ))}
            </NavList>
          </Nav>
        </StackItem>
        <StackItem>
          <here.Page />
        </StackItem>
      </Stack>
    </ModulePage>
  );
}
