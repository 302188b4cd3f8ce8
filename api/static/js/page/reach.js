// Coverage: how many households live within 500 m and 1 km of an open station, as the crow flies.

import {
  api, ask, byId, choices, colourSwatch, dates, decimal, item as swatched, keys, legend, mapOfFigures, page, percent,
  ranked, said, select, show, table, tile, tokens, vintage, vintageChoice, zoomTo,
} from "./figures.js";
import { read, write } from "./address.js";
import { Areas, levelChoice } from "./areas.js";
import { h, number, t } from "./dom.js";
import { ready } from "./ready.js";
import { ServicePoints } from "./service-points.js";

const USUAL_LEVEL = 2;
const state = { kind: read("kind") ?? "", squares: page.wholeCity && read("by") !== "grids", level: null, selected: null };
let found = null;
let squares = null;
const query = () => ({ kind: state.kind || null, vintage: vintage() });
const firstSquares = page.wholeCity ? api.get("/figures/coverage/squares", { side: page.side, ...query() }) : null;
const { map, layers } = await mapOfFigures();
const helping = new ServicePoints(map, page);
const areas = new Areas(map, layers, {
  textOf: (item) => `${percent(item.within_500_m, item.households)} ≤ 500 ${t("m")} · ${percent(item.within_1000_m, item.households)} ≤ 1 ${t("km")}`,
  onSelect: (item) => {
    state.selected = item;
    if (found) panel();
  },
});

const bandWords = () => [t("within 500 m"), t("within 1 km"), t("farther than 1 km")];
const beyond = (item) => item.households - item.within_1000_m;
const colours = () => tokens("reach", 3);
const shareColour = (share) => {
  const ramp = tokens("dense", 6);
  return ramp[share >= 1 ? 5 : share >= 0.95 ? 4 : share >= 0.9 ? 3 : share >= 0.8 ? 2 : share >= 0.6 ? 1 : 0];
};

function drawMap() {
  const bands = colours();
  if (state.squares && squares) {
    layers.squares.set(squares.squares);
    layers.squares.fill(squares.band.map((band) => bands[band]));
    areas.set(state.level, found.items, null);
    legend(t("Straight-line distance of most households of a square to the nearest open station"),
      h("div", { class: "row" }, bandWords().map((word, i) => swatched(colourSwatch(bands[i]), word)), swatched(h("i", { class: "legend-dot" }), t("open station"))),
      t("Squares of 125 m where households live"));
  } else {
    layers.squares.fill([]);
    areas.set(state.level, found.items, (item) => (item.households ? shareColour(item.share_500_m) : "hatch:nobody"));
    const steps = [["< 60 %", 0], ["60 %", 0.6], ["80 %", 0.8], ["90 %", 0.9], ["95 %", 0.95], ["100 %", 1]];
    legend(t("Share of households within 500 m of an open station"), h("div", { class: "row" }, steps.map(([word, share]) => swatched(colourSwatch(shareColour(share)), word))));
  }
  said(t("Straight line, not walking distance"));
}

function bandMeter(item) {
  const bands = colours();
  const parts = [item.within_500_m, item.within_1000_m - item.within_500_m, beyond(item)];
  return h("div", { class: "meter-row" },
    h("div", { class: "stacked", role: "img", "aria-label": bandWords().map((word, i) => `${word}: ${number(parts[i])}`).join(", ") }, parts.map((part, i) => {
      const bar = h("i");
      bar.style.background = bands[i];
      bar.style.width = `${(100 * part) / (item.households || 1)}%`;
      return bar;
    })),
    bandWords().map((word, i) => h("p", {}, h("span", {}, word), h("span", { class: "figure" }, t("%(n)s households", { n: number(Math.round(parts[i])) }), ` · ${percent(parts[i], item.households)}`))));
}

