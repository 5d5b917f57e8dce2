/** Upload: files, folders and ZIP files, dropped or chosen, with what became of each. */
import './upload.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { bytes, amount } from '../operations/words';
import { chosen, dropped } from './files';
import { again, busy, counts, current, done, found, problems, retry, sentBytes, stop, studies, upload } from './queue';
import type { Outcome } from './store';

export function UploadPage() {
  useEffect(() => {
    document.title = 'Upload – Isocenter';
    const warn = (event: BeforeUnloadEvent) => busy.value && event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, []);
  return (
    <div class="upload">
      <h1>Upload</h1>
      <DropZone />
      {(busy.value || done.value > 0) && <Progress />}
      <Studies />
      <Problems />
    </div>
  );
}

function DropZone() {
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) void upload(dropped(event.dataTransfer));
  };
  return (
    <div
      class={over ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <p class="empty-title">Drop DICOM files, folders or ZIP files here</p>
      <p>
        <Choice name="Choose files" folder={false} /> <Choice name="Choose a folder" folder />
      </p>
      <p class="quiet">They are stored in this archive as they are, and models run on them as on what a scanner sends.</p>
    </div>
  );
}

function Choice({ name, folder }: { name: string; folder: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        {name}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={name}
        {...(folder ? { webkitdirectory: true } : {})}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = '';
          if (files.length) void upload(chosen(files));
        }}
      />
    </>
  );
}

const NAMES: readonly (readonly [keyof typeof counts.value, string])[] = [
  ['stored', 'stored'],
  ['warned', 'stored with a warning'],
  ['refused', 'refused'],
  ['failed', 'failed'],
  ['skipped', 'left out'],
];

function Progress() {
  const said = NAMES.filter(([state]) => counts.value[state] > 0).map(([state, name]) => `${amount(counts.value[state])} ${name}`);
  return (
    <section class="part" aria-label="Progress">
      <progress max={Math.max(1, found.value.bytes)} value={sentBytes.value} aria-label="Bytes sent" />
      <p role="status">
        {busy.value ? 'Sending' : 'Done'}: {said.join(', ') || 'nothing yet'}
        <span class="quiet">
          {bytes(sentBytes.value)} of {amount(found.value.files)} {found.value.files === 1 ? 'file' : 'files'} {current.value && `· ${current.value}`}
        </span>
      </p>
      {busy.value && (
        <button type="button" onClick={stop}>
          Stop
        </button>
      )}
      {!busy.value && again.value.length > 0 && (
        <button type="button" class="primary" onClick={() => void retry()}>
          Send what failed again
        </button>
      )}
    </section>
  );
}

function Studies() {
  if (!studies.value.length) return null;
  return (
    <section class="part" aria-label="Studies">
      <h2>Studies</h2>
      <ul class="plain-list">
        {studies.value.map((study) => (
          <li key={study}>
            <a href={`/studies/${study}`} class="uid">
              {study}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

const MARKS: Record<Outcome['state'], string> = {
  stored: '●',
  warned: '! Stored',
  refused: '✕ Refused',
  failed: '✕ Failed',
  skipped: '– Left out',
};

function Problems() {
  if (!problems.value.length) return null;
  return (
    <section class="part" aria-label="Not simply stored">
      <h2>Not simply stored</h2>
      <table class="plain cards">
        <thead>
          <tr>
            <th scope="col">File</th>
            <th scope="col">Outcome</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {problems.value.map((outcome, index) => (
            <tr key={index}>
              <td class="uid">{outcome.name}</td>
              <td class={`outcome-${outcome.state}`}>{MARKS[outcome.state]}</td>
              <td>{outcome.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
