/** The studies as a table that becomes a list of cards on a phone. */
import { ageAt, clock, day, personName } from '../dicom';
import { ohif } from '../viewers';
import type { State, Study } from './data';

const STATE_TEXT: Record<State, string> = {
  found: 'Findings',
  nothing: 'Nothing found',
  running: 'Running',
  refused: 'Not suitable',
  failed: 'Failed',
  'no model': 'No model',
};
/** A shape for each state, so that colour only repeats it. */
const STATE_MARK: Record<State, string> = {
  found: '▲',
  nothing: '○',
  running: '◔',
  refused: '–',
  failed: '✕',
  'no model': '·',
};
const SHOWN_LABELS = 3;

export function Row({ study, index }: { study: Study; index: number }) {
  const patient = personName(study.patient);
  const facts = [study.patient_id, study.sex, ageAt(study.birth_date, study.date)].filter(Boolean).join(' · ');
  return (
    <tr class={`study state-${study.state.replace(' ', '-')}${study.critical ? ' critical' : ''}`}>
      <td class="ai">
        {study.critical > 0 && (
          <b class="alarm">
            <span aria-hidden="true">⚠</span> Critical
          </b>
        )}
        <StateMark study={study} />
        <span class="quiet">{reviewText(study)}</span>
      </td>
      <td class="who">
        <a class="open" href={`/studies/${study.uid}`} data-row={index}>
          {patient}
        </a>
        <span class="quiet">{facts}</span>
      </td>
      <td class="what">
        <span class="modalities">{study.modalities.join(' ')}</span> {study.description || 'No description'}
        <span class="quiet">
          {study.instances} {study.instances === 1 ? 'image' : 'images'} in {study.series} series
          {study.accession && ` · ${study.accession}`}
        </span>
      </td>
      <td class="found">
        <Labels study={study} />
      </td>
      <td class="when">
        <time>{day(study.date) || 'No date'}</time> <span class="quiet">{clock(study.time)}</span>
        {study.priors > 0 && (
          <span class="quiet">
            {study.priors} {study.priors === 1 ? 'prior' : 'priors'}
          </span>
        )}
        {ohif.value && (
          <a class="elsewhere" href={`${ohif.value}${study.uid}`} target="_blank" rel="noopener" aria-label={`${patient} in OHIF`}>
            OHIF
          </a>
        )}
      </td>
    </tr>
  );
}

function reviewText({ review, judged, to_judge }: Study): string {
  if (review === 'open') return judged ? `${judged} of ${to_judge} judged` : `${to_judge} to judge`;
  return review === 'judged' ? 'To sign' : review === 'signed' ? '✓ Signed' : '';
}

function StateMark({ study }: { study: Study }) {
  const detail = study.progress === null ? '' : ` ${study.progress} %`;
  return (
    <span class="state" title={study.reasons.join('\n')}>
      <span aria-hidden="true" class="mark">
        {STATE_MARK[study.state]}
      </span>
      {STATE_TEXT[study.state]}
      {detail}
    </span>
  );
}

function Labels({ study }: { study: Study }) {
  const more = study.labels.length - SHOWN_LABELS;
  return (
    <>
      {study.labels.slice(0, SHOWN_LABELS).map((label) => (
        <span class="label" key={`${label.scheme} ${label.value}`}>
          {label.meaning}
          {label.count > 1 && <b> × {label.count}</b>}
          {label.score !== null && <span class="quiet-inline"> {label.score.toFixed(2)}</span>}
        </span>
      ))}
      {more > 0 && <span class="quiet-inline">and {more} more</span>}
      {study.flagged && <span class="doubt">! with doubts</span>}
      {study.reasons.length > 0 && <span class="quiet">{study.reasons[0]}</span>}
    </>
  );
}
