import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const output = '../static/app';

/** Writes a .br and a .gz beside every file that is worth it: the server compresses nothing itself. */
function precompressed(): Plugin {
  return {
    name: 'precompressed',
    apply: 'build',
    closeBundle() {
      for (const name of readdirSync(output, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|wasm|svg)$/.test(name)) continue;
        const path = join(output, name);
        const bytes = readFileSync(path);
        if (bytes.length < 1024) continue;
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 9 };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: quality }));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: '/static/app/',
  plugins: [precompressed()],
  resolve: {
    alias: {
      // vtk.js' XML writer extends Node's EventEmitter, which would be emptied; nothing here writes XML.
      xmlbuilder2: new URL('src/no-xml.ts', import.meta.url).pathname,
      events: 'events/events.js',
    },
  },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    outDir: output,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 6000,
  },
});
