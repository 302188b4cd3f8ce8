// Files in: dropped, sent, followed while the worker works on them, decided, confirmed, taken back.

import { Api } from "./api.js";
import { h, isChinese, say, t } from "./dom.js";
import { ImportMap } from "./import-map.js";
import * as steps from "./import-steps.js";
import { sheet } from "./sheet.js";

const page = JSON.parse(document.body.dataset.page);
const api = new Api(page);
const map = new ImportMap(page);
const byId = (id) => document.getElementById(id);
const panel = sheet(byId("panel-handle"), byId("panel-body"));
const LOOK_AGAIN_MS = 1000;
const SHAPE_PARTS = /\.(shp|shx|dbf|prj|cpg|sbn|sbx|qix)$/i;

const state = { open: null, card: null, parts: {}, wish: {}, mapping: false, timer: 0 };

// What is said stays until somebody does something else: the page asks for news meanwhile.
function tell(content) {
  byId("said").replaceChildren(...[content].filter(Boolean));
}

function complain(message) {
  const there = [...byId("said").querySelectorAll(".is-bad")];
  if (there.some((one) => one.textContent === message)) return;
  byId("said").append(h("p", { class: "notice is-bad" }, message));
  byId("said").scrollIntoView({ block: "nearest" });
}

async function send(method, path, body, type = "application/json") {
  const answer = await fetch(`${page.api}${path}`, {
    method,
    headers: { "X-CSRF-Token": page.csrf, Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": type }) },
    body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
  }).catch(() => null);
  if (!answer) throw new Error(t("The server cannot be reached. Check the connection and try again."));
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  if (data.defects?.length) throw new Error(data.defects.join("\n"));
  throw new Error([data.title, data.detail].filter(Boolean).join(isChinese ? "：" : ": ") || t("The server could not answer. Try again."));
}

async function attempt(work, what = "") {
  try {
    return await work();
  } catch (error) {
    const named = !what || error.message.includes(what);
    complain(named ? error.message : `${what}${isChinese ? "：" : ": "}${error.message}`);
    return null;
  }
}

// ---- sending -----------------------------------------------------------------------------------------

// Files of one Shapefile are one delivery; the .shp goes first.
function deliveries(files) {
  const groups = new Map();
  for (const file of files) {
    const key = SHAPE_PARTS.test(file.name) ? `${file.name.replace(/\.[^.]+$/, "")}.shp` : file.name;
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => Number(/\.shp$/i.test(b.name)) - Number(/\.shp$/i.test(a.name))));
}

async function take(files) {
  tell(null);
  for (const group of deliveries(files)) {
    const large = group.find((file) => file.size > page.mostMib * 1024 * 1024);
    if (large) {
      complain(t("%(name)s is larger than %(n)s MiB.", { name: large.name, n: page.mostMib }));
      continue;
    }
    const card = await attempt(() => sendGroup(group), group[0].name);
    byId("sending").hidden = true;
    if (card) await open(card.delivery);
  }
  await refreshBook();
}

async function sendGroup(group) {
  let card = null;
  for (const [place, file] of group.entries()) {
    say(t("Sending %(name)s …", { name: file.name }));
    byId("sending").hidden = false;
    byId("sending").textContent = t("Sending %(name)s …", { name: file.name });
    const question = new URLSearchParams({ name: file.name, more: String(place < group.length - 1) });
    const path = card ? `/imports/${card.delivery}/parts?${question}` : `/imports?${question}`;
    card = await send("POST", path, file, "application/octet-stream");
  }
  return card;
}

// ---- one delivery ------------------------------------------------------------------------------------

async function open(number) {
  clearTimeout(state.timer);
  Object.assign(state, { open: number, card: null, parts: {}, wish: {}, mapping: false });
  const address = new URL(location.href);
  address.searchParams.set("file", number);
  history.replaceState(null, "", address);
  map.clear();
  panel.open();
  await follow();
}

