// Requests on fixed squares: rates or counts, a month or the whole period, what was left out.

import {
  announce, api, ask, byId, choices, classOf, dates, decimal, hatchSwatch, hover, item, keys, legend, mapOfFigures,
  nameOf, openPanel, page, ramp, ranked, roundLimits, said, select, show, table, tile, tokens, vintage, vintageChoice, zoomTo,
} from "./figures.js";
import { read, write } from "./address.js";
import { h, number, t } from "./dom.js";
import { ready } from "./ready.js";

const SIDES = ["125", "250", "500", "1000"];
const CLASSES = 7;
const STEP_MS = 900;

const state = {
  side: SIDES.includes(read("side")) ? read("side") : String(page.side),
  category: read("category") ?? "",
  count: read("measure") === "count",
  month: null,
  selected: null,
};
let found = null;
let playing = null;
const query = () => ({ side: state.side, category: state.category || null, vintage: vintage(), from: read("since"), to: read("until") });
const first = api.get("/figures/requests", query());
const { map, layers } = await mapOfFigures();
const { squares, net, names } = layers;

// ---- what is shown of a square ------------------------------------------------------------------

const casesOf = (i, month = state.month) =>
  month === null ? found.cases.reduce((sum, one) => sum + one[i], 0) : found.cases[month][i];

function shownOf(i, cases) {
  const homes = found.households[i];
  const few = cases < found.least_cases || (!state.count && homes < found.least_households);
  if (cases === 0) return homes <= 0 ? "nobody" : "zero";
  return few ? "few" : "rate";
}

const figureOf = (i, cases) => (state.count ? cases : (1000 * cases) / found.households[i]);
const figureText = (value) => (state.count ? number(value) : decimal(value, 1));
const words = () => ({ few: t("too few"), zero: t("none"), nobody: t("uninhabited") });
const areaOf = (i) => found.areas[found.area[i]] ?? t("uninhabited ground");
const unit = () => (state.count ? t("requests") : t("per 1,000 households"));

// The limits of a single month are one for all months, so that months can be compared.
function limitsNow() {
  const months = state.month === null ? [null] : found.cases.map((_, month) => month);
  const values = [];
  for (const month of months) {
    found.squares.column.forEach((_, i) => {
      const cases = casesOf(i, month);
      if (shownOf(i, cases) === "rate") values.push(figureOf(i, cases));
    });
  }
  return roundLimits(values, CLASSES);
}

const periodWord = () =>
  state.month === null ? `${found.months[0]} – ${found.months.at(-1)}` : found.months[state.month];

function draw() {
  const limits = limitsNow();
  const colours = tokens("heat", CLASSES);
  squares.set(found.squares);
  squares.fill(found.squares.column.map((_, i) => {
    const cases = casesOf(i);
    const kind = shownOf(i, cases);
    if (kind === "nobody") return null;
    return kind === "rate" ? colours[classOf(figureOf(i, cases), limits)] : `hatch:${kind}`;
  }));
  legend(`${state.count ? t("Requests by square") : t("Requests per 1,000 households")} · ${periodWord()}`, [
    ramp(colours, limits),
    h("div", { class: "row" }, item(hatchSwatch("few"), t("too few: under %(cases)s requests or %(homes)s households", { cases: found.least_cases, homes: found.least_households })),
      item(hatchSwatch("zero"), t("no request")), item(hatchSwatch("nobody"), t("uninhabited"))),
  ]);
  const aside = found.left_out;
  said(aside.default_geocode || aside.duplicate
    ? t("%(a)s more on default coordinates and %(b)s duplicates are not on the map", { a: number(aside.default_geocode), b: number(aside.duplicate) }) : null);
  drawTimes();
  panel();
  rows();
}

// ---- panel --------------------------------------------------------------------------------------

