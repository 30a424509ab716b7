import { ModulePage } from '../../components/ModulePage';

export function Plan() {
  return <ModulePage title="Plan">{null}</ModulePage>;
}
