import { asText } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { useForm } from '../../../form/form';
import { Items } from '../../../form/Items';
import { Fields, Section, When } from '../../../form/Section';
import { GrantWho } from './GrantWho';

/** All fields of one grant, grouped. */
export function GrantFields({ at }: { at: string }) {
  const { document } = useForm();
  const text = (member: string) => asText(valueAt(document, `${at}.${member}`));
  const files = text('fileTransfer.direction') || 'none';
  const directions = [
    { member: 'hostToGuest', title: 'From the host to the guest', open: files === 'both' || files === 'host-to-guest' },
    { member: 'guestToHost', title: 'From the guest to the host', open: files === 'both' || files === 'guest-to-host' },
  ];
  const limited = (text('offline.allow') || 'limited') === 'limited';
  return (
    <>
      <GrantWho at={at} />
      <Section title="How long">
        <Fields>
          <Field path={`${at}.enabled`} label="Enabled" />
          <Field path={`${at}.expires`} label="Expires" />
          <Field path={`${at}.offline.allow`} label="Work while the server is away" compact />
          {(limited || text('offline.limit') !== '') && <Field path={`${at}.offline.limit`} label="At most for" />}
        </Fields>
      </Section>
      <Section title="At a limit">
        <Fields>
          <Field path={`${at}.atLimit.action`} label="A running workspace" compact />
          <Field path={`${at}.atLimit.grace`} label="Grace before a stop" />
        </Fields>
        <Fields>
          <Field path={`${at}.deleteWhen.disabled`} label="Delete when disabled" />
          <Field path={`${at}.deleteWhen.expired`} label="Delete when expired" />
          <Field path={`${at}.deleteWhen.offline`} label="Delete when off-line too long" />
        </Fields>
      </Section>
      <Section title="Clipboard and files">
        <Fields>
          <Field path={`${at}.clipboard`} label="Clipboard" compact />
          <Field path={`${at}.fileTransfer.direction`} label="File transfer" compact />
          <Field path={`${at}.fileTransfer.mayOverride`} label="May let refused files through" />
        </Fields>
        {directions.map((d) => (
          <When
            key={d.member}
            is={d.open}
            paths={[`${at}.fileTransfer.${d.member}`]}
            otherwise={`${d.title} no files are moved.`}
          >
            <Field
              path={`${at}.fileTransfer.${d.member}.extensions`}
              label={`Extensions ${d.title.charAt(0).toLowerCase()}${d.title.slice(1)}`}
              example="pdf"
            />
            <Field
              path={`${at}.fileTransfer.${d.member}.command`}
              label={`Check ${d.title.charAt(0).toLowerCase()}${d.title.slice(1)}`}
              mono
              example="/usr/bin/scan {file}"
            />
          </When>
        ))}
        <Items
          path={`${at}.sharedFolders`}
          label="Shared folders"
          one="shared folder"
          name={(f) => asText(f['name'])}
          empty="No folder of the host is shared."
          columns={[
            { name: 'Name', cell: (f) => asText(f['name']) },
            { name: 'Folder', cell: (f) => <code className="dormer-name">{asText(f['path'])}</code> },
            { name: 'Access', cell: (f) => asText(f['access']) || 'read-only' },
          ]}
          fields={(folder) => (
            <>
              <Field path={`${folder}.name`} />
              <Field path={`${folder}.path`} label="Folder" mono example="/home/alice/Projects" />
              <Field path={`${folder}.access`} compact />
            </>
          )}
        />
      </Section>
      <Section title="Devices">
        <Fields>
          <Field path={`${at}.printing`} />
          <Field path={`${at}.opticalDrive`} label="CD and DVD" />
          <Field path={`${at}.audio`} label="Sound" />
          <Field path={`${at}.microphone`} />
        </Fields>
        <Field path={`${at}.usb`} label="USB devices" />
      </Section>
      <Section title="Password">
        <Field path={`${at}.savePassword`} label="Password may be saved" />
      </Section>
    </>
  );
}
