/** The models: what runs, how good it is where it works, and the switch. */
import { useState } from 'preact/hooks';
import { postJson, Problem } from '../http';
import { reviewerName } from '../reader/reviewer';
import { Line, Share } from './charts';
import { Comparison } from './comparison';
import { type Figures, type Model, models, type Quality, quality } from './data';
import { amount, percent } from './words';

export function Models({ models: all }: { models: Model[] }) {
  if (!all.length) {
    return (
      <p class="quiet">
        There is no model. Add one: <code>isocenter models add FOLDER</code>
      </p>
    );
  }
  return (
    <div class="models">
      {all.map((model) => (
        <ModelPart key={model.name} model={model} told={quality.value.value} />
      ))}
    </div>
  );
}

function ModelPart({ model, told }: { model: Model; told: Quality | null }) {
  const figures = told?.models.find((each) => each.model === model.name && each.version === model.version);
  return (
    <article class="model">
      <h3>{model.title}</h3>
      <p class="quiet">
        {model.name} {model.version}
      </p>
      <p class={model.stopped ? 'stopped' : 'runs'}>{model.stopped ? `■ ${model.stopped.replaceAll('^', ' ')}` : '▶ Runs on what arrives'}</p>
      {figures ? <Numbers figures={figures} /> : <p class="quiet">No results yet.</p>}
      {told && <Agreement model={model} told={told} />}
      {told && <Drift model={model} told={told} />}
      {model.shadow && <Comparison model={model.name} shadow={model.shadow} />}
      <Switch model={model} />
    </article>
  );
}

function Numbers({ figures }: { figures: Figures }) {
  const facts: [string, string][] = [
    ['Results', amount(figures.results)],
    ['Findings', amount(figures.findings)],
    ['Judged', amount(figures.judged)],
    ['Agreement', percent(figures.agreement)],
    ['Missed', amount(figures.missed)],
    ['Time to result', figures.latency_seconds === null ? '–' : `${figures.latency_seconds.toFixed(1)} s`],
  ];
  return (
    <dl class="numbers">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The share of findings by month on which people agree, over all scanners. */
function Agreement({ model, told }: { model: Model; told: Quality }) {
  const months = new Map<string, { agreed: number; every: number }>();
  for (const each of told.scanners) {
    if (each.model !== model.name || each.version !== model.version) continue;
    const sum = months.get(each.month) ?? { agreed: 0, every: 0 };
    sum.agreed += each.accepted + each.corrected;
    sum.every += each.judged + each.missed;
    months.set(each.month, sum);
  }
  const points = [...months]
    .filter(([, { every }]) => every > 0)
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([month, { agreed, every }]) => ({ name: month, value: agreed / every }));
  if (!points.length) return null;
  return (
    <figure>
      <figcaption>Agreement by month</figcaption>
      <Line points={points} />
    </figure>
  );
}

function Drift({ model, told }: { model: Model; told: Quality }) {
  const months = told.drift
    .filter((each) => each.model === model.name && each.version === model.version)
    .sort((one, other) => one.month.localeCompare(other.month));
  const names = [...new Set(months.flatMap((each) => Object.keys(each.histograms)))].sort();
  if (!names.length) return null;
  return (
    <details>
      <summary>How inputs and scores drift</summary>
      {names.map((name) => (
        <figure key={name}>
          <figcaption>{name}, share by month</figcaption>
          <Share columns={months.map((each) => ({ name: each.month, bins: each.histograms[name] ?? {} }))} />
        </figure>
      ))}
    </details>
  );
}

function Switch({ model }: { model: Model }) {
  const others = model.versions.filter((version) => version !== model.version);
  const { shadow } = model;
  return (
    <div class="switches">
      {model.stopped ? (
        <Decision model={model} verb="enable" name="Enable" doing="Let it run" />
      ) : (
        <Decision model={model} verb="disable" name="Disable" doing="Stop it" />
      )}
      {shadow && <Decision model={model} verb="enable" version={shadow} name={`Promote ${shadow}`} doing="Let it take over" />}
      {shadow && <Decision model={model} verb="shadow" name="End the shadow" doing="End it" />}
      {!shadow &&
        !model.stopped &&
        others.map((version) => (
          <Decision key={version} model={model} verb="shadow" version={version} name={`Run ${version} in shadow`} doing="Run it beside" />
        ))}
    </div>
  );
}

interface DecisionProps {
  model: Model;
  verb: 'enable' | 'disable' | 'shadow';
  version?: string;
  name: string;
  /** What the button says that does it. */
  doing: string;
}

/** A button that asks why before it does what it says. */
function Decision({ model, verb, version, name, doing }: DecisionProps) {
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState('');
  const [said, setSaid] = useState('');
  const decide = async () => {
    const reviewer = await reviewerName();
    if (!reviewer) return;
    try {
      await postJson(`/api/models/${model.name}/${verb}`, { reviewer: { name: reviewer }, reason, ...(version && { version }) });
      setAsking(false);
      setReason('');
      setSaid('');
      await models.ask();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setSaid(error.message);
    }
  };
  if (!asking) {
    return (
      <button type="button" onClick={() => setAsking(true)} aria-label={`${name}: ${model.title}`}>
        {name}
      </button>
    );
  }
  return (
    <div class="switch">
      <label class="field">
        Why?
        <input value={reason} maxLength={1024} onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      <button type="button" class="primary" onClick={() => void decide()}>
        {doing}
      </button>
      <button type="button" onClick={() => setAsking(false)}>
        Leave it
      </button>
      <p class="wrong" role="alert">
        {said}
      </p>
    </div>
  );
}
