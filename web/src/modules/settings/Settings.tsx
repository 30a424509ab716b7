import { ModulePage } from '../../components/ModulePage';

export function Settings() {
  return <ModulePage title="Settings">{null}</ModulePage>;
}
