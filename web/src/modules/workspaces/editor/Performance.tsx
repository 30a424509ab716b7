import { FormGroup, HelperText, HelperTextItem, TextInput } from '@patternfly/react-core';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { TrashIcon } from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { useId, useState } from 'react';
import { ActionButton } from '../../../components/ActionButton';
import { plural } from '../../../components/format';
import { asList, type JsonObject } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { inSentence } from '../../../document/reading';
import { Field } from '../../../form/Field';
import { FaultTexts } from '../../../form/FaultTexts';
import { inputId, messagesAt, useForm, useShown } from '../../../form/form';
import { schemaAt } from '../../../form/schema';
import { Fields, Section } from '../../../form/Section';
import type { Draft } from './draft';
import { defaultRows, rowFor } from './hosts';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const performancePaths = ['spec.performance'];

/** The tab Performance: what the guest gets of hosts of each size. */
export function Performance({ ws }: { ws: Draft }) {
  return (
    <TabForm ws={ws} prefixes={performancePaths}>
      <Section title="Memory" says="The last row whose host is not larger than the real one holds.">
        <Rows path="spec.performance.memory" what="Memory" first={{ guest: '2GiB' }} next={{ host: '', guest: '' }} />
      </Section>
      <Section title="Processors" says="The last row whose host has not more processors than the real one holds.">
        <Rows path="spec.performance.processors" what="Processors" first={{ guest: 1 }} next={{ guest: 2 }} />
      </Section>
      <Section title="Try a host">
        <Trial />
      </Section>
    </TabForm>
  );
}

interface RowsProps {
  path: string;
  what: string;
  /** The first row as it begins, and each other. */
  first: JsonObject;
  next: JsonObject;
}

/** A table by the size of the host, each row with its two values. */
function Rows({ path, what, first, next }: RowsProps) {
  const { document, schema, edit, readOnly, errors, warnings } = useForm();
  const standard = schemaAt(schema, path)?.['x-default'];
  const rows = asList(valueAt(document, path));
  const own = [path, ...rows.map((_, i) => `${path}[${i}]`)];
  useShown(own);
  return (
    <>
      <HelperText isLiveRegion>
        {own.map((p, i) => (
          <FaultTexts
            key={p}
            errors={messagesAt(errors, p)}
            warnings={messagesAt(warnings, p)}
            label={i === 0 ? what : `Row ${i}`}
          />
        ))}
      </HelperText>
      {rows.length === 0 && standard !== undefined && (
        <HelperText>
          <HelperTextItem>Without rows of your own: {standard}.</HelperTextItem>
        </HelperText>
      )}
      {rows.map((_, i) => (
        // oxlint-disable-next-line react/no-array-index-key -- rows have no names but their places
        <div key={i} role="group" aria-label={`${what}, row ${i + 1}`} style={{ display: 'flex', gap: '1rem' }}>
          <div style={{ flexGrow: 1 }}>
            <Fields>
              <Field
                path={`${path}[${i}].host`}
                label="Hosts from"
                help={i === 0 ? 'All hosts below the next row.' : ''}
              />
              <Field path={`${path}[${i}].guest`} label="The guest gets" help="" />
            </Fields>
          </div>
          <ActionButton
            variant="plain"
            icon={<TrashIcon />}
            aria-label={`Remove row ${i + 1} of ${inSentence(what)}`}
            not={readOnly}
            onClick={() =>
              edit(path, (value) => {
                const list = asList(value).toSpliced(i, 1);
                return list.length === 0 ? undefined : list;
              })
            }
          />
        </div>
      ))}
      <div>
        <ActionButton
          variant="secondary"
          icon={<PlusCircleIcon />}
          id={inputId(path)}
          not={readOnly}
          onClick={() => edit(path, (value) => [...asList(value), rows.length === 0 ? first : next])}
        >
          Add row of {inSentence(what)}
        </ActionButton>
      </div>
    </>
  );
}

/** Says what the guest would get on a host. */
function Trial() {
  const { document, schema } = useForm();
  const [memory, setMemory] = useState('16');
  const [processors, setProcessors] = useState('8');
  const id = useId();
  const rows = (path: string) => valueAt(document, path) ?? defaultRows(schemaAt(schema, path)?.['x-default'] ?? '');
  const gets = rowFor(rows('spec.performance.memory'), Number(memory) * 1024);
  const has = rowFor(rows('spec.performance.processors'), Number(processors));
  // A guest never gets more processors than its host has.
  const some = typeof has?.guest === 'number' ? Math.max(1, Math.min(has.guest, Number(processors))) : 1;
  return (
    <Fields>
      <FormGroup label="Memory of the host in GiB" fieldId={`${id}-memory`}>
        <TextInput id={`${id}-memory`} type="number" min={0} value={memory} onChange={(_, v) => setMemory(v)} />
      </FormGroup>
      <FormGroup label="Processors of the host" fieldId={`${id}-processors`}>
        <TextInput
          id={`${id}-processors`}
          type="number"
          min={1}
          value={processors}
          onChange={(_, v) => setProcessors(v)}
        />
      </FormGroup>
      <HelperText isLiveRegion>
        <HelperTextItem>
          {`The guest gets ${gets ? String(gets.guest) : 'what its image says'} and ${plural(some, 'processor')}.`}
        </HelperTextItem>
      </HelperText>
    </Fields>
  );
}
