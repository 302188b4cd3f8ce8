// The page of the net: puts map, panel, tools, search and address together.

import { fitFirst, frame } from "../map/frame.js";
import { followMap, onlyValues, read, write } from "./address.js";
import { Api } from "./api.js";
import { gridCard } from "./card.js";
import { compoundCard, relationLegend, Relations } from "./compounds.js";
import { h, isChinese, number, say, t } from "./dom.js";
import { openHours } from "./hours.js";
import { helpDialog, keyboard, tools } from "./keys.js";
import { layersMenu, legend } from "./layers.js";
import { levelControl } from "./levels.js";
import { overview } from "./overview.js";
import { search } from "./search.js";
import { sheet } from "./sheet.js";
import { outsideCard, positionOnce, whoCard } from "./who.js";
import { answers, ready } from "./ready.js";

const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const api = new Api(page);
const body = byId("panel-body");
const panelSheet = sheet(byId("panel-handle"), body);
const { map, layers } = await frame;
const { net, base, stations, raster } = layers;
stations.hours = openHours;
let picking = false;
let pin = null;
let asked = 0;

function show(content, { focus = false } = {}) {
  body.classList.remove("loading");
  body.replaceChildren(...content.flat(Infinity).filter(Boolean));
  body.scrollTop = 0;
  if (focus) body.querySelector("h2")?.focus();
}

// Shows what a question answers; an older question never overwrites a newer one.
async function ask(question, draw, options = {}) {
  const mine = ++asked;
  body.classList.add("loading");
  try {
    const answer = await question();
    if (mine !== asked) return null;
    show(draw(answer), options);
    return answer;
  } catch (error) {
    if (mine !== asked) return null;
    const retry = h("button", { class: "button", type: "button", onclick: () => ask(question, draw, options) }, t("Try again"));
    show(error.code === "outside_city" ? outsideCard(error.message, page, actions) : [h("p", { class: "notice is-bad", role: "alert" }, error.message), retry]);
    return null;
  }
}

let cityAnswer = null;
async function showCity({ focus = false } = {}) {
  setPin(null);
  net.select(null);
  write({ grid: null });
  cityAnswer ??= Promise.all([api.get(""), api.get("/grids", { level: page.steps[0]?.level, limit: 100 })])
    .catch((error) => {
      cityAnswer = null;
      throw error;
    });
  await ask(() => cityAnswer, ([city, top]) => overview(city, top, page, actions, isChinese), { focus });
}

async function showCompound(compound, { focus = true } = {}) {
  setPin(null);
  panelSheet.open();
  const card = await ask(() => api.get(`/compounds/${compound}`), (answer) => compoundCard(answer, page, actions), { focus });
  if (card) zoomTo(card.bbox);
}

async function showGrid(grid, level, { zoom = false, focus = false, known = null } = {}) {
  setPin(null);
  write({ grid: String(grid) });
  panelSheet.open();
  if (level) net.select(grid, level);
  const card = await ask(() => known ?? api.get(`/grids/${grid}`), (answer) => {
    const printQuery = onlyValues(["city", "as_of", "lang"]);
    printQuery.set("grid", grid);
    return gridCard(answer, page, {
      ...actions,
      zoom: () => zoomTo(answer.bbox ?? net.bounds(grid)),
      printAddress: `/print/net?${printQuery}`,
    });
  }, { focus });
  if (!card) return;
  say(card.households === null ? card.name : t("%(name)s, %(n)s households", { name: card.name, n: number(card.households) }));
  await net.select(grid, card.level);
  if (zoom) zoomTo(card.bbox ?? net.bounds(grid));
}

function zoomTo(bbox) {
  if (bbox) map.fitBounds([[bbox[1], bbox[0]], [bbox[3], bbox[2]]], { padding: [40, 40], maxZoom: 18 });
}

// A grid of a few pixels says nothing; then the map goes nearer.
function zoomIfSmall(bbox) {
  if (!bbox) return;
  const [a, b] = [[bbox[1], bbox[0]], [bbox[3], bbox[2]]].map((corner) => map.latLngToContainerPoint(corner));
  if (Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y)) < 90) zoomTo(bbox);
}

function setPin(place) {
  pin?.remove();
  pin = null;
  if (!place) return;
  const dot = h("div", { class: "place-pin" });
  pin = L.marker([place.lat, place.lon], {
    icon: L.divIcon({ html: dot, className: "station-icon", iconSize: [18, 18] }),
    pane: "pins", // above the names, which would hide it
    interactive: false,
    keyboard: false,
  }).addTo(map);
}

