import { ModulePage } from '../../components/ModulePage';

export function Images() {
  return <ModulePage title="Images">{null}</ModulePage>;
}
