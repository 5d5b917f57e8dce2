// Calls everything that the npm package `dicomweb-client` has; prints what came of each call as JSON.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

// The package is made for browsers: this is as much of their XMLHttpRequest as it uses, over fetch.
globalThis.XMLHttpRequest = class {
  upload = {};
  #headers = {};
  open(method, url) { this.#method = method; this.#url = url; }
  #method; #url; #answer;
  setRequestHeader(name, value) { this.#headers[name] = value; }
  getResponseHeader(name) { return this.#answer.headers.get(name); }
  getAllResponseHeaders() { return [...this.#answer.headers].map((pair) => pair.join(": ")).join("\r\n"); }
  send(body) {
    fetch(this.#url, { method: this.#method, headers: this.#headers, body: body || undefined }).then(async (answer) => {
      this.#answer = answer;
      this.status = answer.status;
      const data = await answer.arrayBuffer();
      if (this.responseType === "arraybuffer") this.response = data;
      else {
        const text = new TextDecoder().decode(data);
        this.response = this.responseType === "json" ? (text ? JSON.parse(text) : null) : text;
        this.responseText = text;
      }
      this.readyState = 4;
      this.onreadystatechange?.();
      this.onload?.();
      this.onloadend?.({ loaded: data.byteLength, total: data.byteLength });
    }, (error) => { console.error(error); process.exit(2); });
  }
};

const { api } = createRequire(import.meta.url)("dicomweb-client");
const [url, studyInstanceUID, seriesInstanceUID, sopInstanceUID, file] = process.argv.slice(2);
const client = new api.DICOMwebClient({ url, singlepart: process.env.SINGLEPART });
const instance = { studyInstanceUID, seriesInstanceUID, sopInstanceUID };
const bulk = `${url}/studies/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}/bulkdata/7FE00010`;
const size = (data) => data.byteLength;
const many = (data) => data.map(size);
const other = await readFile(file);
const dataset = other.buffer.slice(other.byteOffset, other.byteOffset + other.byteLength);
const picture = (mediaType) => ({ mediaTypes: [{ mediaType }] });

const calls = {
  studies: async () => (await client.searchForStudies()).length,
  series: async () => (await client.searchForSeries({ studyInstanceUID })).length,
  instances: async () => (await client.searchForInstances(instance)).length,
  studyMetadata: async () => (await client.retrieveStudyMetadata({ studyInstanceUID })).length,
  seriesMetadata: async () => (await client.retrieveSeriesMetadata(instance)).length,
  instanceMetadata: async () => [await client.retrieveInstanceMetadata(instance)].flat()[0]["00080018"].Value[0],
  frames: async () => many(await client.retrieveInstanceFrames({ ...instance, frameNumbers: [1, 3] })),
  rendered: async () => size(await client.retrieveInstanceRendered({ ...instance, ...picture("image/jpeg") })),
  thumbnail: async () => size(await client.retrieveInstanceThumbnail({ ...instance, ...picture("image/png") })),
  framesRendered: async () =>
    size(await client.retrieveInstanceFramesRendered({ ...instance, frameNumbers: [2], ...picture("image/jpeg") })),
  framesThumbnail: async () =>
    size(await client.retrieveInstanceFramesThumbnail({ ...instance, frameNumbers: [2], ...picture("image/jpeg") })),
  instance: async () => size(await client.retrieveInstance(instance)),
  seriesObjects: async () => many(await client.retrieveSeries(instance)),
  studyObjects: async () => many(await client.retrieveStudy({ studyInstanceUID })),
  bulkData: async () => many(await client.retrieveBulkData({ BulkDataURI: bulk, mediaTypes: [{ mediaType: "application/octet-stream" }] })),
  wadoUri: async () => size(await (await fetch(client.buildInstanceWadoURIUrl({ ...instance, contentType: "application/dicom" }).replace("/dicom-web?", "/wado?"))).arrayBuffer()),
  storeInstances: async () => { await client.storeInstances({ datasets: [dataset] }); return "stored"; },
};

const results = {};
for (const [name, call] of Object.entries(calls)) {
  try {
    results[name] = await call();
  } catch (error) {
    results[name] = `failed: ${error.message} ${error.status ?? ""} ${JSON.stringify(error.response)?.slice(0, 200)}`;
  }
}
console.log(JSON.stringify(results));
