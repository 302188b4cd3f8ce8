// Copies the browser libraries named here from node_modules to api/static/vendor, and refuses addresses in their styles.

import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const vendor = join(root, "api", "static", "vendor");

const ASSETS = {
  "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
  "htmx/LICENSE": "htmx.org/LICENSE",
  "leaflet/leaflet.js": "leaflet/dist/leaflet.js",
  "leaflet/leaflet.css": "leaflet/dist/leaflet.css",
  "leaflet/images/layers.png": "leaflet/dist/images/layers.png",
  "leaflet/images/layers-2x.png": "leaflet/dist/images/layers-2x.png",
  "leaflet/images/marker-icon.png": "leaflet/dist/images/marker-icon.png",
  "leaflet/LICENSE": "leaflet/LICENSE",
  "markercluster/leaflet.markercluster.js": "leaflet.markercluster/dist/leaflet.markercluster.js",
  "markercluster/MarkerCluster.css": "leaflet.markercluster/dist/MarkerCluster.css",
  "markercluster/LICENSE": "leaflet.markercluster/MIT-LICENCE.txt",
  "protomaps/protomaps-leaflet.js": "protomaps-leaflet/dist/protomaps-leaflet.js",
  "protomaps/LICENSE": "protomaps-leaflet/LICENSE",
};

const SOURCE_MAP = /\n?\/\/# sourceMappingURL=\S+\s*$/;
const OUTSIDE_ADDRESS = /(url\(\s*['"]?|@import\s+['"]?)(https?:)?\/\//i;

async function copyAsset(target, source) {
  const from = join(modules, source);
  const to = join(vendor, target);
  await mkdir(dirname(to), { recursive: true });
  if (!/\.(js|css)$/.test(target)) {
    await cp(from, to);
    return;
  }
  const text = await readFile(from, "utf8");
  if (target.endsWith(".css") && OUTSIDE_ADDRESS.test(text)) {
    throw new Error(`${source} asks another host for a file; every asset must be local`);
  }
  await writeFile(to, text.replace(SOURCE_MAP, "\n"));
}

await rm(vendor, { recursive: true, force: true });
for (const [target, source] of Object.entries(ASSETS)) {
  await copyAsset(target, source);
}
console.log(`${Object.keys(ASSETS).length} files copied to api/static/vendor`);
