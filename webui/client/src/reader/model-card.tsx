/** What a model is for, and what it is not for: one click away from every finding. */
import { useState } from 'preact/hooks';
import { getJson } from '../http';
import { Failure, Waiting } from '../states';
import { Dialog } from './dialog';

export function ModelButton({ name }: { name: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="link" onClick={() => setOpen(true)}>
        {name}
      </button>
      {open && <ModelDialog name={name} onClose={() => setOpen(false)} />}
    </>
  );
}

type Card = Record<string, unknown>;

function ModelDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const [card, setCard] = useState<Card | null>(null);
  const [error, setError] = useState<unknown>(null);
  useState(() => void getJson<Card>(`/api/models/${encodeURIComponent(name)}`).then(setCard, setError));
  return (
    <Dialog title={`${name}: what it is for`} onClose={onClose}>
      {error ? <Failure error={error} /> : card ? <Facts card={card} /> : <Waiting what="Loading the card" />}
    </Dialog>
  );
}

function Facts({ card }: { card: Card }) {
  const facts = Object.entries(card).flatMap(([key, value]): [string, string][] => {
    if (typeof value === 'string' || typeof value === 'number') return [[key, String(value)]];
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return [[key, value.join(' ')]];
    return [];
  });
  return (
    <dl class="facts">
      {facts.map(([key, value]) => (
        <div key={key}>
          <dt>{key.replaceAll('_', ' ')}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
