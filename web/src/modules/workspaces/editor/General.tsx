import { asText } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { Fields, Section, When } from '../../../form/Section';
import type { Draft } from './draft';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const generalPaths = ['apiVersion', 'kind', 'metadata', 'spec.general'];

/** The tab General: name, how the workspace shows itself, what runs before it. */
export function General({ ws }: { ws: Draft }) {
  const framed = valueAt(ws.document, 'spec.general.frame.show') === true;
  const command = asText(valueAt(ws.document, 'spec.general.hostCommand.command')) !== '';
  return (
    <TabForm ws={ws} prefixes={generalPaths}>
      <Section title="Name">
        <Fields>
          <Field path="metadata.name" />
          <Field path="metadata.description" lines={3} />
          <Field path="spec.general.supportContact" label="Support contact" lines={3} />
        </Fields>
      </Section>
      <Section title="Windows">
        <Fields>
          <Field path="spec.general.display" label="Display" />
          <Field path="spec.general.frame.show" label="Coloured frame" />
          {(framed || valueAt(ws.document, 'spec.general.frame.color') !== undefined) && (
            <Field path="spec.general.frame.color" label="Colour of the frame" />
          )}
        </Fields>
      </Section>
      <Section title="Before the workspace starts">
        <Field
          path="spec.general.hostCommand.command"
          label="Command on the host"
          mono
          example="/usr/bin/program --option"
        />
        <When
          is={command}
          paths={['spec.general.hostCommand.timeout', 'spec.general.hostCommand.stopOnFailure']}
          otherwise="No command runs before the workspace starts."
        >
          <Fields>
            <Field path="spec.general.hostCommand.timeout" label="Time for the command" />
            <Field path="spec.general.hostCommand.stopOnFailure" label="Its failure stops the start" />
          </Fields>
        </When>
      </Section>
      <Section title="Computers">
        <Field path="spec.general.unmanagedClients" label="Unmanaged computers" />
      </Section>
      <Section title="Document">
        <Fields>
          <Field path="metadata.id" label="Identity" fixed example="made by the server" />
          <Field path="apiVersion" label="Version of the document" />
          <Field path="kind" label="Kind of document" />
        </Fields>
      </Section>
    </TabForm>
  );
}
