/** The DICOM JSON model (PS3.18 F), as far as the pages read it. */

export interface Element {
  vr: string;
  Value?: unknown[];
}

export type Attributes = Record<string, Element>;

export function values(attributes: Attributes | undefined, tag: string): unknown[] {
  return attributes?.[tag]?.Value ?? [];
}

/** The first value as text; of a name the first group that is there. */
export function text(attributes: Attributes | undefined, tag: string): string {
  const first = values(attributes, tag)[0];
  if (first && typeof first === 'object') {
    const name = first as Record<string, string>;
    return name['Alphabetic'] ?? name['Ideographic'] ?? name['Phonetic'] ?? '';
  }
  return first === undefined || first === null ? '' : String(first);
}

export function number(attributes: Attributes | undefined, tag: string): number | null {
  const value = Number.parseFloat(text(attributes, tag));
  return Number.isFinite(value) ? value : null;
}

export function numbers(attributes: Attributes | undefined, tag: string): number[] {
  return values(attributes, tag).map(Number).filter(Number.isFinite);
}

export function items(attributes: Attributes | undefined, tag: string): Attributes[] {
  return values(attributes, tag).filter((item): item is Attributes => typeof item === 'object' && item !== null);
}

/** `Family^Given` as people write it. */
export function personName(name: string): string {
  const parts = name.split('^').map((part) => part.trim());
  const [family = '', ...rest] = parts;
  const others = rest.filter(Boolean).join(' ');
  return [family, others].filter(Boolean).join(', ') || 'No name';
}

/** YYYYMMDD as YYYY-MM-DD; what is no date stays as it is. */
export function day(date: string): string {
  return /^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date;
}

export function clock(time: string): string {
  return /^\d{4}/.test(time) ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : '';
}

/** Whole years at the day of the study; empty where either is missing. */
export function ageAt(birth: string, date: string): string {
  if (!/^\d{8}$/.test(birth) || !/^\d{8}$/.test(date)) return '';
  const years = Math.floor((Number(date) - Number(birth)) / 10000);
  return years >= 0 ? `${years} y` : '';
}
