// Patrol areas by post: which grids are staffed, which in part, which not at all.

import {
  api, ask, byId, colourSwatch, dates, hatchSwatch, item as swatched, keys, legend, mapOfFigures, page, percent, ranked,
  select, show, table, tile, tokens, zoomTo,
} from "./figures.js";
import { read, write } from "./address.js";
import { Areas, levelChoice } from "./areas.js";
import { h, number, t } from "./dom.js";
import { ready } from "./ready.js";

const USUAL_LEVEL = 3;
const USUAL_ROLE = "worker" in page.roles ? "worker" : "";
const STATES = ["staffed", "part", "vacant", "none"];
const state = { role: read("role") ?? USUAL_ROLE, level: null, selected: null };
let found = null;
const query = () => ({ role: state.role === "all" ? null : state.role || null });
const { map, layers } = await mapOfFigures();
const words = () => ({ staffed: t("staffed"), part: t("partly staffed"), vacant: t("vacant"), none: t("no post") });
const SIGNS = { staffed: "✓", part: "◐", vacant: "✕", none: "–" };
const TONES = { staffed: "is-good", part: "is-watch", vacant: "is-bad", none: "" };
const roleWord = (role) => page.roles[role] ?? role;
const chip = (one) => h("span", { class: `chip ${TONES[one.state]}` }, `${SIGNS[one.state]} ${words()[one.state]}`);
const areas = new Areas(map, layers, {
  textOf: (one) => `${SIGNS[one.state]} ${words()[one.state]} · ${t("%(filled)s of %(posts)s posts filled", { filled: number(one.filled), posts: number(one.posts) })}`,
  onSelect: (one) => {
    state.selected = one;
    if (found) panel();
  },
});

function drawMap() {
  const [good, part, bad] = tokens("state", 4);
  const fills = { staffed: good, part, vacant: [bad, "hatch:vacant"], none: "hatch:nobody" };
  areas.set(state.level, found.items, (one) => fills[one.state], (one) => {
    if (one.state === "vacant") return { text: `✕ ${t("vacant")}`, short: "✕", ink: "--bad", must: true };
    return one.state === "part" ? { text: `◐ ${t("%(n)s vacant", { n: one.vacant })}`, short: "◐", ink: "--watch" } : null;
  });
  legend(state.role === "all" ? t("All posts") : roleWord(state.role), h("div", { class: "row" },
    swatched(colourSwatch(good), `✓ ${words().staffed} ${number(found.states.staffed)}`),
    swatched(colourSwatch(part), `◐ ${words().part} ${number(found.states.part)}`),
    swatched(hatchSwatch("vacant"), `✕ ${words().vacant} ${number(found.states.vacant)}`),
    swatched(hatchSwatch("nobody"), `– ${words().none} ${number(found.states.none)}`)));
}

function panel() {
  const one = state.selected ?? found.total;
  const missing = found.items.filter((grid) => grid.vacant).sort((a, b) => b.vacant - a.vacant || a.filled - b.filled);
  show([
    state.selected ? h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, one.name), chip(one),
      h("button", { class: "button", type: "button", onclick: () => areas.select(null) }, t("Whole city"))) : h("h2", { tabindex: "-1" }, t("Patrol areas")),
    state.selected ? h("p", { class: "card-code" }, h("span", { class: "figure" }, one.code ?? ""), one.parent_name ?? "") : null,
    h("div", { class: "tiles" },
      tile(t("Posts filled"), percent(one.filled, one.posts), `${number(one.filled)} / ${number(one.posts)}`),
      tile(t("Vacant posts"), number(one.vacant), state.selected ? "" : t("%(n)s grids concerned", { n: number(missing.length) }), { tone: one.vacant ? "watch" : "" }),
      tile(t("Full-time"), number(one.full_time), t("filled posts")),
      tile(t("Part-time"), number(one.part_time), t("%(n)s people hold the posts", { n: number(one.workers) }))),
    h("section", {}, h("h3", {}, t("By role")), h("table", { class: "rows" },
      h("thead", {}, h("tr", {}, [t("Role"), t("Posts"), t("Filled"), t("Vacant")].map((head, i) => h("th", { scope: "col", class: i ? "number" : null }, head)))),
      h("tbody", {}, one.roles.map((role) => h("tr", {}, h("td", {}, roleWord(role.role)), h("td", { class: "number" }, number(role.posts)),
        h("td", { class: "number" }, number(role.posts - role.vacant)),
        h("td", { class: "number" }, role.vacant ? h("span", { class: "chip is-watch" }, number(role.vacant)) : "0")))))),
    state.selected ? h("p", {}, h("a", { class: "button", href: `/net?${new URLSearchParams({ city: page.slug, grid: one.grid })}` }, t("Show this grid"))) : null,
    h("section", {}, h("h3", {}, t("Vacant grids"), h("small", {}, t("click to zoom"))),
      missing.length ? ranked([t("Grid"), t("Posts"), t("Vacant")], missing.slice(0, 20).map((grid) => ({ target: grid,
        cells: [grid.parent_name ? `${grid.parent_name} · ${grid.name}` : grid.name, number(grid.posts), number(grid.vacant)] })), (grid) => areas.select(grid, { zoom: true }))
        : h("p", { class: "quiet" }, t("Every post of this choice is filled."))),
    dates(found.as_of, t("Posts on %(day)s.", { day: found.as_of.day })),
  ]);
}

function rows() {
  const search = new URLSearchParams({ f: "csv", level: state.level });
  for (const [name, value] of Object.entries({ as_of: page.asOf, ...query() })) if (value) search.set(name, value);
  table(t("Patrol areas"), [
    { word: t("Grid"), value: (one) => one.name, text: (one) => one.name },
    { word: t("Belongs to"), value: (one) => one.parent_name ?? "", text: (one) => one.parent_name ?? "" },
    { word: t("State"), value: (one) => STATES.indexOf(one.state), text: chip },
    { word: t("Posts"), number: true, value: (one) => one.posts },
    { word: t("Filled"), number: true, value: (one) => one.filled },
    { word: t("Vacant"), number: true, value: (one) => one.vacant },
    { word: t("Full-time"), number: true, value: (one) => one.full_time },
    { word: t("Part-time"), number: true, value: (one) => one.part_time },
    { word: t("People"), number: true, value: (one) => one.workers },
  ], [...found.items, { ...found.total, isTotal: true }], `${page.api}/figures/patrol?${search}`);
}

async function load() {
  const answer = await ask(() => api.get("/figures/patrol", { level: state.level, ...query() }));
  if (!answer) return;
  found = answer;
  state.selected = null;
  layers.net.select(null);
  drawMap();
  panel();
  rows();
}

state.level = levelChoice(USUAL_LEVEL, (level) => {
  state.level = level;
  load();
});
select(byId("controls"), t("Role"), [{ value: "all", word: t("All roles") }, ...Object.entries(page.roles).map(([value, name]) => ({ value, word: name }))], state.role || "all", (role) => {
  state.role = role;
  write({ role: role === USUAL_ROLE ? null : role });
  load();
});
keys({ f: () => zoomTo(map, page.bbox), Escape: () => areas.select(null) });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => found && drawMap());
await load();
ready();
