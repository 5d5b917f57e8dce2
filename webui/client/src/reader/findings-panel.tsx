/** The findings beside the image: each jumps to its place, and waits for a verdict. */
import { useEffect, useRef } from 'preact/hooks';
import { EditForm } from './edit-form';
import { type Finding, isAlarm, measured, standing } from './findings';
import { ModelButton } from './model-card';
import type { Reading } from './reading';

export function FindingsPanel({ reading }: { reading: Reading }) {
  const findings = reading.findings.value;
  const adding = useRef<HTMLButtonElement>(null);
  return (
    <aside class="findings" aria-label="Findings">
      <div class="findings-head">
        <h2>Findings</h2>
        <button type="button" ref={adding} onClick={() => reading.startAddition()}>
          Add a finding
        </button>
      </div>
      {reading.findingsFailure.value && (
        <p class="failure" role="alert">
          {reading.findingsFailure.value}
        </p>
      )}
      {reading.editing.value === 'add' && <EditForm reading={reading} onClose={() => adding.current?.focus()} />}
      {reading.told.value && findings.length === 0 && (
        <p class="quiet">No model has said anything about this study. Add what you see.</p>
      )}
      <ol class="finding-list">
        {findings.map((finding) => (
          <FindingCard key={finding.id} finding={finding} reading={reading} />
        ))}
      </ol>
      <Sign reading={reading} />
      <p class="said" role="status">
        {reading.saying.value}
      </p>
    </aside>
  );
}

const VERDICTS = { accept: '✓ Accepted', reject: '✕ Rejected', correct: '✎ Corrected' } as const;

function FindingCard({ finding, reading }: { finding: Finding; reading: Reading }) {
  const selected = reading.selected.value === finding.id;
  const { label, measurements } = standing(finding);
  const card = useRef<HTMLLIElement>(null);
  const open = useRef<HTMLButtonElement>(null);
  // What was pressed is replaced by what it led to: the focus stays with the finding.
  const stay = () => open.current?.focus({ preventScroll: true });
  useEffect(() => {
    if (selected && isBeside()) card.current?.scrollIntoView({ block: 'nearest' });
  }, [selected]);
  return (
    <li ref={card} class={`finding${selected ? ' selected' : ''}${isAlarm(finding) ? ' critical' : ''}`} data-verdict={finding.review?.verdict ?? 'none'}>
      <button type="button" class="finding-open" ref={open} aria-current={selected} onClick={() => reading.select(finding)}>
        <span class="finding-label">{label}</span>
        {finding.site && <span class="quiet-inline"> {finding.site}</span>}
        {finding.score !== null && <Score value={finding.score} />}
        {measurements.map((each, index) => (
          <span class="measurement" key={index}>
            {each.name}
            {each.detail && ` (${each.detail})`} <b>{measured(each)}</b>
          </span>
        ))}
      </button>
      <Critical finding={finding} reading={reading} />
      {finding.flags.map((flag) => (
        <p class="flag" key={flag}>
          ! {flag}
        </p>
      ))}
      {finding.note && selected && <p class="quiet">{finding.note}</p>}
      <Source finding={finding} reading={reading} />
      {selected && reading.editing.value === 'correct' ? (
        <EditForm reading={reading} finding={finding} onClose={stay} />
      ) : (
        <Verdict finding={finding} reading={reading} onSaid={stay} />
      )}
    </li>
  );
}

function Critical({ finding, reading }: { finding: Finding; reading: Reading }) {
  if (!finding.critical) return null;
  const { acknowledgement } = finding;
  if (acknowledgement) {
    return (
      <p class="quiet">
        Critical · acknowledged by {acknowledgement.by.replaceAll('^', ' ')}, {new Date(acknowledgement.at).toLocaleString()}
      </p>
    );
  }
  return (
    <p class="verdict">
      <b class="alarm">
        <span aria-hidden="true">⚠</span> Critical finding
      </b>
      <button type="button" disabled={reading.busy.value} aria-keyshortcuts="K" onClick={() => void reading.acknowledge(finding)}>
        Acknowledge
      </button>
    </p>
  );
}

/** The list scrolls by itself, beside the image; below it, on a phone, scrolling would take the image away. */
function isBeside(): boolean {
  return matchMedia('(min-width: 901px)').matches;
}

function Score({ value }: { value: number }) {
  return (
    <span class="score">
      <meter min={0} max={1} value={value} aria-label="Score of the model" /> {value.toFixed(2)}
    </span>
  );
}

function Source({ finding, reading }: { finding: Finding; reading: Reading }) {
  const series = reading.seriesName(finding);
  if (!finding.model) {
    return (
      <p class="quiet">
        Added by {finding.review?.by.replaceAll('^', ' ') ?? 'a reader'}
        {series && ` · ${series}`}
      </p>
    );
  }
  return (
    <p class="quiet">
      <ModelButton name={finding.model} /> {finding.model_version} · AI draft
      {series && ` · ${series}`}
    </p>
  );
}

function Verdict({ finding, reading, onSaid }: { finding: Finding; reading: Reading; onSaid: () => void }) {
  const comment = useRef<HTMLInputElement>(null);
  const say = async (saving: Promise<boolean>) => {
    if (await saving) onSaid();
  };
  const { review } = finding;
  const busy = reading.busy.value;
  if (review) {
    return (
      <p class="verdict">
        <b>{VERDICTS[review.verdict]}</b> by {review.by.replaceAll('^', ' ')}
        {review.comment && <q>{review.comment}</q>}
        {finding.signed && <span class="quiet-inline"> signed</span>}
        <button type="button" disabled={busy} onClick={() => void say(reading.undo(finding))}>
          Undo
        </button>
      </p>
    );
  }
  const said = () => (comment.current?.value ? { comment: comment.current.value } : {});
  return (
    <div class="judge">
      {reading.selected.value === finding.id && (
        <input ref={comment} class="comment" placeholder="Comment, if any" aria-label="Comment" maxLength={1000} />
      )}
      <button
        type="button"
        disabled={busy}
        aria-keyshortcuts="A"
        onClick={() => void say(reading.judge(finding, { verdict: 'accept', ...said() }))}
      >
        ✓ Accept
      </button>
      <button
        type="button"
        disabled={busy}
        aria-keyshortcuts="X"
        onClick={() => void say(reading.judge(finding, { verdict: 'reject', ...said() }))}
      >
        ✕ Reject
      </button>
      <button type="button" disabled={busy} aria-keyshortcuts="E" onClick={() => reading.startCorrection(finding)}>
        ✎ Correct
      </button>
    </div>
  );
}

function Sign({ reading }: { reading: Reading }) {
  const verified = reading.told.value?.verified ?? [];
  const waiting = reading.waiting.value;
  const judged = reading.findings.value.length - waiting;
  const unsigned = reading.findings.value.some((each) => each.review && !each.signed);
  return (
    <div class="sign">
      {verified.map((each) => (
        <p key={each.sr_uid} class="verified">
          ✓ Signed by {each.by.replaceAll('^', ' ')}, {new Date(each.at).toLocaleString()}
        </p>
      ))}
      {judged > 0 && unsigned && (
        <>
          <p class="quiet">
            {waiting ? `${waiting} of ${judged + waiting} wait for a verdict.` : 'Everything has a verdict.'}
          </p>
          <button
            type="button"
            class="primary"
            disabled={reading.busy.value}
            onClick={() => void reading.sign(waiting ? 'leave' : 'refuse')}
          >
            {waiting ? 'Sign without those that wait' : 'Sign'}
          </button>
        </>
      )}
    </div>
  );
}
