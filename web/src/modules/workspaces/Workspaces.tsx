import { ModulePage } from '../../components/ModulePage';

export function Workspaces() {
  return <ModulePage title="Workspaces">{null}</ModulePage>;
}
