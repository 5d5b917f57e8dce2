/** What a study holds, and the frames of a series in the order in which they lie. */
import { type Attributes, number, numbers, text, values } from '../dicom';
import { getJson } from '../http';
import { readPalettes } from './palette';

const ROOT = '/dicom-web';
/** Modalities whose objects are no images to scroll through: the server shows them as it can. */
const DOCUMENTS = new Set(['SR', 'DOC', 'ECG', 'EPS', 'HD', 'AU', 'RTPLAN', 'RTSTRUCT', 'RTRECORD', 'PLAN', 'M3D']);
/** What belongs to images, and is not looked at alone. */
const COMPANIONS = new Set(['SEG', 'PR', 'KO', 'REG', 'FID', 'RWV', 'ANN', 'SMR', 'RESP']);

export interface Study {
  uid: string;
  attributes: Attributes;
  series: Series[];
}

export interface Series {
  study: string;
  uid: string;
  modality: string;
  description: string;
  number: string;
  instances: number;
  kind: 'stack' | 'document' | 'companion';
}

/** One frame of one instance. */
export interface Frame {
  imageId: string;
  url: string;
  sop: string;
  /** From 1. */
  frame: number;
  header: Attributes;
}

export async function readStudy(uid: string): Promise<Study> {
  const [found, series] = await Promise.all([findStudies({ StudyInstanceUID: uid }), readSeries(uid)]);
  const attributes = found[0];
  if (!attributes) throw new Error('There is no such study. It may have been deleted.');
  return { uid, attributes, series };
}

/** Other studies of the patient, newest first. */
export async function readPriors(study: Study): Promise<Study[]> {
  const patient = text(study.attributes, '00100020');
  if (!patient) return [];
  const issuer = text(study.attributes, '00100021');
  const asked = { PatientID: patient, ...(issuer && { IssuerOfPatientID: issuer }), limit: '50' };
  const found = await findStudies(asked);
  return found
    .map((attributes) => ({ uid: text(attributes, '0020000D'), attributes, series: [] }))
    .filter((other) => other.uid !== study.uid);
}

async function findStudies(asked: Record<string, string>): Promise<Attributes[]> {
  const query = new URLSearchParams({ ...asked, includefield: '00081030,00100021' });
  return (await getJson<Attributes[] | null>(`${ROOT}/studies?${query}`)) ?? [];
}

export async function readSeries(study: string): Promise<Series[]> {
  const found = await getJson<Attributes[] | null>(`${ROOT}/studies/${study}/series?includefield=0008103E,00200011`);
  return (found ?? []).map((attributes) => {
    const modality = text(attributes, '00080060');
    return {
      study,
      uid: text(attributes, '0020000E'),
      modality,
      description: text(attributes, '0008103E'),
      number: text(attributes, '00200011'),
      instances: number(attributes, '00201209') ?? 0,
      kind: COMPANIONS.has(modality) ? 'companion' : DOCUMENTS.has(modality) ? 'document' : 'stack',
    };
  });
}

export function seriesUrl(series: Series): string {
  return `${ROOT}/studies/${series.study}/series/${series.uid}`;
}

/** `frame` from 1. */
export function frameUrl(series: Series, sop: string, frame: number): string {
  return `${seriesUrl(series)}/instances/${sop}/frames/${frame}`;
}

/**
 * The frames of a series, without spacings that are none (zero occurs in the field, and nothing could be drawn): along the
 * patient where all lie parallel, else in the order of their numbers.
 */
export async function readFrames(series: Series, signal?: AbortSignal): Promise<Frame[]> {
  const headers = await getJson<Attributes[]>(`${seriesUrl(series)}/metadata`, signal);
  const images = headers.filter((header) => number(header, '00280010'));
  await readPalettes(images);
  for (const header of images) if (numbers(header, '00280030').some((each) => each <= 0)) delete header['00280030'];
  return alongPatient(images).flatMap((header) => framesOf(series, header));
}

function framesOf(series: Series, header: Attributes): Frame[] {
  const sop = text(header, '00080018');
  const count = number(header, '00280008') ?? 1;
  return Array.from({ length: count }, (_, index) => {
    const url = frameUrl(series, sop, index + 1);
    return { imageId: `wadors:${location.origin}${url}`, url, sop, frame: index + 1, header };
  });
}

function alongPatient(headers: Attributes[]): Attributes[] {
  const places = headers.map(placeOf);
  const first = places[0];
  const last = places.at(-1);
  if (!first || !last || places.some((place) => !place || place.axes !== first.axes)) return headers;
  const along = (place: Place) => dot(place.position, first.normal);
  // Forwards or backwards as the numbers go, so that the first image of the scanner stays the first.
  const sign = along(last) < along(first) ? -1 : 1;
  return headers
    .map((header, index) => ({ header, at: along(places[index] ?? first) * sign, index }))
    .sort((one, other) => one.at - other.at || one.index - other.index)
    .map(({ header }) => header);
}

/** Whether the frames make a volume: images of one orientation in several places. */
export function isVolume(frames: Frame[]): boolean {
  const places = frames.map(({ header }) => placeOf(header));
  const first = places[0];
  if (frames.length < 4 || !first) return false;
  const along = new Set(places.map((each) => each && dot(each.position, first.normal).toFixed(2)));
  return along.size === frames.length && places.every((each) => each?.axes === first.axes);
}

interface Place {
  position: number[];
  normal: number[];
  axes: string;
}

export function placeOf(header: Attributes): Place | null {
  const position = numbers(header, '00200032');
  const axes = numbers(header, '00200037');
  if (position.length !== 3 || axes.length !== 6) return null;
  return { position, normal: cross(axes.slice(0, 3), axes.slice(3)), axes: axes.map((each) => each.toFixed(4)).join() };
}

export function cross(a: number[], b: number[]): number[] {
  const [ax = 0, ay = 0, az = 0] = a;
  const [bx = 0, by = 0, bz = 0] = b;
  return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}

export function dot(a: number[], b: number[]): number {
  return a.reduce((sum, each, index) => sum + each * (b[index] ?? 0), 0);
}

/** The series to open first: that of the findings, else the one with the most images. */
export function firstSeries(study: Study, ofFindings: string[]): Series | undefined {
  const stacks = study.series.filter((series) => series.kind === 'stack');
  const named = stacks.find((series) => ofFindings.includes(series.uid));
  return named ?? stacks.toSorted((one, other) => other.instances - one.instances)[0] ?? study.series[0];
}

/** Windows that the file gives, with their explanations (PS3.3 C.11.2.1.2). */
export function windowsOf(header: Attributes): { name: string; center: number; width: number }[] {
  const widths = numbers(header, '00281051');
  const names = values(header, '00281055').map(String);
  return numbers(header, '00281050').flatMap((center, index) => {
    const width = widths[index];
    return width === undefined || width < 1 ? [] : [{ name: names[index] || 'From the file', center, width }];
  });
}
