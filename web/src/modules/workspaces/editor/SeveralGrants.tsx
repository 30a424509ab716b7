import {
  Button,
  FormGroup,
  FormSelect,
  FormSelectOption,
  Panel,
  PanelHeader,
  PanelMain,
  PanelMainBody,
} from '@patternfly/react-core';
import { TrashIcon } from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { useId, useMemo, useState } from 'react';
import { ActionButton } from '../../../components/ActionButton';
import { plural } from '../../../components/format';
import { useMessages } from '../../../components/messages';
import { asList, isObject, type Json } from '../../../document/json';
import { valueAt, withValue } from '../../../document/paths';
import { DocumentForm } from '../../../form/DocumentForm';
import { Field } from '../../../form/Field';
import { useForm } from '../../../form/form';
import { editWithUndo } from '../../../form/undo';
import { words } from '../../../document/reading';
import { leaves, schemaAt } from '../../../form/schema';

interface Props {
  /** Places of the grants. */
  chosen: number[];
  onDone: () => void;
}

/** Sets one field of several grants at once, or removes them. */
export function SeveralGrants({ chosen, onDone }: Props) {
  const { schema, edit, readOnly } = useForm();
  const { undoable } = useMessages();
  const [member, setMember] = useState('enabled');
  const [value, setValue] = useState<Json>({});
  const id = useId();
  const grant = schemaAt(schema, 'grants[]');
  const members = useMemo(
    () => (grant ? leaves(grant).filter((p) => !p.includes('[]') && !p.startsWith('principal.')) : []),
    [grant],
  );
  if (!grant) return null;
  const counted = plural(chosen.length, 'grant');
  const set = () => {
    const wanted = valueAt(value, member);
    const undo = editWithUndo(edit, 'grants', (grants) =>
      asList(grants).map((g, i) => (chosen.includes(i) && isObject(g) ? withValue(g, member, wanted) : g)),
    );
    undoable(`${called(member)} was set in ${counted}`, undo);
    onDone();
  };
  const remove = () => {
    const undo = editWithUndo(edit, 'grants', (grants) => {
      const left = asList(grants).filter((_, i) => !chosen.includes(i));
      return left.length === 0 ? undefined : left;
    });
    undoable(`${counted} ${chosen.length === 1 ? 'was' : 'were'} removed`, undo);
    onDone();
  };
  return (
    <Panel variant="bordered">
      <PanelHeader>{counted} chosen</PanelHeader>
      <PanelMain>
        <PanelMainBody>
          <FormGroup label="Field to set" fieldId={id}>
            <FormSelect
              id={id}
              value={member}
              onChange={(_, m) => {
                setMember(m);
                setValue({});
              }}
            >
              {members.map((m) => (
                <FormSelectOption key={m} value={m} label={called(m)} />
              ))}
            </FormSelect>
          </FormGroup>
          <DocumentForm schema={grant} document={value} onChange={setValue} readOnly={readOnly} inner>
            <Field path={member} label={called(member)} compact />
            <div>
              <ActionButton not={readOnly} onClick={set}>
                {valueAt(value, member) === undefined ? 'Set to the default' : 'Set'} in {counted}
              </ActionButton>{' '}
              <ActionButton variant="secondary" isDanger icon={<TrashIcon />} not={readOnly} onClick={remove}>
                Remove {counted}
              </ActionButton>{' '}
              <Button variant="link" onClick={onDone}>
                Choose none
              </Button>
            </div>
          </DocumentForm>
        </PanelMainBody>
      </PanelMain>
    </Panel>
  );
}

/** A field of a grant as people read it: offline.limit is "Offline: Limit". */
const called = (path: string): string => path.split('.').map(words).join(': ');
