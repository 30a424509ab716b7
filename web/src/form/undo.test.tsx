import { act, cleanup, fireEvent, render, screen } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, describe, expect, test } from 'vitest';
import { Messages } from '../components/MessageList';
import { asList, type Json } from '../document/json';
import { valueAt, withValue } from '../document/paths';
import { AsOperator } from '../session/AsOperator';
import { DocumentForm } from './DocumentForm';
import { Field } from './Field';
import type { FormState } from './form';
import { Items } from './Items';
import type { Schema } from './schema';
import { editWithUndo, undone } from './undo';

const schema: Schema = {
  type: 'object',
  properties: {
    title: { type: 'string' },
    things: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' } } } },
  },
};

/** The page keeps the document; the two forms are on tabs, one of which is there. */
function Page({ seen }: { seen: (document: Json) => void }) {
  const [document, setDocument] = useState<Json>({ title: '', things: [{ name: 'a' }, { name: 'b' }] });
  const [tab, setTab] = useState('things');
  seen(document);
  return (
    <Messages>
      <button type="button" onClick={() => setTab('title')}>
        Other tab
      </button>
      <DocumentForm key={tab} schema={schema} document={document} onChange={setDocument}>
        {tab === 'things' ? (
          <Items
            path="things"
            label="Things"
            one="thing"
            name={(item) => String(item['name'])}
            columns={[{ name: 'Name', cell: (item) => String(item['name']) }]}
            fields={() => null}
            empty="None"
          />
        ) : (
          <Field path="title" />
        )}
      </DocumentForm>
    </Messages>
  );
}

describe('undo', () => {
  afterEach(cleanup);

  test('leaves what was typed since on another tab', () => {
    let document: Json = null;
    render(<Page seen={(d) => (document = d)} />, { wrapper: AsOperator });
    fireEvent.click(screen.getByLabelText('Remove a'));
    expect(valueAt(document, 'things')).toEqual([{ name: 'b' }]);
    fireEvent.click(screen.getByText('Other tab'));
    fireEvent.change(screen.getByRole('textbox'), { target: { value: 'typed' } });
    act(() => screen.getByText('Undo').click());
    expect(document).toEqual({ title: 'typed', things: [{ name: 'a' }, { name: 'b' }] });
  });

  test('of a change of several items leaves what was changed in others, and in other fields', () => {
    let items: Json | undefined = [{ name: 'a' }, { name: 'b', note: 'x' }];
    const edit: FormState['edit'] = (_, make) => {
      items = make(items);
    };
    const undo = editWithUndo(edit, 'items', (all) => asList(all).map((item) => withValue(item, 'on', false)));
    items = [{ name: 'a', on: false, note: 'new' }, { name: 'b', on: false, note: 'x' }, { name: 'c' }];
    undo();
    expect(items).toEqual([{ name: 'a', note: 'new' }, { name: 'b', note: 'x' }, { name: 'c' }]);
  });

  test('brings back what was taken away whole', () => {
    expect(undone(undefined, [{ name: 'a' }], undefined)).toEqual([{ name: 'a' }]);
    expect(undone([{ name: 'a' }], undefined, [{ name: 'a' }])).toBeUndefined();
  });
});
