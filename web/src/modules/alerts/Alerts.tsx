import { ModulePage } from '../../components/ModulePage';

export function Alerts() {
  return <ModulePage title="Alerts">{null}</ModulePage>;
}