function panel() {
  const all = found.squares.column.map((_, i) => i);
  const cases = all.reduce((sum, i) => sum + casesOf(i), 0);
  const homes = found.households.reduce((sum, one) => sum + one, 0);
  const aside = found.left_out;
  const before = state.month ? all.reduce((sum, i) => sum + casesOf(i, state.month - 1), 0) : null;
  const top = all.filter((i) => shownOf(i, casesOf(i)) === "rate")
    .sort((a, b) => figureOf(b, casesOf(b)) - figureOf(a, casesOf(a))).slice(0, 8);
  const most = [...found.categories].sort((a, b) => b.cases - a.cases).slice(0, 6);
  const whole = most.reduce((sum, one) => Math.max(sum, one.cases), 1);
  show([
    state.selected === null ? h("h2", { tabindex: "-1" }, t("Requests"), h("small", { class: "quiet" }, ` ${periodWord()}`)) : squareCard(state.selected),
    state.selected === null ? h("div", { class: "tiles" },
      tile(t("Requests"), number(cases), before === null ? t("on the map") : t("month before: %(n)s", { n: number(before) })),
      tile(t("Per 1,000 households"), decimal((1000 * cases) / homes, 1), t("%(n)s households", { n: number(homes) })),
      tile(t("Default coordinates"), number(aside.default_geocode), t("whole period, not on the map")),
      tile(t("Duplicates"), number(aside.duplicate), t("whole period, counted once"))) : null,
    h("section", {}, h("h3", {}, t("Highest squares"), h("small", {}, t("side %(side)s m, click to zoom", { side: state.side }))),
      top.length ? ranked([t("Community"), t("Requests"), t("Households"), state.count ? t("Requests") : t("per 1,000")].slice(0, state.count ? 3 : 4),
        top.map((i) => ({ target: i, cells: [areaOf(i), number(casesOf(i)), number(found.households[i]), figureText(figureOf(i, casesOf(i)))].slice(0, state.count ? 3 : 4) })), choose)
        : h("p", { class: "quiet" }, t("No square has enough requests in this period. Take larger squares or a longer period."))),
    h("section", {}, h("h3", {}, t("Main categories"), h("small", {}, t("whole period"))),
      h("table", { class: "rows" }, h("tbody", {}, most.map((one) => {
        const bar = h("i");
        bar.style.width = `${(100 * one.cases) / whole}%`;
        return h("tr", {}, h("td", {}, nameOf(one)), h("td", { class: "meter-cell" }, h("div", { class: "meter", "aria-hidden": "true" }, bar)), h("td", { class: "number" }, number(one.cases)));
      })))),
    h("p", { class: "notice" }, t("%(a)s more requests lie on default coordinates and are on no square; %(b)s are probably duplicates and are counted once.", { a: number(aside.default_geocode), b: number(aside.duplicate) })),
    dates(found.as_of, t("Period %(from)s to %(to)s.", { from: found.as_of.period[0], to: found.as_of.period[1] })),
  ]);
}

function squareCard(i) {
  const cases = casesOf(i);
  const kind = shownOf(i, cases);
  return [
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, areaOf(i)),
      h("button", { class: "button", type: "button", onclick: () => choose(null) }, t("Whole city"))),
    h("p", { class: "card-code" }, t("Square %(column)s / %(row)s, side %(side)s m", { column: found.squares.column[i], row: found.squares.row[i], side: state.side }), ` · ${periodWord()}`),
    h("div", { class: "tiles" },
      tile(t("Requests"), number(cases)),
      tile(t("Households"), number(found.households[i])),
      tile(t("Per 1,000 households"), kind === "rate" && found.households[i] >= found.least_households ? decimal((1000 * cases) / found.households[i], 1) : "–", kind === "rate" ? "" : words()[kind])),
  ];
}

function choose(i) {
  state.selected = i;
  squares.select(i);
  panel();
  if (i !== null) {
    openPanel();
    zoomTo(map, squares.bounds(i), 15);
    announce(`${areaOf(i)}: ${number(casesOf(i))}`);
  }
}

// ---- table: the same squares, the same rule -----------------------------------------------------

function rows() {
  const list = found.squares.column.map((_, i) => i).filter((i) => shownOf(i, casesOf(i)) !== "nobody");
  const search = new URLSearchParams({ f: "csv", measure: state.count ? "count" : "rate" });
  const asked = state.month === null ? query() : { ...query(), from: found.months[state.month], to: found.months[state.month] };
  for (const [name, value] of Object.entries({ as_of: page.asOf, ...asked })) if (value) search.set(name, value);
  table(t("Requests by square, %(period)s", { period: periodWord() }), [
    { word: t("Community"), value: areaOf, text: areaOf },
    { word: t("Square"), value: (i) => found.squares.row[i] * 1e6 + found.squares.column[i], text: (i) => `${found.squares.column[i]} / ${found.squares.row[i]}` },
    { word: t("Requests"), number: true, value: (i) => casesOf(i) },
    { word: t("Households"), number: true, value: (i) => found.households[i] },
    { word: unit(), number: true, value: (i) => (shownOf(i, casesOf(i)) === "rate" ? figureOf(i, casesOf(i)) : -1),
      text: (i) => { const kind = shownOf(i, casesOf(i)); return kind === "rate" ? figureText(figureOf(i, casesOf(i))) : words()[kind]; } },
  ], list, `${page.api}/figures/requests?${search}`);
}

