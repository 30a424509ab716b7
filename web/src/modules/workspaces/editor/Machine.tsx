import { Fields, Section, When } from '../../../form/Section';
import { Field } from '../../../form/Field';
import { valueAt } from '../../../document/paths';
import type { Draft } from './draft';
import { ImageFields } from './ImageFields';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const machinePaths = ['spec.machine'];

/** The tab Virtual machine: its image, what stays of it, when it starts, stops and locks. */
export function Machine({ ws }: { ws: Draft }) {
  const persistent = valueAt(ws.document, 'spec.machine.revertible') === false;
  return (
    <TabForm ws={ws} prefixes={machinePaths}>
      <Section title="Image">
        <ImageFields document={ws.document} />
      </Section>
      <Section title="What stays">
        <Fields>
          <Field path="spec.machine.revertible" label="Revertible" />
          <Field path="spec.machine.dataDisk.size" label="Data disk" />
          <Field path="spec.machine.onStop" label="At a stop" compact />
          <Field path="spec.machine.lastWindow" label="After the last window" compact />
          <Field path="spec.machine.timeZone" label="Time zone" />
        </Fields>
      </Section>
      <Section title="Updates of the guest itself">
        <When
          is={persistent}
          paths={['spec.machine.guestUpdates']}
          otherwise="A revertible workspace is not woken for updates: they would be lost at its next stop."
        >
          <Fields>
            <Field path="spec.machine.guestUpdates.from" label="Window opens at" />
            <Field path="spec.machine.guestUpdates.length" label="Length of the window" />
          </Fields>
        </When>
      </Section>
      <Section title="Start and sign-on">
        <Fields>
          <Field path="spec.machine.start" label="Start" compact />
          <Field path="spec.machine.signOn" label="Sign-on to the guest" compact />
          <Field path="spec.machine.onMissing" label="When the host lacks something" compact />
        </Fields>
      </Section>
      <Section title="Lock and suspend">
        <Fields>
          <Field path="spec.machine.lock.idle" label="Lock when idle for" />
          <Field path="spec.machine.lock.onHostSleep" label="Lock when the host sleeps" />
          <Field path="spec.machine.suspendIdle" label="Suspend when idle for" />
        </Fields>
      </Section>
    </TabForm>
  );
}
