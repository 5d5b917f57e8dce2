/** The state of the reader of one study, and what can be done with it. */
import { batch, computed, type Signal, signal } from '@preact/signals';
import { Problem } from '../http';
import { type Addition, acknowledge, add, type Finding, type Findings, isAlarm, type Judgement, judge, type Region, readFindings, sign, standing, undo } from './findings';
import { link } from './linking';
import { readSegments, type Segment } from './masks';
import { Pane } from './pane';
import { inPatient, planeOf, plus, type Vector } from './patient';
import { reviewerName } from './reviewer';
import { firstSeries, readPriors, readStudy, type Study } from './series';
import type { Tool } from './gestures';

export class Reading {
  readonly study: Signal<Study | null> = signal(null);
  readonly priors: Signal<Study[]> = signal([]);
  readonly failure: Signal<unknown> = signal(null);
  readonly told: Signal<Findings | null> = signal(null);
  readonly findingsFailure: Signal<string | null> = signal(null);
  readonly selected: Signal<string | null> = signal(null);
  readonly segments: Signal<Segment[]> = signal([]);
  readonly hidden: Signal<ReadonlySet<string>> = signal(new Set());
  readonly opacity = signal(0.15);
  readonly marks = signal(true);
  readonly tool: Signal<Tool | null> = signal(null);
  readonly comparing = signal(false);
  readonly linked = signal(true);
  readonly mpr = signal(false);
  /** How often the whole image was asked for. */
  readonly fits = signal(0);
  /** The place of a correction or an own finding while it is edited. */
  readonly draft: Signal<Region | null> = signal(null);
  readonly editing: Signal<'correct' | 'add' | null> = signal(null);
  readonly saying = signal('');
  readonly busy = signal(false);
  readonly main = new Pane();
  readonly other = new Pane();
  /** What is critical and not acknowledged; then those that are judged, most certain first; then measurements. */
  readonly findings = computed(() => {
    const all = (this.told.value?.findings ?? []).filter((each) => !each.superseded);
    const rank = (each: Finding) => (isAlarm(each) ? 100 : 0) + (each.presence === 'present' ? 1 : 0) * 10 + (each.score ?? 0);
    return all.toSorted((one, two) => rank(two) - rank(one));
  });
  readonly waiting = computed(() => this.findings.value.filter((each) => !each.review).length);
  readonly finding = computed(() => this.findings.value.find((each) => each.id === this.selected.value) ?? null);

  private readonly unlink: () => void;

  constructor(readonly uid: string) {
    this.unlink = link(this.main, this.other, () => this.comparing.value && this.linked.value);
  }

  async open(): Promise<void> {
    const findings = this.readFindings();
    try {
      const study = await readStudy(this.uid);
      this.study.value = study;
      await Promise.race([findings, new Promise((resolve) => setTimeout(resolve, 400))]);
      await this.openFirst(study, findings);
      this.priors.value = await readPriors(study);
    } catch (error) {
      this.failure.value = error;
    }
  }

  private async leadToFinding(): Promise<void> {
    const important = this.findings.value.find((each) => !each.review && placeOf(each));
    if (!important) return;
    this.selected.value = important.id;
    await this.show(important);
  }

  /** The image of the most important finding that nobody has judged, else the middle of the first series. */
  private async openFirst(study: Study, findings: Promise<void>): Promise<void> {
    await this.leadToFinding();
    if (this.main.series.value) return;
    // Findings that come late still lead, as long as nothing is looked at.
    void findings.then(() => {
      if (!this.main.shown.value && !this.selected.value) void this.leadToFinding();
    });
    const first = firstSeries(study, this.findings.value.map((each) => each.series_uid));
    if (first) void this.main.open(first);
  }

  /** The whole image again; in three planes, each of them. */
  fit(): void {
    this.main.view?.fit();
    this.fits.value += 1;
  }

  close(): void {
    this.unlink();
    this.main.close();
    this.other.close();
  }

  async readFindings(): Promise<void> {
    try {
      this.told.value = await readFindings(this.uid);
      this.findingsFailure.value = null;
      void this.readSegments().catch((error: unknown) => (this.findingsFailure.value = String(error)));
    } catch (error) {
      this.findingsFailure.value = error instanceof Error ? error.message : String(error);
    }
  }

  private async readSegments(): Promise<void> {
    const known = new Set(this.segments.value.map((each) => each.segmentation));
    const named = this.findings.value.flatMap((each) => (each.segment ? [each.segment.sop_uid] : []));
    for (const sop of new Set(named)) {
      if (known.has(sop)) continue;
      const series = await seriesOf(this.uid, sop);
      if (series) this.segments.value = [...this.segments.value, ...(await readSegments(this.uid, series, sop))];
    }
  }

  /** Selects a finding, and goes to where it is. */
  select(finding: Finding): void {
    if (!this.sphereOf(finding)) this.mpr.value = false;
    this.stopEditing();
    this.selected.value = finding.id;
    void this.show(finding);
  }

