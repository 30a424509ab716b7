import { ModulePage } from '../../components/ModulePage';

export function Reports() {
  return <ModulePage title="Reports">{null}</ModulePage>;
}
