/** What arrives, what runs, what failed, how good the models are, and whether there is room. */
import './operations.css';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { NameDialog } from '../reader/name-dialog';
import { Failure, Waiting } from '../states';
import { Arrivals, Refusals } from './arrivals';
import { failed, keepCurrent, models, operations, refused, routes, running, type Told } from './data';
import { Health } from './health';
import { Models } from './models';
import { Parts } from './parts';
import { Routes } from './routes';
import { Failures, NotSuitable, Running } from './work';

export function OperationsPage() {
  useEffect(() => {
    document.title = 'Operations – Isocenter';
    return keepCurrent();
  }, []);
  return (
    <div class="operations">
      <h1>Operations</h1>
      <Health />
      <Part title="Work" told={running} show={(work) => <Running work={work} />} />
      <Part title="Failed" told={failed} show={(work) => <Failures work={work.work} />} />
      <Part title="Parts" told={operations} show={(told) => <Parts told={told} />} />
      <Part title="What arrives" told={operations} show={(told) => <Arrivals told={told} />} />
      <Part title="What is sent on" told={routes} show={(told) => <Routes told={told} />} />
      <Part title="Models" told={models} show={(told) => <Models models={told.models} />} />
      <Part title="Not suitable for a model" told={refused} show={(work) => <NotSuitable work={work.work} />} />
      <Part title="Refused objects" told={operations} show={(told) => <Refusals refusals={told.refusals} />} />
      <NameDialog />
    </div>
  );
}

function Part<T>({ title, told, show }: { title: string; told: Told<T>; show: (value: T) => ComponentChildren }) {
  const value = told.value.value;
  const failure = told.failure.value;
  return (
    <section class="part" aria-label={title}>
      <h2>{title}</h2>
      {failure && <Failure error={failure} again={() => void told.ask()} />}
      {value !== null ? show(value) : !failure && <Waiting what="Loading" />}
    </section>
  );
}
