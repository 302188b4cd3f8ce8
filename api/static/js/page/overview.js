// The city when nothing is selected: how many of what, the net's date, the top grids, and what can be done.

import { dates, tile } from "./card.js";
import { h, number, plural, t } from "./dom.js";

// A sum of what is known; nothing known is no zero.
function sum(items, key) {
  const known = items.map((item) => item[key]).filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((total, value) => total + value, 0) : null;
}

// Whether all grids of the level above are divided into grids of this one.
const everywhere = (level) => level.count > 0 && (level.above ?? 0) <= level.divided;

function householdsEach(level, households) {
  if (!level.count) return "–";
  if (level.above !== null && !everywhere(level)) {
    return h("span", { class: "quiet" }, t("%(n)s of %(m)s divided", { n: number(level.divided), m: number(level.above) }));
  }
  return number(households === null ? null : Math.round(households / level.count));
}

function levelRows(levels, households, isChinese) {
  const shown = [...levels].sort((a, b) => a.level - b.level);
  return h("table", { class: "rows" },
    h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, t("Level")),
      h("th", { scope: "col", class: "number" }, t("Grids")),
      h("th", { scope: "col", class: "number" }, t("Households each")))),
    h("tbody", {}, shown.map((level) => h("tr", {},
      h("td", {}, isChinese ? level.name : level.name_en || level.name),
      h("td", { class: "number" }, h("b", {}, number(level.count))),
      h("td", { class: "number" }, householdsEach(level, households))))));
}

function topRows(items, onGrid) {
  const most = Math.max(1, ...items.map((item) => item.households ?? 0));
  return h("table", { class: "rows" }, h("tbody", {}, items.map((item) => {
    const bar = h("i");
    bar.style.width = `${(100 * (item.households ?? 0)) / most}%`;
    return h("tr", {},
      h("td", {}, h("button", { class: "link", type: "button", onclick: () => onGrid(item.grid, item.level) }, item.name)),
      h("td", { class: "meter-cell" }, h("div", { class: "meter", "aria-hidden": "true" }, bar)),
      h("td", { class: "number" }, number(item.households)),
      h("td", { class: "number" }, item.vacant_posts
        ? h("span", { class: "chip is-watch" }, t("%(n)s vacant", { n: item.vacant_posts })) : null));
  })));
}

export function overview(city, top, page, actions, isChinese) {
  const items = top.items ?? [];
  const levels = city.levels ?? [];
  const full = levels.filter((level) => level.above === null || everywhere(level)).at(-1);
  const households = sum(items, "households");
  const topName = levels[0] ? (isChinese ? levels[0].name : levels[0].name_en || levels[0].name) : "";
  if (!items.length) {
    return [
      h("h2", { tabindex: "-1" }, page.name),
      h("p", { class: "notice" }, t("This city has no grids on this date. Choose another date above, or import boundaries with “wangge import”.")),
    ];
  }
  return [
    h("h2", { tabindex: "-1" }, page.name),
    h("p", { class: "card-code" }, t("Net %(seq)s, in force from %(date)s", { seq: page.net.seq, date: page.net.effectiveFrom }),
      city.demo ? h("span", { class: "chip" }, t("generated city")) : null),
    h("div", { class: "tiles" },
      tile(t("Households"), number(households)),
      tile(t("Buildings"), number(sum(items, "buildings"))),
      tile(full ? plural(isChinese ? full.name : full.name_en || full.name, full.count) : t("Grids"), number(full?.count)),
      tile(t("Stations"), number(sum(items, "stations")))),
    h("section", {}, h("h3", {}, t("Levels")), levelRows(levels, households, isChinese)),
    h("section", {}, h("h3", {}, plural(topName, levels[0]?.count), h("small", {}, t("households"))), topRows(items, actions.grid)),
    h("div", { class: "tips" },
      h("p", {}, t("Click a grid to see who is responsible there.")),
      h("p", {}, h("kbd", {}, "/"), t("finds a place by name or code.")),
      h("p", {}, h("kbd", {}, "?"), t("lists all keys."))),
    dates(top.as_of),
  ];
}
