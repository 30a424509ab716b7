import { ModulePage } from '../../components/ModulePage';

export function Audit() {
  return <ModulePage title="Audit">{null}</ModulePage>;
}
