import { readFileSync } from 'node:fs';
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import { Messages } from '../../components/MessageList';
import { DocumentForm } from '../../form/DocumentForm';
import { schemaAt, type Schema } from '../../form/schema';
import { AsOperator } from '../../session/AsOperator';
import { Part } from './PlanForm';

const schema = JSON.parse(
  readFileSync('../internal/plan/organization/schema/organization.schema.json', 'utf8'),
) as Schema;

afterEach(cleanup);

test('a thing whose first value is not given is opened by a button with a name', () => {
  const sites = schemaAt(schema, 'spec.sites') ?? {};
  render(
    <Messages>
      <DocumentForm schema={schema} document={{ spec: { sites: [{}, { name: 'north' }] } }} onChange={() => undefined}>
        <Part path="spec.sites" schema={sites} />
      </DocumentForm>
    </Messages>,
    { wrapper: AsOperator },
  );
  expect(screen.getByText('Not given yet').closest('button')).toBeTruthy();
  expect(screen.getByText('north').closest('button')).toBeTruthy();
});
