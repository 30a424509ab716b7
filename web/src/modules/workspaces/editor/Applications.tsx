import { asText, type JsonObject } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { Items, type ItemColumn } from '../../../form/Items';
import { Fields, Section, When } from '../../../form/Section';
import type { Draft } from './draft';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const applicationsPaths = ['spec.applications'];

const nameOf = (item: JsonObject): string => asText(item['name']);
const command = (item: JsonObject) => <code className="dormer-name">{asText(item['command'])}</code>;
const driveName = (d: JsonObject): string => (asText(d['letter']) === '' ? '' : `${asText(d['letter'])}:`);
const enabled = (item: JsonObject): string => (item['enabled'] === false ? 'No' : 'Yes');

const columns: ItemColumn[] = [
  { name: 'Name', cell: nameOf },
  { name: 'Command', cell: command },
  { name: 'Enabled', cell: enabled },
  { name: 'Starts with the workspace', cell: (a) => (a['startWithWorkspace'] === true ? 'Yes' : 'No') },
];

const letters = [...'DEFGHIJKLMNOPQRSTUVWXYZAB'].map((l) => ({ value: l, name: `${l}:` }));

/** The tab Applications: what of the guest users see on the host. */
export function Applications({ ws }: { ws: Draft }) {
  const revertible = valueAt(ws.document, 'spec.machine.revertible') !== false;
  return (
    <TabForm ws={ws} prefixes={applicationsPaths}>
      <Section title="Published applications">
        <Items
          path="spec.applications.published"
          label="Published applications"
          one="application"
          name={nameOf}
          ordered
          empty="No application is published. Add what users shall start from the host."
          columns={columns}
          fields={(at) => (
            <>
              <Field path={`${at}.name`} />
              <Field path={`${at}.command`} mono example="notepad.exe C:\readme.txt" />
              <Field path={`${at}.description`} />
              <Field path={`${at}.startIn`} label="Start in" mono />
              <Fields>
                <Field path={`${at}.enabled`} />
                <Field path={`${at}.shortcut`} label="In the start menu" />
                <Field path={`${at}.startWithWorkspace`} label="Start with the workspace" />
                <Field path={`${at}.userCredentials`} label="With the user's credentials" />
              </Fields>
              <Field path={`${at}.fileTypes`} label="File types" example="pdf" />
            </>
          )}
        />
      </Section>
      <Section title="Published menus">
        <Items
          path="spec.applications.menus"
          label="Published menus"
          one="menu"
          name={nameOf}
          ordered
          empty="No menu of the guest is published."
          columns={[
            { name: 'Name', cell: nameOf },
            { name: 'Folder', cell: (m) => asText(m['folder']) || 'the whole programs menu' },
            { name: 'Enabled', cell: enabled },
          ]}
          fields={(at) => (
            <>
              <Field path={`${at}.name`} />
              <Field path={`${at}.folder`} mono />
              <Field path={`${at}.description`} />
              <Field path={`${at}.enabled`} />
            </>
          )}
        />
      </Section>
      <Section title="On the host">
        <Fields>
          <Field path="spec.applications.menuFolder" label="Name of the menu folder" />
          <Field path="spec.applications.publishInstalled.enabled" label="Publish everything installed" />
        </Fields>
        <When
          is={valueAt(ws.document, 'spec.applications.publishInstalled.enabled') === true}
          paths={['spec.applications.publishInstalled.exclude']}
          otherwise="Only what is listed above is published."
        >
          <Field path="spec.applications.publishInstalled.exclude" label="Programs left out" />
        </When>
      </Section>
      <Section title="Network drives">
        <When
          is={revertible}
          paths={['spec.applications.networkDrives']}
          otherwise="A persistent workspace keeps the drives that its user maps: they are set for revertible workspaces only."
        >
          <Items
            path="spec.applications.networkDrives"
            label="Network drives"
            one="drive"
            name={(d) => (driveName(d) === '' ? '' : `Drive ${driveName(d)}`)}
            ordered
            empty="No network drive is mapped."
            columns={[
              { name: 'Drive', cell: driveName },
              { name: 'Folder', cell: (d) => <code className="dormer-name">{asText(d['path'])}</code> },
              { name: 'Label', cell: (d) => asText(d['label']) },
            ]}
            fields={(at) => (
              <>
                <Field path={`${at}.letter`} options={letters} />
                <Field path={`${at}.path`} label="Shared folder" mono example="\\files.corp.example.test\share" />
                <Field path={`${at}.label`} />
              </>
            )}
          />
        </When>
      </Section>
    </TabForm>
  );
}
