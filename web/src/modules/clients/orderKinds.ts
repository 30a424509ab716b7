/** What clients and their machines can be ordered to do. */
export type Kind = 'refresh' | 'lock' | 'stop' | 'reset' | 'delete' | 'diagnostics';

interface Order {
  /** On menus and buttons. */
  verb: string;
  /** As "What happens" says it, of a machine. */
  says: string;
  /** For the client as a whole, for one machine, or both. */
  for: ('client' | 'machine')[];
  /** A machine that runs may be given time before. */
  grace?: boolean;
  /** The user is told why, so it must be said. */
  reason?: boolean;
  /** What is gone is gone: confirmed by name. */
  destroys?: boolean;
}

/** All orders, in the order of menus. */
export const orders: Record<Kind, Order> = {
  refresh: { verb: 'Refresh', says: 'The client asks for everything anew.', for: ['client'] },
  lock: {
    verb: 'Lock',
    says: 'What runs is locked until the user proves who they are.',
    for: ['client', 'machine'],
    reason: true,
  },
  stop: {
    verb: 'Stop',
    says: 'What runs is shut down. Nothing is lost but what was not saved.',
    for: ['client', 'machine'],
    reason: true,
    grace: true,
  },
  reset: {
    verb: 'Reset',
    says: 'The machine goes back to its image: what was installed or changed in it, and memory that was saved, is gone for good. The data disk stays; of an image without one, everything goes.',
    for: ['machine'],
    reason: true,
    grace: true,
    destroys: true,
  },
  delete: {
    verb: 'Delete',
    says: 'The machine is deleted from the computer with all its data. It cannot be undone.',
    for: ['machine'],
    reason: true,
    grace: true,
    destroys: true,
  },
  diagnostics: {
    verb: 'Collect diagnostics',
    says: 'The client sends its state and the ends of its logs. They have no passwords and no keys, but names of users and workspaces.',
    for: ['client'],
  },
};

export const kinds = Object.keys(orders) as Kind[];

/** The name of an order in lists; one that this console does not know is shown as it is. */
export const orderName = (kind: string): string => {
  const known = kinds.find((k) => k === kind);
  return known === undefined ? kind : orders[known].verb;
};

/** Times of grace to choose from, in minutes; empty: as the server has it when nothing is said. */
export const graces = [
  { value: '', name: 'As usual' },
  { value: '0', name: 'None: at once' },
  { value: '5', name: '5 minutes' },
  { value: '15', name: '15 minutes' },
  { value: '60', name: '1 hour' },
  { value: '480', name: '8 hours' },
];

interface Asked {
  kind: Kind;
  machine?: string | undefined;
  reason: string;
  /** Of graces. */
  grace: string;
  confirm?: boolean;
}

/** What the server is sent. */
export function newOrder({ kind, machine, reason, grace, confirm = false }: Asked) {
  return {
    kind,
    reason: reason.trim(),
    ...(machine === undefined ? {} : { machine }),
    ...(orders[kind].grace === true && grace !== '' ? { grace_seconds: Number(grace) * 60 } : {}),
    ...(confirm ? { confirm } : {}),
  };
}
