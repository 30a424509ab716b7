import { Tab, TabContent, TabContentBody, Tabs, TabTitleText } from '@patternfly/react-core';
import { Suspense, lazy, type ComponentType } from 'react';
import { useNavigate, useParams } from 'react-router';
import { NotFound } from '../../app/NotFound';
import { ModulePage } from '../../components/ModulePage';
import { Waiting } from '../../components/Waiting';

interface Section {
  path: string;
  name: string;
  Page: ComponentType;
}

const sections: Section[] = [
  {
    path: 'operators',
    name: 'Operators',
    Page: lazy(async () => ({ default: (await import('./Operators')).Operators })),
  },
  { path: 'users', name: 'Users', Page: lazy(async () => ({ default: (await import('./Users')).Users })) },
  { path: 'groups', name: 'Groups', Page: lazy(async () => ({ default: (await import('./Groups')).Groups })) },
  {
    path: 'directories',
    name: 'Directories',
    Page: lazy(async () => ({ default: (await import('./Directories')).Directories })),
  },
  {
    path: 'join-tokens',
    name: 'Join tokens',
    Page: lazy(async () => ({ default: (await import('./JoinTokens')).JoinTokens })),
  },
  {
    path: 'api-tokens',
    name: 'API tokens',
    Page: lazy(async () => ({ default: (await import('./APITokens')).APITokens })),
  },
  { path: 'secrets', name: 'Secrets', Page: lazy(async () => ({ default: (await import('./Secrets')).Secrets })) },
  {
    path: 'publishers',
    name: 'Publishers',
    Page: lazy(async () => ({ default: (await import('./Publishers')).Publishers })),
  },
  { path: 'server', name: 'Server', Page: lazy(async () => ({ default: (await import('./Server')).Server })) },
];

/** What concerns the whole instance: who may administer, who may join, and how the server is. */
export function Settings() {
  const { section = 'operators' } = useParams();
  const navigate = useNavigate();
  const chosen = sections.find((s) => s.path === section);
  if (!chosen) return <NotFound />;
  return (
    <ModulePage title="Settings">
      <Tabs
        activeKey={chosen.path}
        onSelect={(_, key) => void navigate(`/settings/${key}`)}
        aria-label="Sections of the settings"
        isOverflowHorizontal
      >
        {sections.map((s) => (
          <Tab
            key={s.path}
            eventKey={s.path}
            title={<TabTitleText>{s.name}</TabTitleText>}
            tabContentId={`section-${s.path}`}
          />
        ))}
      </Tabs>
      <TabContent id={`section-${chosen.path}`} aria-label={chosen.name} hidden={false}>
        <TabContentBody hasPadding>
          <Suspense fallback={<Waiting what={chosen.name} />}>
            <chosen.Page />
          </Suspense>
        </TabContentBody>
      </TabContent>
    </ModulePage>
  );
}