async function follow() {
  clearTimeout(state.timer);
  const card = await attempt(() => api.get(`/imports/${state.open}`));
  if (!card) return;
  const live = ["queued", "running"].includes(card.job?.state);
  const settled = state.card && ["queued", "running"].includes(state.card.job?.state) && !live;
  state.card = card;
  if (!live && card.state === "prepared" && (settled || !state.parts.shapes)) await learn(card);
  if (!live && card.state === "imported" && card.report?.defects && (settled || !state.parts.defects)) {
    state.parts = { defects: await attempt(() => api.get(`/imports/${card.delivery}/defects`)) };
  }
  if (!live && (card.state === "understood" || (card.state === "refused" && card.file_kept))) showPlace();
  show();
  if (settled) await refreshBook();
  if (live) state.timer = setTimeout(follow, LOOK_AGAIN_MS);
}

async function learn(card) {
  state.mapping = false;
  const [shapes, defects, difference] = await Promise.all(
    ["shapes", "defects", "difference"].map((part) => attempt(() => api.get(`/imports/${card.delivery}/${part}`))));
  state.parts = { shapes, defects, difference };
  await map.showGround(api, card.report.bbox);
  if (shapes) map.showShapes(shapes, card.report.bbox);
}

// Where a layer lies, before its shapes are read.
function showPlace() {
  const { layers } = state.card.understood;
  const layer = layers.find((one) => one.name === state.wish.layer) ?? layers[0];
  if (layer.bbox) map.showPlace(layer.bbox, layer.name);
}

const ask = (method, path, body) => attempt(async () => {
  tell(null);
  state.card = await send(method, `/imports/${state.open}${path}`, body);
  await follow();
});

const on = {
  map,
  city: page.city,
  prepare: (more) => {
    const { kind, layer, columns, fixed, words, encoding, crs, datum, swap_axes: swap, level, vintage, decided, decisions, cut_cells: cut, season, estimate } = state.card.wish;
    const wish = { kind, layer, columns, fixed, words, encoding, crs, datum, swap_axes: swap, level, vintage, decided, decisions, cut_cells: cut, season, estimate, ...more };
    state.parts = {};
    return ask("PUT", "/wish", wish);
  },
  confirm: (choice) => ask("POST", "/confirm", { choice }),
  undo: () => ask("POST", "/undo"),
  back: () => { state.mapping = true; state.wish = { ...state.card.wish }; show(); },
};

function show() {
  const { card } = state;
  const live = ["queued", "running"].includes(card.job?.state);
  const body = [h("h2", {}, card.name)];
  if (live) {
    body.push(steps.working(card.job, () => ask("POST", "/cancel")));
  } else {
    if (card.refused) body.push(steps.refused(card));
    else if (["failed", "cancelled"].includes(card.job?.state)) body.push(steps.failure(card.job));
    if (card.state === "understood" || (card.state === "refused" && card.file_kept) || (card.state === "prepared" && state.mapping)) {
      body.push(steps.understood(card, page, state.wish, (wish) => { state.wish = wish; showPlace(); show(); }, (wish) => { state.parts = {}; ask("PUT", "/wish", wish); }));
    } else if (card.state === "prepared") {
      body.push(steps.prepared(card, page, state.parts, on));
    } else if (card.state === "imported") {
      body.push(steps.imported(card, state.parts, on));
    } else if (card.state !== "refused") {
      body.push(h("p", { class: "quiet" }, t("This file is %(state)s.", { state: steps.STATES()[card.state] })));
    }
    if (["received", "understood", "prepared"].includes(card.state) || (card.state === "refused" && card.file_kept)) {
      body.push(h("p", {}, h("button", { type: "button", class: "link", onclick: () => ask("DELETE", "") }, t("Throw the file away"))));
    }
  }
  byId("card").replaceChildren(h("section", {}, body));
}

async function refreshBook() {
  const found = await attempt(() => api.get("/imports", { limit: 20 }));
  if (found) byId("book").replaceChildren(h("section", {}, steps.book(found.items, state.open, (number) => { tell(null); open(number); })));
}

// ---- the beginning -----------------------------------------------------------------------------------

const drop = byId("drop");
byId("file").addEventListener("change", async (event) => {
  await take([...event.target.files]);
  event.target.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("is-over"); });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("is-over"); });
}
document.addEventListener("drop", (event) => take([...event.dataTransfer.files]));
byId("city-choice")?.addEventListener("change", (event) => event.target.form.submit());

await refreshBook();
map.showGround(api, page.bbox);
const wanted = Number(new URLSearchParams(location.search).get("file"));
if (wanted) await open(wanted);
document.body.dataset.ready = "true";
