// Packs the scripts of each page into one file, and its styles into another: a first view asks for a handful of files.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const fixed = join(dirname(dirname(fileURLToPath(import.meta.url))), "api", "static");
const packed = join(fixed, "vendor", "packed");
const pages = join(fixed, "js", "page");

const MAP = ["css/tokens.css", "vendor/leaflet/leaflet.css", "css/map.css", "css/page.css"];
const STYLES = {
  net: [...MAP, "vendor/markercluster/MarkerCluster.css"],
  issues: [...MAP, "css/issues.css"],
  report: [...MAP, "css/report.css"],
  follow: ["css/tokens.css", "css/page.css", "css/report.css"],
  figures: [...MAP, "css/figures.css"],
  home: ["css/tokens.css", "css/page.css", "css/figures.css"],
  frame: ["css/tokens.css", "vendor/leaflet/leaflet.css", "css/map.css", "vendor/markercluster/MarkerCluster.css"],
};

const SETTINGS = { bundle: true, minify: true, charset: "utf8", legalComments: "none", logLevel: "warning", write: false };

async function filesBelow(folder) {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((one) => one.isFile()).map((one) => join(one.parentPath ?? one.path, one.name));
}

// The files that packs are made of, in the order of their paths: api/statics.py reckons the same.
async function stampOf(folders) {
  const files = (await Promise.all(folders.map((name) => filesBelow(join(fixed, name))))).flat();
  const named = files.map((path) => relative(fixed, path).split(sep).join("/"));
  const digest = createHash("sha256");
  for (const name of named.sort((a, b) => (a < b ? -1 : 1))) {
    digest.update(`${name}\0`);
    digest.update(await readFile(join(fixed, name)));
  }
  return digest.digest("hex").slice(0, 24);
}

// Pages are the scripts that no other script imports.
async function entries() {
  const names = (await readdir(pages)).filter((name) => name.endsWith(".js"));
  const texts = await Promise.all(names.map((name) => readFile(join(pages, name), "utf8")));
  return names.filter((name) => !texts.some((text) => text.includes(`"./${name}"`)));
}

async function write(name, { outputFiles: [file] }) {
  await writeFile(join(packed, name), file.contents);
}

await rm(packed, { recursive: true, force: true });
await mkdir(packed, { recursive: true });
const map = join(fixed, "js", "map", "frame.js");
for (const path of [...(await entries()).map((name) => join(pages, name)), map]) {
  await write(basename(path), await build({ ...SETTINGS, entryPoints: [path], format: "esm", target: "es2022" }));
}
for (const [name, sheets] of Object.entries(STYLES)) {
  const contents = sheets.map((sheet) => `@import "./${sheet}";`).join("\n");
  const stdin = { contents, resolveDir: fixed, loader: "css" };
  await write(`${name}.css`, await build({ ...SETTINGS, stdin, loader: { ".png": "empty" } }));
}
await writeFile(join(packed, "stamp"), `${await stampOf(["css", "js"])}\n`);