  /** A ball around the place of a finding in the series that is shown: its middle and radius in mm. */
  sphereOf(finding: Finding): { center: Vector; radius: number } | null {
    const { region } = standing(finding);
    const frame = region && this.main.frames.value.find((each) => each.sop === region.sop_uid && each.frame === region.frame);
    const plane = frame && planeOf(frame);
    if (!plane) return null;
    const points = region.points.map((point) => inPatient(plane, point));
    const middle = points.reduce((sum, point) => plus(sum, 1 / points.length, point), [0, 0, 0] as Vector);
    return { center: middle, radius: Math.max(...points.map((point) => Math.hypot(...plus(point, -1, middle)))) };
  }

  private async show(finding: Finding): Promise<void> {
    const place = placeOf(finding);
    const sop = place?.sop_uid ?? this.middleOf(finding);
    const series = this.study.value?.series.find((each) => each.uid === finding.series_uid);
    if (!series) return;
    // A series that is still being opened has no frames to go to.
    if (this.main.series.value?.uid !== series.uid || !this.main.frames.value.length) await this.main.open(series, sop, place?.frame);
    else if (sop) this.main.goToImage(sop, place?.frame ?? 1);
  }

  /** The image in the middle of those that the segment of a finding is on. */
  private middleOf(finding: Finding): string | undefined {
    const segment = this.segments.value.find(
      (each) => each.segmentation === finding.segment?.sop_uid && each.number === finding.segment.number,
    );
    const on = this.main.frames.value.filter((frame) => segment?.images.has(frame.sop));
    return on[Math.floor(on.length / 2)]?.sop;
  }

  /** The series that a finding lies in; empty where the study has but one to look at. */
  seriesName(finding: Finding): string {
    const stacks = this.study.value?.series.filter((each) => each.kind === 'stack') ?? [];
    const series = stacks.find((each) => each.uid === finding.series_uid);
    return series && stacks.length > 1 ? series.description || `Series ${series.number}` : '';
  }

  selectNext(by: number): void {
    const at = this.findings.value.findIndex((each) => each.id === this.selected.value);
    const count = this.findings.value.length;
    const next = this.findings.value[at < 0 ? 0 : (at + by + count) % count];
    if (next) this.select(next);
  }

  judge(finding: Finding, said: Judgement): Promise<boolean> {
    return this.saved((name) => judge(this.uid, finding.id, said, name), said.verdict);
  }

  acknowledge(finding: Finding): Promise<boolean> {
    return this.saved((name) => acknowledge(this.uid, finding.id, name), 'acknowledge');
  }

  undo(finding: Finding): Promise<boolean> {
    return this.saved((name) => undo(this.uid, finding, name), 'undo');
  }

  add(finding: Addition): Promise<boolean> {
    return this.saved((name) => add(this.uid, finding, name), 'add');
  }

  sign(unreviewed: 'refuse' | 'leave'): Promise<boolean> {
    return this.saved((name) => sign(this.uid, name, unreviewed).then(() => undefined), 'sign');
  }

  /** Sends what a person says; false, and a message, when it was not taken. */
  private async saved(send: (name: string) => Promise<void>, what: string): Promise<boolean> {
    if (this.busy.value) return false;
    const name = await reviewerName();
    if (!name) return false;
    this.busy.value = true;
    try {
      await send(name);
      await this.readFindings();
      this.saying.value = SAID[what] ?? 'Saved.';
      return true;
    } catch (error) {
      this.saying.value = error instanceof Problem ? error.message : String(error);
      return false;
    } finally {
      this.busy.value = false;
    }
  }

  startCorrection(finding: Finding): void {
    batch(() => {
      this.selected.value = finding.id;
      this.mpr.value = false;
      this.draft.value = standing(finding).region;
      this.editing.value = 'correct';
    });
    void this.show(finding);
  }

  startAddition(): void {
    batch(() => {
      this.mpr.value = false;
      this.selected.value = null;
      this.draft.value = null;
      this.editing.value = 'add';
    });
  }

  stopEditing(): void {
    batch(() => {
      this.draft.value = null;
      this.editing.value = null;
    });
  }
}

function placeOf(finding: Finding): { sop_uid: string; frame: number } | null {
  return standing(finding).region ?? finding.image;
}

const SAID: Record<string, string> = {
  accept: 'Accepted.',
  reject: 'Rejected.',
  correct: 'Correction saved.',
  acknowledge: 'Acknowledged.',
  undo: 'Taken back.',
  add: 'Finding added.',
  sign: 'Signed: the verified report is stored in the study.',
};

async function seriesOf(study: string, sop: string): Promise<string | null> {
  const found = await fetch(`/dicom-web/studies/${study}/instances?SOPInstanceUID=${sop}`, {
    headers: { Accept: 'application/dicom+json' },
  });
  if (!found.ok || found.status === 204) return null;
  const [instance] = await found.json();
  return instance?.['0020000E']?.Value?.[0] ?? null;
}
