import { ModulePage } from '../../components/ModulePage';

export function Clients() {
  return <ModulePage title="Clients">{null}</ModulePage>;
}
