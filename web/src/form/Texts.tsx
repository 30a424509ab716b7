import { Button, InputGroup, InputGroupItem, TextInput } from '@patternfly/react-core';
import { ArrowDownIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-down-icon';
import { ArrowUpIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-up-icon';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { TrashIcon } from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { useState, type ReactNode } from 'react';
import { asList, type Json } from '../document/json';
import { Frame } from './Frame';
import { inputId, useForm, useShown, type FieldState } from './form';
import { inSentence } from './schema';

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
  const { errors } = useForm();
  const list = asList(value);
  const [added, setAdded] = useState(-1);
  useShown(list.map((_, i) => `${path}[${i}]`));
  const take = (items: Json[]) => set(items.length === 0 ? undefined : items);
  const add = () => {
    setAdded(list.length);
    take([...list, '']);
  };
  return (
    <Frame field={field} label={label} help={help} group="group">
      {list.map((item, i) => {
        const fault = errors.find((e) => e.path === `${path}[${i}]`)?.message;
        const name = `${label} ${i + 1}`;
        return (
          // oxlint-disable-next-line react/no-array-index-key -- what names a text here is its place
          <div key={i} style={{ marginBlockEnd: 'var(--pf-t--global--spacer--xs)' }}>
            <InputGroup>
              <InputGroupItem isFill>
                <TextInput
                  id={inputId(`${path}[${i}]`)}
                  aria-label={name}
                  value={typeof item === 'string' ? item : JSON.stringify(item)}
                  placeholder={example}
                  readOnly={readOnly !== undefined}
                  validated={fault === undefined ? 'default' : 'error'}
                  autoComplete="off"
                  spellCheck={false}
                  autoFocus={added === i}
                  style={mono ? { fontFamily: 'var(--pf-t--global--font--family--mono)' } : undefined}
                  onChange={(_, text) => take(list.with(i, text))}
                  onKeyDown={(e) => {
                    if (e.key !== 'Enter') return;
                    e.preventDefault();
                    add();
                  }}
                />
              </InputGroupItem>
              {readOnly === undefined && (
                <InputGroupItem>
                  <Button
                    variant="control"
                    icon={<ArrowUpIcon />}
                    aria-label={`Move ${name} up`}
                    isDisabled={i === 0}
                    onClick={() => take(moved(list, i, i - 1))}
                  />
                  <Button
                    variant="control"
                    icon={<ArrowDownIcon />}
                    aria-label={`Move ${name} down`}
                    isDisabled={i === list.length - 1}
                    onClick={() => take(moved(list, i, i + 1))}
                  />
                  <Button
                    variant="control"
                    icon={<TrashIcon />}
                    aria-label={`Remove ${name}`}
                    onClick={() => take(list.toSpliced(i, 1))}
                  />
                </InputGroupItem>
              )}
            </InputGroup>
            {fault !== undefined && (
              <div className="pf-v6-c-helper-text__item pf-m-error" role="alert">
                {fault}
              </div>
            )}
          </div>
        );
      })}
      {readOnly === undefined ? (
        <Button variant="link" isInline icon={<PlusCircleIcon />} id={inputId(path)} onClick={add}>
          Add to {inSentence(label)}
        </Button>
      ) : (
        list.length === 0 && <span id={inputId(path)}>None</span>
      )}
    </Frame>
  );
}
