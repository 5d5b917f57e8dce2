/** The reader of one study. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { ageAt, day, personName, text } from '../dicom';
import { Failure, Waiting } from '../states';
import { Dialog } from './dialog';
import { FindingsPanel } from './findings-panel';
import { KEYS, listenToKeys } from './keys';
import { MprView } from './mpr-view';
import { NameDialog } from './name-dialog';
import { OpenIn } from './open-in';
import { loadViewer, type Pane } from './pane';
import { PaneView } from './pane-view';
import { Reading } from './reading';
import { fixed, readWho, reviewer } from './reviewer';
import { readSeries, type Series, type Study } from './series';
import { Toolbar } from './toolbar';

export { loadViewer };

export function ReaderPage({ study }: { study: string }) {
  const reading = useMemo(() => new Reading(study), [study]);
  useEffect(() => {
    void loadViewer();
    void reading.open();
    readWho().catch(() => undefined); // a server that does not answer says so where the study should be
    const stop = listenToKeys(reading);
    return () => {
      stop();
      reading.close();
    };
  }, [reading]);
  if (reading.failure.value) return <Missing failure={reading.failure.value} />;
  if (!reading.study.value) return <Waiting what="Opening the study" />;
  return (
    <div class="reader">
      <Head reading={reading} study={reading.study.value} />
      <Toolbar reading={reading} />
      <div class="panes">
        {reading.mpr.value ? (
          <MprView reading={reading} />
        ) : (
          <PaneView pane={reading.main} reading={reading} name="Study" />
        )}
        {reading.comparing.value && <Comparison reading={reading} study={reading.study.value} />}
      </div>
      <FindingsPanel reading={reading} />
      <NameDialog />
    </div>
  );
}

function Missing({ failure }: { failure: unknown }) {
  return (
    <div class="missing">
      <Failure error={failure} again={() => location.reload()}>
        <a href="/">To the worklist</a>
      </Failure>
    </div>
  );
}

function Head({ reading, study }: { reading: Reading; study: Study }) {
  const { attributes } = study;
  const patient = personName(text(attributes, '00100010'));
  const date = text(attributes, '00080020');
  const facts = [text(attributes, '00100020'), text(attributes, '00100040'), ageAt(text(attributes, '00100030'), date)];
  useEffect(() => {
    document.title = `${patient} – Isocenter`;
  }, [patient]);
  return (
    <div class="study-head">
      <h1>
        {patient} <span class="quiet-inline">{facts.filter(Boolean).join(' · ')}</span>
      </h1>
      <p>
        {text(attributes, '00081030') || 'No description'} <span class="quiet-inline">{day(date)}</span>
      </p>
      <SeriesChoice label="Series" series={study.series} pane={reading.main} />
      <Who />
      <OpenIn study={study.uid} />
      <Help />
    </div>
  );
}

function SeriesChoice({ label, series, pane }: { label: string; series: Series[]; pane: Pane }) {
  const shown = series.filter((each) => each.kind !== 'companion');
  return (
    <label class="inline series-choice">
      <span class="hidden">{label}</span>
      <select
        value={pane.series.value?.uid ?? ''}
        onChange={(event) => {
          const chosen = shown.find((each) => each.uid === event.currentTarget.value);
          if (chosen) void pane.open(chosen);
        }}
      >
        {!pane.series.value && <option value="">Choose a series</option>}
        {shown.map((each) => (
          <option key={each.uid} value={each.uid}>
            {each.modality} {each.description || `Series ${each.number}`} ({each.instances})
          </option>
        ))}
      </select>
    </label>
  );
}

function Who() {
  if (!reviewer.value) return null;
  return (
    <p class="who-reads quiet-inline">
      <span>{reviewer.value.replaceAll('^', ' ')}</span>
      {!fixed.value && (
        <button type="button" class="link" onClick={() => (reviewer.value = '')}>
          Not me
        </button>
      )}
    </p>
  );
}

function Help() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Keys
      </button>
      {open && (
        <Dialog title="Keys" onClose={() => setOpen(false)}>
          <dl class="facts">
            {KEYS.map(([keys, meaning]) => (
              <div key={keys}>
                <dt>{keys}</dt>
                <dd>{meaning}</dd>
              </div>
            ))}
          </dl>
        </Dialog>
      )}
    </>
  );
}

function Comparison({ reading, study }: { reading: Reading; study: Study }) {
  const [chosen, setChosen] = useState<Study>(() => reading.priors.value[0] ?? study);
  const [series, setSeries] = useState<Series[]>([]);
  useEffect(() => {
    void readSeries(chosen.uid).then((found) => {
      setSeries(found);
      const modality = reading.main.series.value?.modality;
      const same = found.filter((each) => each.kind === 'stack' && each.modality === modality);
      const first = same[0] ?? found.find((each) => each.kind === 'stack') ?? found[0];
      if (first) void reading.other.open(first);
    });
  }, [chosen.uid]);
  const studies = [study, ...reading.priors.value];
  return (
    <div class="comparison">
      <div class="comparison-head">
        <label class="inline">
          <span class="hidden">Study beside</span>
          <select
            value={chosen.uid}
            onChange={(event) => setChosen(studies.find((each) => each.uid === event.currentTarget.value) ?? study)}
          >
            {studies.map((each) => (
              <option key={each.uid} value={each.uid}>
                {each.uid === study.uid ? 'This study' : day(text(each.attributes, '00080020'))}{' '}
                {text(each.attributes, '00081030')}
              </option>
            ))}
          </select>
        </label>
        <SeriesChoice label="Series beside" series={series} pane={reading.other} />
        <button
          type="button"
          aria-pressed={reading.linked.value}
          title="Both scroll together"
          onClick={() => (reading.linked.value = !reading.linked.value)}
        >
          Link
        </button>
      </div>
      <PaneView pane={reading.other} reading={reading} name="Beside" />
    </div>
  );
}
