import { Content, ExpandableSection } from '@patternfly/react-core';
import { useMemo, useState } from 'react';
import { asText, type Json } from '../../../document/json';
import { isBelow, valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { FormContext, useForm, type FormState } from '../../../form/form';
import { Fields, Section } from '../../../form/Section';

/**
 * Who has a grant: by name first. What the document says of them stands below,
 * opened when something is wrong with it or nobody is named yet.
 */
export function GrantWho({ at }: { at: string }) {
  const form = useForm();
  const { document, change, errors, warnings } = form;
  const principal = `${at}.principal`;
  const text = (member: string) => asText(valueAt(document, `${principal}.${member}`));
  const name = text('name');
  const wrong = [...errors, ...warnings].some((f) => isBelow(f.path, principal));
  const [open, setOpen] = useState(name === '' || wrong);
  const [wasWrong, setWasWrong] = useState(wrong);
  // It stays open when it is mended: whoever mends it is in there.
  if (wrong !== wasWrong) {
    setWasWrong(wrong);
    if (wrong) setOpen(true);
  }
  // Somebody else has another key, which the server fills in.
  const other = useMemo<FormState>(
    () => ({
      ...form,
      change: (path: string, value: Json | undefined) => {
        change(`${principal}.key`, undefined);
        change(path, value);
      },
    }),
    [form, change, principal],
  );
  return (
    <Section title="Who">
      <div>
        {name !== '' && (
          <Content component="p">
            <strong className="dormer-name">{name}</strong>, {text('kind') || 'user'} of the directory{' '}
            <span className="dormer-name">{text('directory') || 'local'}</span>
          </Content>
        )}
        <ExpandableSection
          toggleText="Grant it to somebody else, or see the key"
          isExpanded={open}
          onToggle={(_, expanded) => setOpen(expanded)}
          isIndented
        >
          <FormContext value={other}>
            <Fields>
              <Field path={`${principal}.name`} label="Name" />
              <Field path={`${principal}.kind`} label="Kind" compact />
              <Field path={`${principal}.directory`} label="Directory" />
              <Field path={`${principal}.key`} label="Key in the directory" fixed example="filled in by the server" />
            </Fields>
          </FormContext>
        </ExpandableSection>
      </div>
    </Section>
  );
}