async function showWho(place) {
  setPicking(false);
  setPin(place);
  net.select(null);
  panelSheet.open();
  const query = { lon: place.lon.toFixed(6), lat: place.lat.toFixed(6) };
  const answer = await ask(() => api.get("/where", query), (found) => whoCard(found, page, actions), { focus: true });
  const leaf = answer?.path?.at(-1) ?? answer?.grid;
  if (leaf) {
    await net.select(leaf.grid, leaf.level);
    write({ grid: String(leaf.grid) });
    zoomIfSmall(net.bounds(leaf.grid));
  }
}

async function locate() {
  const button = byId("who-here");
  button.disabled = true;
  message(t("Finding your position …"));
  try {
    const place = await positionOnce();
    map.setView([place.lat, place.lon], Math.max(map.getZoom(), 16));
    await showWho(place);
  } catch (error) {
    show([h("p", { class: "notice", role: "alert" }, error.message)]);
    panelSheet.open();
  } finally {
    button.disabled = false;
    message(null);
  }
}

function message(text) {
  byId("mode").hidden = !text;
  byId("mode").textContent = text ?? "";
}

function setPicking(on) {
  picking = on;
  map.getContainer().classList.toggle("is-picking", on);
  byId("who-pick").setAttribute("aria-pressed", String(on));
  rail.who.setAttribute("aria-pressed", String(on));
  rail.select.setAttribute("aria-pressed", String(!on));
  message(on ? t("Click the place: who is responsible there?") : null);
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    message(t("The link to this view is copied."));
  } catch {
    message(t("Copy the address from the address bar."));
  }
  setTimeout(() => message(null), 2500);
}

const actions = {
  grid: (grid, level) => showGrid(grid, level, { zoom: true, focus: true }),
  city: () => showCity({ focus: true }),
  link: copyLink,
  station: (station) => stations.focus(station.station) || (station.lon && map.setView([station.lat, station.lon], 17)),
};

function togglePart(id, button, open = byId(id).hidden) {
  byId(id).hidden = !open;
  button?.setAttribute("aria-expanded", String(open));
  if (open) byId(id).querySelector("input")?.focus();
}

const openHelp = helpDialog(byId("help"), [
  ["/", t("Search by name or code")],
  [["0", ...page.steps.map((step, index) => index + 1)].join(" "), t("Level: automatic, or one of them")],
  ["V", t("Select a grid by click")],
  ["W", t("Who is responsible here? By click")],
  ["L", t("Who is responsible here? By position")],
  ["F", t("Whole city")],
  ["C", t("Layers")],
  ["G", t("Legend")],
  ["T", t("Table")],
  ["P", t("Print")],
  ["Enter", t("On the map: the grid at the crosshair")],
  ["Shift+← ↑ → ↓", t("On the map: the neighbouring grid")],
  ["Esc", t("Back to the city")],
]);

const wholeCity = () => page.bbox && fitFirst(map, page.bbox);
const toTable = () => location.assign(byId("to-table").href);
const rail = tools(byId("rail"), [
  { icon: "select", key: "V", caption: t("Select"), name: t("Select a grid by click"), toggles: true, run: () => setPicking(false) },
  { icon: "who", key: "W", caption: t("Who"), name: t("Who is responsible here? By click"), toggles: true, run: () => setPicking(!picking) },
  { icon: "locate", key: "L", caption: t("Locate"), name: t("Who is responsible here? By position"), run: locate },
  { icon: "city", key: "F", caption: t("All"), name: t("Whole city"), phone: true, run: wholeCity },
  { icon: "layers", key: "C", caption: t("Layers"), name: t("Layers"), opens: "layers-menu", phone: true, run: (button) => togglePart("layers-menu", button) },
  { icon: "legend", key: "G", caption: t("Legend"), name: t("Legend"), opens: "legend", run: (button) => toggleLegend(button) },
  { icon: "table", key: "T", caption: t("List"), name: t("Table"), run: toTable },
  { icon: "print", key: "P", caption: t("Print"), name: t("Print"), run: () => print() },
  { icon: "help", key: "?", caption: t("Help"), name: t("Keys"), run: openHelp },
]);

