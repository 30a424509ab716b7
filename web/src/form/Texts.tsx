import { FormHelperText, HelperText, InputGroup, InputGroupItem, TextInput } from '@patternfly/react-core';
import { ArrowDownIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-down-icon';
import { ArrowUpIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-up-icon';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { TrashIcon } from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { useEffect, useState, type ReactNode } from 'react';
import { ActionButton } from '../components/ActionButton';
import { asList, type Json } from '../document/json';
import { inSentence } from '../document/reading';
import { FaultTexts } from './FaultTexts';
import { belowId, Frame, validity } from './Frame';
import { inputId, messagesAt, useForm, useShown, type FieldState } from './form';

interface Props {
  field: FieldState;
  label: string;
  help?: ReactNode;
  example?: string | undefined;
  mono?: boolean | undefined;
}

/** Returns a list with one item moved by a step. */
export function moved(list: Json[], from: number, to: number): Json[] {
  const item = list[from];
  return item === undefined || to < 0 || to >= list.length ? list : list.toSpliced(from, 1).toSpliced(to, 0, item);
}

/** A list of texts in order: added, changed, moved, removed. */
export function Texts({ field, label, help, example, mono = false }: Props) {
  const { path, value, set, readOnly } = field;
  const { errors, warnings, withholding } = useForm();
  useEffect(() => () => withholding.end(path), [withholding, path]);
  const list = asList(value);
  const [added, setAdded] = useState(-1);
  useShown(list.map((_, i) => `${path}[${i}]`));
  const take = (items: Json[]) => set(items.length === 0 ? undefined : items);
  const add = () => {
    setAdded(list.length);
    withholding.begin(`${path}[${list.length}]`);
    take([...list, '']);
  };
  return (
    <Frame field={field} label={label} help={help} group="group">
      {list.map((item, i) => {
        const at = `${path}[${i}]`;
        const faults = { errors: messagesAt(errors, at), warnings: messagesAt(warnings, at) };
        const faulty = faults.errors.length + faults.warnings.length > 0;
        const name = `${label} ${i + 1}`;
        return (
          // oxlint-disable-next-line react/no-array-index-key -- what names a text here is its place
          <div key={i} style={{ marginBlockEnd: 'var(--pf-t--global--spacer--xs)' }}>
            <InputGroup>
              <InputGroupItem isFill>
                <TextInput
                  id={inputId(at)}
                  aria-label={name}
                  value={typeof item === 'string' ? item : JSON.stringify(item)}
                  placeholder={example}
                  readOnly={readOnly !== undefined}
                  validated={validity(faults)}
                  aria-describedby={faulty ? belowId(at) : undefined}
                  autoComplete="off"
                  spellCheck={false}
                  autoFocus={added === i}
                  style={mono ? { fontFamily: 'var(--pf-t--global--font--family--mono)' } : undefined}
                  onChange={(_, text) => take(list.with(i, text))}
                  onKeyDown={(e) => {
                    if (e.key !== 'Enter') return;
                    e.preventDefault();
                    if (readOnly === undefined) add();
                  }}
                />
              </InputGroupItem>
              <InputGroupItem>
                <ActionButton
                  variant="control"
                  icon={<ArrowUpIcon />}
                  aria-label={`Move ${name} up`}
                  not={readOnly}
                  isDisabled={i === 0}
                  onClick={() => take(moved(list, i, i - 1))}
                />
                <ActionButton
                  variant="control"
                  icon={<ArrowDownIcon />}
                  aria-label={`Move ${name} down`}
                  not={readOnly}
                  isDisabled={i === list.length - 1}
                  onClick={() => take(moved(list, i, i + 1))}
                />
                <ActionButton
                  variant="control"
                  icon={<TrashIcon />}
                  aria-label={`Remove ${name}`}
                  not={readOnly}
                  onClick={() => take(list.toSpliced(i, 1))}
                />
              </InputGroupItem>
            </InputGroup>
            {faulty && (
              <FormHelperText>
                <HelperText id={belowId(at)} isLiveRegion>
                  <FaultTexts {...faults} label={name} />
                </HelperText>
              </FormHelperText>
            )}
          </div>
        );
      })}
      <ActionButton variant="link" isInline icon={<PlusCircleIcon />} id={inputId(path)} not={readOnly} onClick={add}>
        Add to {inSentence(label)}
      </ActionButton>
    </Frame>
  );
}
