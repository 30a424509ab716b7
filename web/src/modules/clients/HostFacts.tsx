import { Alert, DescriptionList } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { ago, bytes, plural, Time } from '../../components/format';
import { Fact } from '../../components/Fact';
import { clockOf, lasting } from './state';
import { StateLabel } from './StateLabel';

/** What is known of a client and its computer. */
export function HostFacts({ client: c }: { client: Schemas['Client'] }) {
  const tokens = useQuery({ queryKey: ['join-token'], queryFn: () => data(api.GET('/join-tokens')) });
  const token = tokens.data?.items.find((t) => t.id === c.join_token)?.name ?? c.join_token;
  const h = c.host;
  const clock = clockOf(c);
  const runs = (c.runs ?? []).toReversed();
  return (
    <>
      {c.copied !== undefined && c.revoked === undefined && (
        <Alert isInline variant="danger" title="Two computers use this identity">
          <p className="dormer-name">
            <Time at={c.copied} />: {c.copied_detail}
          </p>
          <p>Revoke it, and enrol each computer anew.</p>
        </Alert>
      )}
      {c.revoked !== undefined && (
        <Alert isInline variant="info" title="This client is revoked">
          Since <Time at={c.revoked} />. Its machines stop when their leases end. The computer may be enrolled anew.
        </Alert>
      )}
      <DescriptionList isCompact columnModifier={{ md: '2Col', xl: '3Col' }}>
        <Fact term="State">
          <StateLabel client={c} />
        </Fact>
        <Fact term="Last seen">
          {c.last_seen === undefined ? (
            'never'
          ) : (
            <>
              {ago(c.last_seen)}, <Time at={c.last_seen} />
            </>
          )}
        </Fact>
        <Fact term="May be off-line">
          {c.offline_limit_seconds === undefined ? 'no limit known' : `for ${lasting(c.offline_limit_seconds)}`}
        </Fact>
        <Fact term="Agent">
          <Link className="dormer-name" to={`/clients?version=${encodeURIComponent(c.agent_version)}`}>
            {c.agent_version}
          </Link>
          , {c.managed ? 'managed: a service of the computer' : "unmanaged: one user's"}
        </Fact>
        <Fact term="Computer">
          {h.os}/{h.arch}, {bytes(h.memory_mib * 1024 * 1024)}, {plural(h.processors, 'processor')}
        </Fact>
        <Fact term="Disk">
          {h.disk_total === undefined
            ? 'not reported'
            : `${bytes(h.disk_free ?? 0)} of ${bytes(h.disk_total)} free, images take ${bytes(h.images_bytes ?? 0)}`}
        </Fact>
        <Fact term="Clock">{clock ?? (c.clock_ahead_seconds === undefined ? 'not known' : 'right')}</Fact>
        <Fact term="Enrolled">
          <Time at={c.enrolled} /> with join token{' '}
          <Link className="dormer-name" to="/settings/join-tokens">
            {token}
          </Link>
        </Fact>
        <Fact term="Identity">
          <span className="dormer-name">{c.id}</span>
        </Fact>
        {c.key_fingerprint !== undefined && (
          <Fact term="Key">
            <span className="dormer-name">{c.key_fingerprint}</span>
          </Fact>
        )}
        {runs.length > 0 && (
          <Fact term="Starts of the agent">
            {runs.slice(0, 4).map((r) => (
              <div key={r.first + r.host}>
                <Time at={r.first} /> on <span className="dormer-name">{r.host}</span>
                {r.address !== undefined && ` at ${r.address}`}
              </div>
            ))}
          </Fact>
        )}
      </DescriptionList>
    </>
  );
}
