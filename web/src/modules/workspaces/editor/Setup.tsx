import { Label } from '@patternfly/react-core';
import { asText } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { Items } from '../../../form/Items';
import { Fields, Section, When } from '../../../form/Section';
import { ActionFields } from './ActionFields';
import { actionName, actionSummary, kindOfAction, restarts } from './actions';
import { AddAction } from './AddAction';
import type { Draft } from './draft';
import { NamePreview } from './NamePreview';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const setupPaths = ['spec.setup'];

/** What an action does is said by an object that may be empty: it stays. */
const keptAction = (path: string): string => /^spec\.setup\.actions\[\d+\]\.\w+/u.exec(path)?.[0] ?? '';

/** The tab VM setup: the computer's name, and the script that prepares a new machine. */
export function Setup({ ws }: { ws: Draft }) {
  const silent = valueAt(ws.document, 'spec.setup.mode') === 'silent';
  const revertible = valueAt(ws.document, 'spec.machine.revertible') !== false;
  return (
    <TabForm ws={ws} prefixes={setupPaths} keep={keptAction}>
      <Section title="Name of the computer">
        <Fields>
          <Field path="spec.setup.computerName" label="Pattern of the name" mono example="OFFICE-####" />
          <NamePreview
            pattern={asText(valueAt(ws.document, 'spec.setup.computerName'))}
            workspace={asText(valueAt(ws.document, 'metadata.name'))}
          />
        </Fields>
      </Section>
      <Section
        title="Script"
        says={
          revertible
            ? 'Actions run in this order when a machine is made. A revertible workspace may only rename the computer; make it persistent on the tab Virtual machine for more.'
            : 'Actions run in this order when a machine is made. Drag them, or move them with the arrows.'
        }
      >
        <Items
          path="spec.setup.actions"
          label="Actions"
          one="action"
          name={actionName}
          ordered
          empty="The script has no action: a new machine starts as its image is."
          adder={(add, not) => <AddAction not={not} onAdd={add} />}
          columns={[
            { name: 'Action', cell: actionName },
            { name: 'Kind', cell: (a) => kindOfAction(a)?.name ?? '' },
            { name: 'What', cell: (a) => <code className="dormer-name">{actionSummary(a)}</code> },
            {
              name: 'Afterwards',
              cell: (a) => (restarts(a) ? <Label color="blue">The guest restarts</Label> : ''),
            },
          ]}
          fields={(at) => <ActionFields at={at} />}
        />
      </Section>
      <Section title="What users see of it">
        <Field path="spec.setup.mode" label="Mode" />
        <When
          is={!silent}
          paths={['spec.setup.message', 'spec.setup.allowCancel', 'spec.setup.postpone']}
          otherwise="A silent script shows nothing and asks nobody."
        >
          <Fields>
            <Field path="spec.setup.message" label="Message" lines={3} />
            <Field path="spec.setup.allowCancel" label="Users may cancel" />
            <Field path="spec.setup.postpone" label="Times that users may postpone it" />
          </Fields>
        </When>
        <Fields>
          <Field path="spec.setup.retries" label="Retries of a failed step" />
          <Field path="spec.setup.timeLimit" label="Time limit" />
        </Fields>
      </Section>
      <Section title="Regional settings">
        <Fields>
          <Field path="spec.setup.regional.formats" label="Language and formats of the host" />
          <Field path="spec.setup.regional.keyboard" label="Keyboard of the host" />
        </Fields>
      </Section>
    </TabForm>
  );
}
