/** The worklist: filters, rows, and the keys that go through them. */
import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { go } from '../route';
import { Empty, Failure, Waiting } from '../states';
import { askForViewers } from '../viewers';
import { failure, filters, keepCurrent, load, loading, loadMore, lookedAt, next, studies } from './data';
import { Filters } from './filters';
import { Row } from './rows';

export function WorklistPage() {
  useSignalEffect(() => {
    void filters.value;
    void load();
  });
  useEffect(() => {
    document.title = 'Worklist – Isocenter';
    addEventListener('keydown', onKey);
    askForViewers();
    const stop = keepCurrent();
    return () => {
      removeEventListener('keydown', onKey);
      stop();
    };
  }, []);
  return (
    <div class="worklist">
      <h1>Worklist</h1>
      <Filters />
      {failure.value && <Failure error={failure.value} again={() => void load()} />}
      <Studies />
    </div>
  );
}

function Studies() {
  const rows = studies.value;
  if (rows === null) return failure.value ? null : <Waiting what="Loading the worklist" />;
  if (rows.length === 0 && !next.value) return <NoStudies />;
  return (
    <>
      <table class="studies" aria-busy={loading.value} onPointerOver={prepareReader} onFocusIn={prepareReader}>
        <caption class="hidden">Studies, newest first, below those with critical findings that wait to be acknowledged. Arrow keys move, Enter opens.</caption>
        <thead>
          <tr>
            <th scope="col">Models</th>
            <th scope="col">Patient</th>
            <th scope="col">Study</th>
            <th scope="col">Findings</th>
            <th scope="col">Date</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((study, index) => (
            <Row key={study.uid} study={study} index={index} />
          ))}
        </tbody>
      </table>
      <p class="list-end" role="status">
        {next.value ? `${rows.length} of ${lookedAt.value} studies looked at` : `${rows.length} ${rows.length === 1 ? 'study' : 'studies'}`}
      </p>
      {next.value && (
        <button type="button" class="more" disabled={loading.value} onClick={() => void loadMore()}>
          {loading.value ? 'Loading …' : 'Older studies'}
        </button>
      )}
    </>
  );
}

/** Whoever points at a study is about to open one: the reader's code comes meanwhile. */
function prepareReader(): void {
  void import('../reader/page').then(({ loadViewer }) => loadViewer());
}

function NoStudies() {
  const asked = [...filters.value.values()].some(Boolean);
  if (asked) {
    return (
      <Empty title="No study is like that">
        <p>
          Use fewer filters, or part of a name. <a href="/">Show all studies</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="Nothing has arrived yet">
      <p>Studies appear here by themselves as they arrive. Send one:</p>
      <p>
        <code>isocenter send FOLDER</code> or <code>storescu -aec ISOCENTER localhost 11112 +sd FOLDER</code>
      </p>
    </Empty>
  );
}

/** Arrows move from row to row, / goes to the search, and Escape leaves it. */
function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target instanceof HTMLElement ? event.target : null;
  const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    document.getElementById('search')?.focus();
  } else if (event.key === 'Escape' && typing) {
    target.blur();
  } else if (event.key === 'Enter' && target?.id === 'search') {
    const first = studies.value?.[0];
    if (studies.value?.length === 1 && first) go(`/studies/${first.uid}`);
    else focusRow(0);
  } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && !(target instanceof HTMLSelectElement)) {
    const at = Number(target?.closest('tr')?.querySelector('[data-row]')?.getAttribute('data-row') ?? -1);
    event.preventDefault();
    focusRow(Math.max(0, at + (event.key === 'ArrowDown' ? 1 : -1)));
  }
}

function focusRow(index: number): void {
  document.querySelector<HTMLElement>(`[data-row="${index}"]`)?.focus();
}
