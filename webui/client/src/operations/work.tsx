/** Work items: those that run or wait, those that failed, and what was not suitable. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { postJson, Problem } from '../http';
import { failed, running, type Work, type WorkItem } from './data';
import { ago, amount } from './words';

const SHOWN = 12;

export function Running({ work }: { work: Work }) {
  const held = work.work.filter((item) => item.state === 'IN PROGRESS');
  const waiting = work.work.filter((item) => item.state === 'SCHEDULED');
  const shown = [...held, ...waiting].slice(0, SHOWN);
  const more = work.counts['IN PROGRESS'] + work.counts.SCHEDULED - shown.length;
  if (!shown.length) return <p class="quiet">Nothing runs, and nothing waits.</p>;
  return (
    <>
      <ul class="items">
        {shown.map((item) => (
          <Item key={item.uid} item={item}>
            {item.state === 'IN PROGRESS' ? (
              <span class="progress">
                <progress max={100} value={item.progress} aria-label={`Progress of ${nameOf(item)}`} /> {item.progress} %{' '}
                <span class="quiet-inline">{item.progress_note}</span>
              </span>
            ) : (
              <span class="quiet-inline">waits, planned {ago(item.created_at)}</span>
            )}
            <Act item={item} verb="cancel" name="Cancel" />
          </Item>
        ))}
      </ul>
      {more > 0 && <p class="quiet">and {amount(more)} more</p>}
    </>
  );
}

export function Failures({ work }: { work: WorkItem[] }) {
  const [all, setAll] = useState(false);
  if (!work.length) return <p class="quiet">Nothing has failed.</p>;
  return (
    <>
      <ul class="items">
        {work.slice(0, all ? undefined : SHOWN).map((item) => (
          <Item key={item.uid} item={item}>
            <p class="reason">✕ {item.reason || 'No reason was given'}</p>
            <span class="quiet-inline">
              {item.attempts === 1 ? 'once' : `${item.attempts} times`}, {ago(item.finished_at ?? item.created_at)}
            </span>
            <Act item={item} verb="retry" name="Try again" />
          </Item>
        ))}
      </ul>
      {!all && work.length > SHOWN && (
        <button type="button" onClick={() => setAll(true)}>
          Show all {work.length}
        </button>
      )}
    </>
  );
}

export function NotSuitable({ work }: { work: WorkItem[] }) {
  if (!work.length) return <p class="quiet">Whatever a model was asked about was suitable for it.</p>;
  return (
    <ul class="items">
      {work.slice(0, SHOWN).map((item) => (
        <Item key={item.uid} item={item}>
          <p>{item.reason}</p>
          <span class="quiet-inline">{ago(item.finished_at ?? item.created_at)}</span>
        </Item>
      ))}
    </ul>
  );
}

function Item({ item, children }: { item: WorkItem; children: ComponentChildren }) {
  return (
    <li class="item">
      <span class="item-name">
        <b>{nameOf(item)}</b> {item.version && <span class="quiet-inline">{item.version}</span>}{' '}
        {item.study && <a href={`/studies/${item.study}`}>Study</a>}
      </span>
      {children}
    </li>
  );
}

function nameOf(item: WorkItem): string {
  return item.model || item.label || 'Procedure step';
}

function Act({ item, verb, name }: { item: WorkItem; verb: 'retry' | 'cancel'; name: string }) {
  const [said, setSaid] = useState('');
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    try {
      await postJson(`/api/work/${item.uid}/${verb}`, {});
      setSaid('');
      await Promise.all([running.ask(), failed.ask()]);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setSaid(error.message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <span class="act">
      <button type="button" disabled={busy} onClick={() => void act()} aria-label={`${name}: ${nameOf(item)}`}>
        {name}
      </button>
      <span class="wrong" role="alert">
        {said}
      </span>
    </span>
  );
}