const toggleLegend = (button) => togglePart("legend", button);

const levels = levelControl(byId("levels"), page.steps, net, (level) => write({ level: level ? String(level) : null }));
const relations = new Relations(map, api, (compound) => showCompound(compound), (error) => say(error.message));
const related = relationLegend();
related.hidden = true;
const withLegend = { toggle: (on) => { related.hidden = !on; relations.toggle(on); } };
layersMenu(byId("layers-menu"), { base, net, stations, raster, relations: withLegend }, page.layers, read("layers"), (value) => write({ layers: value }));
for (const holder of [byId("legend"), byId("layers-legend")]) legend(holder, page.steps, net.options.palette, page.layers);
byId("legend").append(related);
togglePart("legend", rail.legend, innerWidth > 900);
search(byId("search"), byId("search-list"), api, (item) => {
  if (item.type === "grid") {
    showGrid(Number(item.id), null, { zoom: true, focus: true });
    return;
  }
  if (item.type === "compound") {
    showCompound(Number(item.id), { focus: true });
    return;
  }
  const place = { lat: item.lat, lon: item.lon };
  if (item.bbox && item.type === "street") zoomTo(item.bbox);
  else map.setView([item.lat, item.lon], Math.max(map.getZoom(), 17));
  showWho(place);
});

net.on("failed", ({ error }) => show([h("p", { class: "notice is-bad", role: "alert" }, error.message)]));
net.on("hover", ({ feature, parent, values }) => {
  const chip = byId("hover");
  chip.hidden = !feature;
  if (!feature) return;
  const facts = (values?.[0] ?? null) !== null ? ` · ${t("%(n)s households", { n: number(values[0]) })}` : "";
  chip.replaceChildren(parent ? `${parent.name} › ` : "", h("b", {}, feature.name), facts);
});

function pickAt(latlng) {
  if (picking) {
    showWho({ lat: latlng.lat, lon: latlng.lng });
    return;
  }
  const feature = net.at(latlng);
  if (feature) showGrid(feature.id, net.shown);
  else showCity();
}

map.on("click", (event) => pickAt(event.latlng));
map.getContainer().append(h("div", { class: "crosshair", "aria-hidden": "true" }));
map.getContainer().addEventListener("keydown", (event) => {
  if (event.target !== map.getContainer()) return;
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === "Enter") pickAt(map.getCenter());
  else if (event.shiftKey && step) {
    event.stopPropagation();
    const neighbour = net.neighbour(...step);
    if (neighbour) {
      showGrid(neighbour.id, net.shown);
      const [west, south, east, north] = net.bounds(neighbour.id);
      map.panInside([(south + north) / 2, (west + east) / 2], { padding: [80, 80] });
    }
  } else return;
  event.preventDefault();
}, true);

byId("who-here").addEventListener("click", locate);
byId("who-pick").addEventListener("click", () => setPicking(!picking));
byId("city-choice").addEventListener("change", (event) => event.target.form.submit());
document.addEventListener("click", (event) => {
  const menu = byId("date-menu");
  if (menu?.open && !menu.contains(event.target)) menu.open = false;
  if (!byId("layers-menu").hidden && !event.target.closest("#layers-menu, .rail")) togglePart("layers-menu", rail.layers, false);
});

keyboard({
  "/": () => byId("search").focus(),
  v: () => setPicking(false),
  w: () => setPicking(!picking),
  l: locate,
  f: wholeCity,
  c: () => togglePart("layers-menu", rail.layers),
  g: () => toggleLegend(rail.legend),
  t: toTable,
  p: () => print(),
  "?": openHelp,
  Escape: () => {
    if (!byId("layers-menu").hidden) togglePart("layers-menu", rail.layers, false);
    else if (picking) setPicking(false);
    else showCity();
  },
  ...Object.fromEntries([0, ...page.steps].map((step, index) => [String(index), () => levels.choose(index)])),
});

setPicking(false);
followMap(map);
net.load(net.levelFor(map.getZoom())).then(() => requestAnimationFrame(answers));
const wanted = Number(read("grid"));
if (Number(read("level"))) levels.choose(page.steps.findIndex((step) => step.level === Number(read("level"))) + 1);
if (Number(read("compound"))) await showCompound(Number(read("compound")), { focus: false });
else if (wanted) await showGrid(wanted, null, { zoom: !read("z") });
else await showCity();
ready();
