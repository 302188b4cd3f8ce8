// Density of stations: open ones per 10,000 households and per square kilometre, by level and kind.

import {
  api, ask, byId, choices, classOf, dates, decimal, hatchSwatch, item as swatched, keys, legend, mapOfFigures, page, ramp,
  ranked, roundLimits, select, show, table, tile, tokens, vintage, vintageChoice, zoomTo,
} from "./figures.js";
import { read, write } from "./address.js";
import { Areas, levelChoice } from "./areas.js";
import { h, number, t } from "./dom.js";
import { ready } from "./ready.js";

const USUAL_LEVEL = 2;
const CLASSES = 6;
const MEASURES = { households: "per_10000_households", ground: "per_km2" };
const state = { kind: read("kind") ?? "", measure: read("measure") === "ground" ? "ground" : "households", level: null, selected: null };
let found = null;
const query = () => ({ kind: state.kind || null, vintage: vintage() });
const { map, layers } = await mapOfFigures();
const word = () => (state.measure === "ground" ? t("stations per km²") : t("stations per 10,000 households"));
const rate = (item) => item[MEASURES[state.measure]];
const areas = new Areas(map, layers, {
  textOf: (item) => `${number(item.stations)} · ${decimal(rate(item), 2)} ${word()}`,
  onSelect: (item) => {
    state.selected = item;
    if (found) panel();
  },
});

function drawMap() {
  const limits = roundLimits(found.items.map(rate), CLASSES);
  const colours = tokens("dense", CLASSES);
  areas.set(state.level, found.items, (item) => {
    if (rate(item) === null) return "hatch:nobody";
    return item.stations ? colours[classOf(rate(item), limits)] : "hatch:zero";
  });
  legend(word(), [
    ramp(colours, limits.map((limit) => Math.round(limit * 100) / 100)),
    h("div", { class: "row" }, swatched(hatchSwatch("zero"), t("no open station")), swatched(hatchSwatch("nobody"), t("uninhabited")), swatched(h("i", { class: "legend-dot" }), t("open station"))),
  ]);
}

function panel() {
  const item = state.selected ?? found.total;
  const least = [...found.items].filter((one) => rate(one) !== null).sort((a, b) => rate(a) - rate(b)).slice(0, 10);
  const whole = found.total;
  show([
    state.selected ? h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, item.name),
      h("button", { class: "button", type: "button", onclick: () => areas.select(null) }, t("Whole city"))) : h("h2", { tabindex: "-1" }, t("Density of stations")),
    h("div", { class: "tiles" },
      tile(t("Per 10,000 households"), decimal(item.per_10000_households, 2), `${number(item.stations)} / ${number(item.households)}`),
      tile(t("Per km²"), decimal(item.per_km2, 2), `${number(item.stations)} / ${decimal(item.area_km2, 2)} ${t("km²")}`),
      tile(t("Open stations"), number(item.stations), state.kind ? page.kinds[state.kind] ?? state.kind : t("All kinds")),
      state.selected ? tile(t("Whole city"), decimal(rate(whole), 2), word()) : tile(t("Without a station"), number(found.items.filter((one) => !one.stations).length), t("of %(n)s grids of this level", { n: number(found.items.length) }))),
    h("section", {}, h("h3", {}, t("Least stations"), h("small", {}, word())),
      ranked([t("Grid"), t("Stations"), state.measure === "ground" ? t("km²") : t("Households"), t("Rate")], least.map((one) => ({ target: one,
        cells: [one.name, number(one.stations), state.measure === "ground" ? decimal(one.area_km2, 2) : number(one.households), decimal(rate(one), 2)] })), (one) => areas.select(one, { zoom: true }))),
    dates(found.as_of),
  ]);
}

function rows() {
  const search = new URLSearchParams({ f: "csv", level: state.level });
  for (const [name, value] of Object.entries({ as_of: page.asOf, ...query() })) if (value) search.set(name, value);
  table(t("Density of stations"), [
    { word: t("Grid"), value: (one) => one.name, text: (one) => one.name },
    { word: t("Belongs to"), value: (one) => one.parent_name ?? "", text: (one) => one.parent_name ?? "" },
    { word: t("Stations"), number: true, value: (one) => one.stations },
    { word: t("Households"), number: true, value: (one) => one.households },
    { word: t("km²"), number: true, value: (one) => one.area_km2, text: (one) => decimal(one.area_km2, 3) },
    { word: t("stations per 10,000 households"), number: true, value: (one) => one.per_10000_households, text: (one) => decimal(one.per_10000_households, 2) },
    { word: t("stations per km²"), number: true, value: (one) => one.per_km2, text: (one) => decimal(one.per_km2, 2) },
  ], [...found.items, { ...found.total, isTotal: true }], `${page.api}/figures/stations?${search}`);
}

async function load() {
  const answer = await ask(() => api.get("/figures/stations", { level: state.level, ...query() }));
  if (!answer) return;
  found = answer;
  state.selected = null;
  layers.net.select(null);
  layers.dots.narrow(state.kind ? [state.kind] : []);
  drawMap();
  panel();
  rows();
}

choices(byId("map-controls"), t("Measure"), [{ value: "households", word: t("Per 10,000 households") }, { value: "ground", word: t("Per km²") }], state.measure, (measure) => {
  state.measure = measure;
  write({ measure: measure === "ground" ? measure : null });
  if (found) {
    drawMap();
    panel();
  }
});
state.level = levelChoice(USUAL_LEVEL, (level) => {
  state.level = level;
  load();
});
select(byId("controls"), t("Kind"), [{ value: "", word: t("All kinds") }, ...Object.entries(page.kinds).map(([value, name]) => ({ value, word: name }))], state.kind, (kind) => {
  state.kind = kind;
  write({ kind: kind || null });
  load();
});
vintageChoice(byId("controls"), () => load());
keys({ f: () => zoomTo(map, page.bbox), Escape: () => areas.select(null) });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => found && drawMap());
await load();
ready();
