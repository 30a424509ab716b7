import { ModulePage } from '../../components/ModulePage';

export function Overview() {
  return <ModulePage title="Overview">{null}</ModulePage>;
}
