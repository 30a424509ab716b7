import { realpathSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/**
 * Where `npm run dev` finds a server: its API and, for what it serves beside
 * that, everything below /local.
 */
const server = process.env['DORMER_SERVER'] ?? 'https://127.0.0.1:8443';

/**
 * Keeps texts compressed only: the programs embed what the build makes, and
 * nearly every browser takes them so.
 */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    async writeBundle({ dir }) {
      if (dir === undefined) return;
      for (const name of await readdir(dir, { recursive: true })) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const path = join(dir, name);
        await writeFile(`${path}.gz`, gzipSync(await readFile(path), { level: 9 }));
        await rm(path);
      }
    },
  };
}

/** Pages of the development server are all below /; the programs write the base themselves. */
const rooted: Plugin = {
  name: 'rooted',
  apply: 'serve',
  transformIndexHtml: (html) => html.replace('<base href="./" />', '<base href="/" />'),
};

const proxied = { target: server, secure: false, changeOrigin: false, ws: true };

export default defineConfig({
  // The console works below any path: index.html has a base that the server writes.
  base: './',
  plugins: [react(), compressed(), rooted],
  build: { target: 'es2023', modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 1500 },
  server: {
    host: 'localhost',
    // Packages may be kept elsewhere, behind a link.
    fs: { allow: ['.', '../api', realpathSync('node_modules')] },
    proxy: { '/api': proxied, '/local': proxied },
  },
});
