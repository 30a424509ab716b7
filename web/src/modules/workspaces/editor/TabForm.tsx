import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { raw } from '../../../api/client';
import { Loaded } from '../../../components/Loaded';
import { DocumentForm } from '../../../form/DocumentForm';
import { OtherFaults, UnknownMembers } from '../../../form/OtherFaults';
import type { Schema } from '../../../form/schema';
import type { Draft } from './draft';

/** The JSON Schema of workspaces, from the server: fields, help, defaults. */
const schemaQuery = {
  queryKey: ['schema', 'workspace'],
  queryFn: async () => (await (await raw('/schema/workspace.json')).json()) as Schema,
  staleTime: Infinity,
};

interface Props {
  ws: Draft;
  /** Paths of the document that this tab is for. */
  prefixes: string[];
  /** Returns the object that stays though nothing is left in it when a path changed. */
  keep?: (path: string) => string;
  children: ReactNode;
}

/** One tab of the editor: the form over the whole document, and the faults that stand at no field of it. */
export function TabForm({ ws, prefixes, keep, children }: Props) {
  const schema = useQuery(schemaQuery);
  return (
    <Loaded query={schema} what="fields of workspaces">
      {(loaded) => (
        <DocumentForm
          schema={loaded}
          document={ws.document}
          onChange={ws.edit}
          errors={ws.errors}
          warnings={ws.warnings}
          withholding={ws.withholding}
          readOnly={ws.readOnly}
          keep={keep}
        >
          <OtherFaults below={prefixes} />
          {children}
          <UnknownMembers />
        </DocumentForm>
      )}
    </Loaded>
  );
}