function panel() {
  const item = state.selected ?? found.total;
  const least = [...found.items].filter((one) => one.households).sort((a, b) => a.share_500_m - b.share_500_m).slice(0, 10);
  show([
    state.selected ? h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, item.name),
      h("button", { class: "button", type: "button", onclick: () => areas.select(null) }, t("Whole city"))) : h("h2", { tabindex: "-1" }, t("Coverage of stations")),
    h("div", { class: "tiles" },
      tile(t("within 500 m"), percent(item.within_500_m, item.households), `${number(item.within_500_m)} / ${number(item.households)}`),
      tile(t("within 1 km"), percent(item.within_1000_m, item.households), `${number(item.within_1000_m)} / ${number(item.households)}`),
      tile(t("farther than 1 km"), number(Math.round(beyond(item))), t("households"), { tone: beyond(item) > 0 ? "watch" : "" }),
      tile(t("Mean distance"), item.mean_distance_m === null ? "–" : `${decimal(item.mean_distance_m, 0)} ${t("m")}`, t("%(n)s open stations", { n: number(found.stations) }))),
    bandMeter(item),
    h("section", {}, h("h3", {}, t("Least covered"), h("small", {}, t("share within 500 m, click to zoom"))),
      ranked([t("Grid"), t("within 500 m"), t("Households"), t("Share")], least.map((one) => ({ target: one,
        cells: [one.name, number(one.within_500_m), number(one.households), percent(one.within_500_m, one.households)] })), (one) => areas.select(one, { zoom: true }))),
    helping.section(),
    h("p", { class: "notice" }, t("Distances are straight lines from where the households of each cell stand. Stations count when they are open; planned and closed ones do not.")),
    dates(found.as_of),
  ]);
}

function rows() {
  const search = new URLSearchParams({ f: "csv", level: state.level });
  for (const [name, value] of Object.entries({ as_of: page.asOf, ...query() })) if (value) search.set(name, value);
  table(t("Coverage of stations"), [
    { word: t("Grid"), value: (one) => one.name, text: (one) => one.name },
    { word: t("Belongs to"), value: (one) => one.parent_name ?? "", text: (one) => one.parent_name ?? "" },
    { word: t("Households"), number: true, value: (one) => one.households },
    { word: t("within 500 m"), number: true, value: (one) => one.within_500_m },
    { word: t("Share"), number: true, value: (one) => one.share_500_m, text: (one) => percent(one.within_500_m, one.households) },
    { word: t("within 1 km"), number: true, value: (one) => one.within_1000_m },
    { word: t("Share"), number: true, value: (one) => one.share_1000_m, text: (one) => percent(one.within_1000_m, one.households) },
    { word: t("Mean distance, m"), number: true, value: (one) => one.mean_distance_m },
  ], [...found.items, { ...found.total, isTotal: true }], `${page.api}/figures/coverage?${search}`);
}

async function load(question = null) {
  const answer = await ask(() => Promise.all([
    api.get("/figures/coverage", { level: state.level, ...query() }),
    page.wholeCity ? question ?? api.get("/figures/coverage/squares", { side: page.side, ...query() }) : null,
  ]));
  if (!answer) return;
  [found, squares] = answer;
  state.selected = null;
  layers.net.select(null);
  layers.dots.narrow(state.kind ? [state.kind] : []);
  drawMap();
  panel();
  rows();
}

if (page.wholeCity) {
  choices(byId("map-controls"), t("Shown by"), [{ value: true, word: t("By square") }, { value: false, word: t("By grid") }], state.squares, (on) => {
    state.squares = on;
    write({ by: on ? null : "grids" });
    if (found) drawMap();
  });
}
state.level = levelChoice(USUAL_LEVEL, (level) => {
  state.level = level;
  load();
});
select(byId("controls"), t("Kind"), [{ value: "", word: t("All kinds") }, ...Object.entries(page.kinds).map(([value, word]) => ({ value, word }))], state.kind, (kind) => {
  state.kind = kind;
  write({ kind: kind || null });
  load();
});
vintageChoice(byId("controls"), () => load());
keys({ f: () => zoomTo(map, page.bbox), Escape: () => areas.select(null) });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => found && drawMap());
await Promise.all([load(firstSquares), helping.load().then(() => found && panel())]);
ready();
