import { asText } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { Section, When } from '../../../form/Section';
import type { Draft } from './draft';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const networkPaths = ['spec.network'];

/** The tab Network: how the guest is connected, and whom it asks for names. */
export function Network({ ws }: { ws: Draft }) {
  const mode = asText(valueAt(ws.document, 'spec.network.mode')) || 'nat';
  const dns = asText(valueAt(ws.document, 'spec.network.dns.mode')) || 'unchanged';
  return (
    <TabForm ws={ws} prefixes={networkPaths}>
      <Section title="Connection">
        <Field path="spec.network.mode" label="Mode" />
        <When
          is={mode === 'bridged'}
          paths={['spec.network.adapters', 'spec.network.newAdapters']}
          otherwise="Adapters of the host are chosen for the mode bridged only."
        >
          <Field path="spec.network.adapters" label="Bridged adapters" example="eth0" mono />
          <Field path="spec.network.newAdapters" label="Bridge adapters that appear later" />
        </When>
      </Section>
      <Section title="Names">
        <Field path="spec.network.dns.mode" label="Name servers" />
        <When
          is={dns === 'servers'}
          paths={['spec.network.dns.servers', 'spec.network.dns.thenHost']}
          otherwise="Servers are named for the mode servers only."
        >
          <Field path="spec.network.dns.servers" label="Servers" example="192.0.2.53" mono />
          <Field path="spec.network.dns.thenHost" label="Then those of the host" />
        </When>
        <Field path="spec.network.suffixes.list" label="DNS suffixes" example="corp.example.test" mono />
        <Field path="spec.network.suffixes.withHost" label="Then the suffixes of the host" />
      </Section>
    </TabForm>
  );
}
