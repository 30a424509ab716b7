import { Content } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { asProblem } from '../../api/problem';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, ChoiceField, TextField } from '../../components/inputs';
import { useMessages } from '../../components/messages';
import { TypedName } from '../../components/TypedName';
import { graces, newOrder, orders, type Kind } from './orderKinds';

interface Props {
  kind: Kind;
  client: { id: string; name: string };
  /** Absent: the client as a whole, which is all machines of it. */
  machine?: { id: string; name: string } | undefined;
  onClose: () => void;
}

/** Asks why, and how long a machine that runs may go on, and gives the order. What destroys asks for the name, too. */
export function OrderDialog({ kind, client, machine, onClose }: Props) {
  const order = orders[kind];
  const queries = useQueryClient();
  const say = useMessages();
  const [reason, setReason] = useState('');
  const [grace, setGrace] = useState('');
  const [typed, setTyped] = useState('');
  const [halted, setHalted] = useState(false);
  const [confirmed, setConfirmed] = useState(false);
  const name = machine?.name ?? client.name;
  const missing = (): string | undefined => {
    if (order.reason === true && reason.trim() === '') return 'Say why.';
    if (order.destroys === true && typed !== name) return 'Type the name.';
    return halted && !confirmed ? 'Confirm that many are deleted.' : undefined;
  };
  const act = async () => {
    try {
      await api.POST('/clients/{id}/orders', {
        params: { path: { id: client.id } },
        body: newOrder({ kind, machine: machine?.id, reason, grace, confirm: confirmed }),
      });
    } catch (thrown) {
      if (kind === 'delete' && asProblem(thrown).kind === 'conflict') setHalted(true);
      throw thrown;
    }
    say.done(`${order.verb} ordered; ${client.name} carries it out when it asks next`);
    await queries.invalidateQueries({ queryKey: ['client'] });
  };
  return (
    <FormDialog
      title={`${order.verb}: ${name}?`}
      says={order.says}
      verb={order.verb}
      act={act}
      onClose={onClose}
      not={missing()}
      isDanger={order.destroys === true}
    >
      {machine === undefined && order.for.includes('machine') && (
        <Content component="p">It is for all machines of {client.name}, whoever works in them.</Content>
      )}
      {(order.reason === true || kind === 'diagnostics') && (
        <TextField
          label="Reason"
          path="reason"
          value={reason}
          onChange={setReason}
          isRequired={order.reason === true}
          help={order.reason === true ? 'The user is shown it.' : 'For the records.'}
        />
      )}
      {order.grace === true && (
        <ChoiceField
          label="Time to save work"
          path="grace_seconds"
          value={grace}
          onChange={setGrace}
          choices={graces}
          help={
            kind === 'stop'
              ? 'For what runs, after a warning. As usual: none.'
              : 'For what runs, after a warning. As usual: what the policy says.'
          }
        />
      )}
      {order.destroys === true && <TypedName name={name} value={typed} onChange={setTyped} />}
      {halted && (
        <CheckField label="Delete it although many are being deleted" checked={confirmed} onChange={setConfirmed} />
      )}
    </FormDialog>
  );
}
