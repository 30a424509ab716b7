import { Content, DropdownItem, Tab, TabContent, Tabs, TabTitleText } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { api, data } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { Confirm } from '../../components/Confirm';
import { Gone } from '../../components/Gone';
import { Loaded } from '../../components/Loaded';
import { Menu } from '../../components/Menu';
import { ModulePage } from '../../components/ModulePage';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { ChangedElsewhere } from '../../notices/ChangedElsewhere';
import { Diagnostics } from './Diagnostics';
import { Events } from './Events';
import { HostFacts } from './HostFacts';
import { Machines } from './Machines';
import { OrderDialog } from './OrderDialog';
import { kinds, orders, type Kind } from './orderKinds';
import { Orders } from './Orders';

const tabs = [
  { id: 'machines', name: 'Machines' },
  { id: 'orders', name: 'Orders' },
  { id: 'events', name: 'Events' },
  { id: 'diagnostics', name: 'Diagnostics' },
];

/** One client: its computer, its machines, what happened there, and what it is ordered to do. */
export function ClientPage() {
  const { id = '' } = useParams();
  const [params, setParams] = useSearchParams();
  const tab = tabs.find((t) => t.id === params.get('tab'))?.id ?? 'machines';
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const [ordering, setOrdering] = useState<Kind>();
  const [revoking, setRevoking] = useState(false);
  const query = useQuery({
    queryKey: ['client', id],
    queryFn: () => data(api.GET('/clients/{id}', { params: { path: { id } } })),
    refetchInterval: liveInterval,
  });
  const show = (chosen: string) => setParams(chosen === 'machines' ? {} : { tab: chosen }, { replace: true });
  const client = query.data;
  const why = readOnly ?? (client?.revoked === undefined ? undefined : 'This client is revoked.');
  const menu = (
    <Menu label="Orders" variant="primary">
      {kinds
        .filter((kind) => orders[kind].for.includes('client'))
        .map((kind) => (
          <DropdownItem
            key={kind}
            isAriaDisabled={why !== undefined}
            description={why}
            onClick={() => setOrdering(kind)}
          >
            {orders[kind].verb}
          </DropdownItem>
        ))}
      <DropdownItem isDanger isAriaDisabled={why !== undefined} description={why} onClick={() => setRevoking(true)}>
        Revoke
      </DropdownItem>
    </Menu>
  );
  return (
    <ModulePage
      title={client?.host.name ?? 'Client'}
      above={[{ name: 'Clients', to: '/clients' }]}
      actions={client && menu}
    >
      <Loaded query={query} what="details of the client" gone={<Gone what="client" list="/clients" id={id} />}>
        {(c) => (
          <>
            <ChangedElsewhere kind="client" id={c.id} onShow={() => show('orders')} verb="Show the orders" />
            <HostFacts client={c} />
            <Tabs activeKey={tab} onSelect={(_, key) => show(String(key))} aria-label="About this client">
              {tabs.map((t) => (
                <Tab
                  key={t.id}
                  eventKey={t.id}
                  title={<TabTitleText>{t.name}</TabTitleText>}
                  tabContentId={`client-${t.id}`}
                />
              ))}
            </Tabs>
            <TabContent id={`client-${tab}`} aria-label={tabs.find((t) => t.id === tab)?.name} hidden={false}>
              {tab === 'machines' && <Machines client={c} />}
              {tab === 'orders' && <Orders client={c.id} />}
              {tab === 'events' && <Events client={c.id} />}
              {tab === 'diagnostics' && <Diagnostics client={c.id} />}
            </TabContent>
            {ordering && (
              <OrderDialog
                kind={ordering}
                client={{ id: c.id, name: c.host.name }}
                onClose={() => setOrdering(undefined)}
              />
            )}
            {revoking && (
              <Confirm
                title={`Revoke ${c.host.name}?`}
                verb="Revoke"
                name={c.host.name}
                onClose={() => setRevoking(false)}
                act={async () => {
                  await api.POST('/clients/{id}/revoke', { params: { path: { id: c.id } } });
                  await queries.invalidateQueries({ queryKey: ['client'] });
                  say.done(`${c.host.name} is revoked`);
                }}
              >
                <Content component="p">
                  The server refuses this computer from now on. What runs there stops at its next poll, and what is on
                  its disk is kept. It cannot be undone: the computer has to be enrolled anew.
                </Content>
              </Confirm>
            )}
          </>
        )}
      </Loaded>
    </ModulePage>
  );
}
