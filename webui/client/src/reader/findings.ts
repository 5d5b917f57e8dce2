/** Findings and their reviews, as the server keeps them. */
import { getJson, postJson, remove } from '../http';
import type { Point } from './geometry';

export interface Code {
  value: string;
  scheme: string;
  meaning: string;
}

export interface Measurement {
  name: string;
  detail?: string;
  value: number;
  unit: string;
}

export interface Region {
  sop_uid: string;
  frame: number;
  kind: 'box' | 'point' | 'polygon' | 'line';
  points: Point[];
}

export interface Corrected {
  label?: string;
  code?: Code;
  measurements?: Measurement[];
  region?: Region;
}

export interface Review {
  id: string;
  verdict: 'accept' | 'reject' | 'correct';
  by: string;
  at: string;
  comment: string;
  corrected: Corrected;
}

export interface Finding {
  id: string;
  result_uid: string | null;
  series_uid: string;
  /** null where a person made it. */
  model: string | null;
  model_version: string | null;
  label: string;
  code: Code;
  presence: 'present' | 'absent' | 'not stated';
  site: string | null;
  score: number | null;
  measurements: Measurement[];
  region: Region | null;
  image: { sop_uid: string; frame: number } | null;
  segment: { sop_uid: string; number: number } | null;
  note: string;
  flags: string[];
  /** Somebody must acknowledge it. */
  critical: boolean;
  acknowledgement: { by: string; at: string } | null;
  superseded: boolean;
  signed: boolean;
  review: Review | null;
}

export interface Findings {
  findings: Finding[];
  verified: { sr_uid: string; by: string; at: string }[];
}

export interface Judgement {
  verdict: Review['verdict'];
  comment?: string;
  corrected?: Corrected;
}

const base = (study: string) => `/api/studies/${study}`;

export function readFindings(study: string): Promise<Findings> {
  return getJson<Findings>(`${base(study)}/findings`);
}

export async function judge(study: string, finding: string, said: Judgement, name: string): Promise<void> {
  await postJson(`${base(study)}/findings/${finding}/reviews`, { ...said, reviewer: { name } });
}

export async function acknowledge(study: string, finding: string, name: string): Promise<void> {
  await postJson(`${base(study)}/findings/${finding}/acknowledgement`, { reviewer: { name } });
}

export function isAlarm(finding: Finding): boolean {
  return finding.critical && !finding.acknowledgement;
}

export async function undo(study: string, finding: Finding, name: string): Promise<void> {
  if (!finding.review) return;
  await remove(`${base(study)}/findings/${finding.id}/reviews/${finding.review.id}`, { reviewer: { name } });
}

export interface Addition {
  series_uid: string;
  label: string;
  region?: Region;
  measurements?: Measurement[];
  comment?: string;
}

export async function add(study: string, finding: Addition, name: string): Promise<void> {
  await postJson(`${base(study)}/findings`, { ...finding, reviewer: { name } });
}

/** Stores the verified report; findings without a verdict are refused (409), or left out of it. */
export function sign(study: string, name: string, unreviewed: 'refuse' | 'leave'): Promise<{ sr_uid: string }> {
  return postJson(`${base(study)}/sign`, { reviewer: { name }, unreviewed });
}

/** What the finding says now: as a person corrected it, else as the model said it. */
export function standing(finding: Finding): Pick<Finding, 'label' | 'measurements' | 'region'> {
  const { label, measurements, region } = finding.review?.corrected ?? {};
  return {
    label: label ?? finding.label,
    measurements: measurements ?? finding.measurements,
    region: region ?? finding.region,
  };
}

const UNITS: Record<string, string> = { '1': '', "[hnsf'U]": 'HU', '{ratio}': '', '{score}': '' };

/** Up to four significant digits, and the unit as people write it. */
export function measured({ value, unit }: Measurement): string {
  const shown = Math.abs(value) >= 100 ? value.toFixed(1) : Number(value.toPrecision(4)).toString();
  return `${shown.replace(/\.0$/, '')} ${UNITS[unit] ?? unit}`.trim();
}
