/** What a model is for, and what it is not for: one click away from every finding. */
import { useEffect, useState } from 'preact/hooks';
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

interface Card {
  version: string;
  title: string;
  manufacturer: string;
  intended_use: string;
  not_for: string[];
  licence: string;
  origin: string;
  digest: string;
  thresholds: Record<string, number>;
  inputs: string[];
  /** Why it does not run; null when it does. */
  stopped: string | null;
  readme: string;
}

function ModelDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const [card, setCard] = useState<Card | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    getJson<Card>(`/api/models/${encodeURIComponent(name)}`).then(setCard, setError);
  }, [name]);
  return (
    <Dialog title={`${name}: what it is for`} onClose={onClose}>
      {error ? <Failure error={error} /> : card ? <Facts card={card} /> : <Waiting what="Loading the card" />}
    </Dialog>
  );
}

function Facts({ card }: { card: Card }) {
  const thresholds = Object.entries(card.thresholds).map(([what, score]) => `${what} ${score}`);
  const facts: [string, string][] = [
    ['Meant for', card.intended_use],
    ['Not for', card.not_for.join('\n')],
    ['Stopped', card.stopped ?? ''],
    ['Version', `${card.title} ${card.version}`],
    ['Compares', card.inputs.join('; ')],
    ['Found from', thresholds.join(', ')],
    ['Maker', card.manufacturer],
    ['Origin', card.origin],
    ['Licence', card.licence],
    ['SHA-256', card.digest],
  ];
  return (
    <>
      <dl class="facts">
        {facts
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {card.readme && (
        <details class="readme">
          <summary>Model card</summary>
          <pre tabIndex={0}>{card.readme}</pre>
        </details>
      )}
    </>
  );
}
