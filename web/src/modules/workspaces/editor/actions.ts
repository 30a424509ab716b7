import { asText, isObject, type JsonObject } from '../../../document/json';
import { words } from '../../../document/reading';

/** One kind of action of the script. */
export interface ActionKind {
  /** The member of the document that says so. */
  member: string;
  name: string;
  /** What a new one has; what must be given is empty. */
  first: JsonObject;
}

/** The kinds of actions, in the order in which they are offered. */
export const actionKinds: ActionKind[] = [
  { member: 'renameComputer', name: 'Rename the computer', first: {} },
  { member: 'joinDomain', name: 'Join a domain', first: {} },
  { member: 'runCommand', name: 'Run a command', first: { path: '' } },
  { member: 'checkConnectivity', name: 'Check connectivity', first: { address: '' } },
  { member: 'restart', name: 'Restart', first: {} },
  { member: 'disableAutomaticSignOn', name: 'Disable automatic sign-on', first: {} },
];

/** Returns the kind of an action; undefined: it has none, or one that this console does not know. */
export const kindOfAction = (action: JsonObject): ActionKind | undefined => actionKinds.find((k) => k.member in action);

/** What an action is called: by itself, or by what it does. */
export function actionName(action: JsonObject): string {
  const kind = kindOfAction(action);
  return asText(action['name']) || (kind?.name ?? words(Object.keys(action)[0] ?? 'Unknown action'));
}

/** What an action does to what, in a few words. */
export function actionSummary(action: JsonObject): string {
  const kind = kindOfAction(action);
  const given = action[kind?.member ?? ''];
  const values = isObject(given) ? given : {};
  switch (kind?.member) {
    case 'joinDomain':
      return values['userDomain'] === true ? 'the domain of the user' : asText(values['domain']);
    case 'runCommand': {
      const args = Array.isArray(values['arguments']) ? values['arguments'] : [];
      return [asText(values['path']), ...args].join(' ');
    }
    case 'checkConnectivity': {
      const port = values['port'];
      return asText(values['address']) + (typeof port === 'number' ? `, port ${port}` : '');
    }
    default:
      return '';
  }
}

/** Says whether the guest restarts with an action: what follows goes on after that. */
export function restarts(action: JsonObject): boolean {
  const command = action['runCommand'];
  return 'restart' in action || (isObject(command) && command['causesRestart'] === true);
}