// ---- time ---------------------------------------------------------------------------------------

function drawTimes() {
  const sums = found.cases.map((one) => one.reduce((sum, cases) => sum + cases, 0));
  const most = Math.max(1, ...sums);
  const range = byId("month");
  range.max = String(found.months.length);
  range.value = String(state.month === null ? 0 : state.month + 1);
  range.setAttribute("aria-valuetext", state.month === null ? t("Whole period") : `${found.months[state.month]}: ${number(sums[state.month])}`);
  byId("bars").replaceChildren(...found.months.map((month, i) => {
    const bar = h("i");
    bar.style.height = `${Math.max(6, (100 * sums[i]) / most)}%`;
    return h("button", { type: "button", tabindex: "-1", title: `${month}: ${number(sums[i])}`, class: state.month === i ? "is-on" : null,
      onclick: () => toMonth(state.month === i ? null : i) }, bar, h("small", {}, month.slice(5).replace(/^0/, "")));
  }));
  byId("when").textContent = periodWord();
  byId("whole").setAttribute("aria-pressed", String(state.month === null));
}

function toMonth(month) {
  state.month = month;
  write({ month: month === null ? null : found.months[month] });
  draw();
}

function play() {
  const button = byId("play");
  if (playing) {
    clearInterval(playing);
    playing = null;
  } else {
    toMonth(((state.month ?? -1) + 1) % found.months.length);
    playing = setInterval(() => toMonth((state.month + 1) % found.months.length), STEP_MS);
  }
  button.classList.toggle("is-playing", Boolean(playing));
  button.setAttribute("aria-pressed", String(Boolean(playing)));
}

const bar = byId("controls");

// ---- start --------------------------------------------------------------------------------------

async function load(question) {
  const answer = await ask(() => question ?? api.get("/figures/requests", query()));
  if (!answer) return;
  found = answer;
  state.selected = null;
  const month = found.months.indexOf(read("month"));
  state.month = month < 0 ? null : month;
  addControls();
  draw();
}

// The choices that an answer brings stand in the bar once.
let added = false;
function addControls() {
  if (added) return;
  added = true;
  select(bar, t("Category"), [{ value: "", word: t("All categories") }, ...found.categories.map((one) => ({ value: one.category, word: nameOf(one) }))], state.category, (value) => {
    state.category = value;
    write({ category: value || null });
    load();
  });
  vintageChoice(bar, () => load());
}

choices(byId("map-controls"), t("Measure"), [{ value: false, word: t("Per 1,000 households") }, { value: true, word: t("Counts") }], state.count, (value) => {
  state.count = value;
  write({ measure: value ? "count" : null });
  if (found) draw();
});
choices(byId("map-controls"), t("Side of squares"), SIDES.map((side) => ({ value: side, word: `${side} ${t("m")}` })), state.side, (side) => {
  state.side = side;
  write({ side: side === String(page.side) ? null : side });
  load();
});
byId("month").addEventListener("input", (event) => toMonth(Number(event.target.value) ? Number(event.target.value) - 1 : null));
byId("whole").addEventListener("click", () => toMonth(null));
byId("play").addEventListener("click", play);
map.on("click", (event) => {
  const i = squares.at(event.latlng);
  state.selected = i;
  squares.select(i);
  if (found) panel();
  if (i !== null) openPanel();
});
map.on("mousemove", (event) => {
  const i = found ? squares.at(event.latlng) : null;
  if (i === null) return hover(null);
  const cases = casesOf(i);
  const kind = shownOf(i, cases);
  return hover([h("b", {}, areaOf(i)), ` · ${t("%(n)s requests", { n: number(cases) })} · ${t("%(n)s households", { n: number(found.households[i]) })}`,
    kind === "rate" ? (state.count ? "" : ` · ${figureText(figureOf(i, cases))} ${unit()}`) : ` · ${words()[kind]}`]);
});
map.on("mouseout", () => hover(null));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => found && draw());
keys({
  f: () => zoomTo(map, page.bbox),
  Escape: () => choose(null),
  p: play,
});

// All that the first view needs comes before it is drawn, so that it is drawn once.
const levels = net.steps.slice(0, 2).map((step) => step.level);
const [shapes] = await Promise.all([Promise.all(levels.map((level) => net.load(level))), first.catch(() => null)]);
squares.ground = shapes[0];
names.set(shapes);
await load(first);
ready();
