import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { Gone } from '../../components/Gone';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { load } from './calls';
import { Editor } from './Editor';

/** One workspace: its document as a form and as YAML, its history, and who gets what of it. */
export function WorkspacePage() {
  const { id = '' } = useParams();
  const query = useQuery({ queryKey: ['workspace', id], queryFn: () => load(id) });
  if (query.data === undefined) {
    return (
      <ModulePage title="Workspace" above={[{ name: 'Workspaces', to: '/workspaces' }]}>
        <Loaded query={query} what="workspace" gone={<Gone what="workspace" list="/workspaces" id={id} />}>
          {() => null}
        </Loaded>
      </ModulePage>
    );
  }
  return <Editor key={id} id={id} current={query.data} query={query} />;
}
