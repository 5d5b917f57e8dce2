/** The study in other programs, and as a file. */
import { useEffect } from 'preact/hooks';
import { askForViewers, ohif } from '../viewers';
import { Menu } from './menu';

export function OpenIn({ study }: { study: string }) {
  useEffect(askForViewers, []);
  const root = `${location.origin}/dicom-web`;
  return (
    <Menu name="Open in" kind="open-in">
      {ohif.value ? (
        <a href={`${ohif.value}${study}`} target="_blank" rel="noopener">
          OHIF
        </a>
      ) : (
        <span class="quiet">
          OHIF: <code>isocenter viewer install</code>
        </span>
      )}
      <a href={weasis(root, study)}>Weasis</a>
      <a href={slicer(root, study)}>3D Slicer</a>
      <a href={`${root}/studies/${study}?accept=application/zip`} download={`${study}.zip`}>
        Download as ZIP
      </a>
      <label class="field">
        DICOMweb
        <input readOnly value={`${root}/studies/${study}`} onFocus={(event) => event.currentTarget.select()} />
      </label>
    </Menu>
  );
}

function weasis(root: string, study: string): string {
  return `weasis://${encodeURIComponent(`$dicom:rs --url "${root}" -r "studyUID=${study}"`)}`;
}

function slicer(root: string, study: string): string {
  return `slicer://viewer/?studyUID=${study}&dicomweb_endpoint=${encodeURIComponent(root)}`;
}
