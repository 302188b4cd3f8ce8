// What all maps of figures share: panel, legend, table beside the map, controls, address.

import { frame } from "../map/frame.js";
import { grouped } from "../map/grouped.js";
import { hatchTile } from "../map/hatches.js";
import { followMap, read, write } from "./address.js";
import { Api } from "./api.js";
import { h, isChinese, number, say, t, vintageName } from "./dom.js";
import { helpDialog, keyboard } from "./keys.js";
import { sheet } from "./sheet.js";

export const page = JSON.parse(document.body.dataset.page);
export const api = new Api(page);
export const byId = (id) => document.getElementById(id);
export const nameOf = (item) => (isChinese ? item.name : item.name_en || item.name);

const body = byId("panel-body");
const panelSheet = sheet(byId("panel-handle"), body);

// A share in per cent; a part is never rounded up to the whole, nor something down to nothing.
export function percent(part, whole) {
  if (!(whole > 0)) return "–";
  const share = (100 * part) / whole;
  const said = share < 100 && share > 99.9 ? 99.9 : share > 0 && share < 0.1 ? 0.1 : share;
  return `${share > 0 && share < 0.1 ? "< " : share < 100 && share > 99.9 ? "> " : ""}${grouped(said, 1)} %`;
}

export const decimal = (value, digits = 1) =>
  value === null || value === undefined ? "–" : grouped(value, digits);

export async function mapOfFigures() {
  const { map, layers } = await frame;
  followMap(map);
  return { map, layers };
}

// ---- panel --------------------------------------------------------------------------------------

export function show(content, { focus = false } = {}) {
  body.classList.remove("loading");
  body.replaceChildren(...content.flat(Infinity).filter(Boolean));
  if (focus) body.querySelector("h2")?.focus();
}

export const openPanel = () => panelSheet.open();

// Asks while the panel waits; an older question never overwrites a newer one.
let asked = 0;
export async function ask(question) {
  const mine = ++asked;
  body.classList.add("loading");
  try {
    const answer = await question();
    return mine === asked ? answer : null;
  } catch (error) {
    if (mine === asked) {
      show([h("p", { class: "notice is-bad", role: "alert" }, error.message),
        h("button", { class: "button", type: "button", onclick: () => location.reload() }, t("Try again"))]);
    }
    return null;
  }
}

export function tile(word, value, note = "", { tone = "" } = {}) {
  return h("div", { class: "tile" }, h("span", {}, word), h("b", { class: tone && `is-${tone}` }, value), note ? h("small", {}, note) : null);
}

export function dates(asOf, more = "") {
  const values = { seq: asOf.net.seq, date: asOf.net.effective_from, vintage: asOf.vintage ?? "–" };
  return h("p", { class: "quiet small" }, asOf.estimated
    ? [t("Net %(seq)s, in force from %(date)s; households of %(vintage)s", values), " ", h("span", { class: "chip" }, t("estimated"))]
    : t("Net %(seq)s, in force from %(date)s; households as counted %(vintage)s.", values), more ? ` ${more}` : "");
}

// Rows that lead to a place; the first column is a button.
export function ranked(heads, rows, onRow) {
  return h("table", { class: "rows ranked" },
    h("thead", {}, h("tr", {}, heads.map((word, i) => h("th", { scope: "col", class: i ? "number" : null }, word)))),
    h("tbody", {}, rows.map(({ cells, target }) => h("tr", {}, cells.map((cell, i) =>
      h("td", { class: i ? "number" : null }, i || !onRow ? cell
        : h("button", { class: "link", type: "button", onclick: () => onRow(target) }, cell)))))));
}

export function meter(share, word) {
  const bar = h("i");
  bar.style.width = `${Math.min(100, 100 * (share ?? 0))}%`;
  return h("div", { class: "meter", role: "img", "aria-label": word }, bar);
}

// ---- controls -----------------------------------------------------------------------------------

// A group of choices as buttons: [{ value, word }].
export function choices(holder, label, list, value, onChoose) {
  const buttons = list.map(({ value: own, word }) =>
    h("button", { type: "button", role: "radio", "aria-checked": String(own === value), tabindex: own === value ? "0" : "-1",
      onclick: () => choose(own) }, word));
  const group = h("div", { class: "levels", role: "radiogroup", "aria-label": label }, buttons);
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    choose(list[at].value);
    buttons[at].focus();
  });
  function choose(own) {
    list.forEach((one, i) => {
      buttons[i].setAttribute("aria-checked", String(one.value === own));
      buttons[i].tabIndex = one.value === own ? 0 : -1;
    });
    onChoose(own);
  }
  holder.append(group);
  return choose;
}

// A choice in the bar: [{ value, word }].
export function select(holder, label, list, value, onChoose) {
  const box = h("select", { "aria-label": label, onchange: () => onChoose(box.value) },
    list.map((one) => h("option", { value: one.value, selected: one.value === value }, one.word)));
  holder.append(h("label", { class: "pill" }, h("span", { class: "pill-word" }, label), box));
  return box;
}

export function vintageChoice(holder, onChoose) {
  if (page.vintages.length < 2) return;
  const list = page.vintages.map((one) => ({ value: one.vintage, word: vintageName(one) }));
  const usual = list.find((one) => !one.value.endsWith("-S")) ?? list[0];
  select(holder, t("Households"), list, read("vintage") ?? usual.value, (value) => {
    write({ vintage: value === usual.value ? null : value });
    onChoose();
  });
}

export const vintage = () => read("vintage");

// ---- legend -------------------------------------------------------------------------------------

export function hatchSwatch(name) {
  const swatch = h("i", { class: "swatch" });
  swatch.style.backgroundImage = `url(${hatchTile(name, 2).toDataURL()})`;
  swatch.style.backgroundSize = "8px 8px";
  return swatch;
}

export function colourSwatch(colour) {
  const swatch = h("i", { class: "swatch" });
  swatch.style.background = colour;
  return swatch;
}

export function legend(title, rows, note = "") {
  const content = [h("div", { class: "legend-title" }, title), rows, note ? h("div", { class: "quiet" }, note) : null];
  byId("legend").replaceChildren(...content.flat(Infinity).filter(Boolean));
}

// On a small screen the legend is short until it is touched.
byId("legend").classList.toggle("is-short", innerWidth <= 640);
byId("legend").addEventListener("click", () => byId("legend").classList.toggle("is-short"));

// Colours in a row with their limits below, as in an atlas.
export function ramp(colours, limits, more = "+") {
  return h("div", { class: "ramp", role: "img", "aria-label": limits.map(String).join(", ") },
    colours.map((colour, i) => {
      const block = h("i");
      block.style.background = colour;
      return h("span", {}, block, h("small", {}, number(limits[i]) + (i === colours.length - 1 ? more : "")));
    }));
}

export const item = (swatch, word) => h("span", { class: "item" }, swatch, word);

// Round limits for `count` classes up to about the value that one in twenty exceeds.
export function roundLimits(values, count) {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  if (!sorted.length) return Array.from({ length: count }, (_, i) => i + 1);
  const high = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))];
  const raw = high / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10].find((one) => one * power >= raw) ?? 10);
  return Array.from({ length: count }, (_, i) => Number((i * step).toPrecision(6)));
}

export const classOf = (value, limits) => {
  let found = 0;
  limits.forEach((limit, i) => {
    if (value >= limit) found = i;
  });
  return found;
};

export function tokens(name, count) {
  const style = getComputedStyle(document.documentElement);
  return Array.from({ length: count }, (_, i) => style.getPropertyValue(`--${name}-${i + 1}`).trim());
}

// ---- table --------------------------------------------------------------------------------------

let drawTable = null;

// columns: [{ word, value(row), text(row), number }]; the table holds what the map shows.
export function table(caption, columns, rows, csv) {
  byId("csv").href = csv;
  let order = null;
  drawTable = () => {
    const sorted = order ? [...rows].sort((a, b) => {
      const [x, y] = [order.column.value(a), order.column.value(b)];
      const less = typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y)) : (x ?? -1) - (y ?? -1);
      return order.down ? -less : less;
    }) : rows;
    const head = columns.map((column) => {
      const own = order?.column === column;
      return h("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": own ? (order.down ? "descending" : "ascending") : null },
        h("button", { class: "link", type: "button", onclick: () => {
          order = { column, down: own ? !order.down : Boolean(column.number) };
          drawTable();
        } }, column.word, own ? (order.down ? " ↓" : " ↑") : ""));
    });
    byId("figures-table").replaceChildren(
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, sorted.map((row) => h("tr", { class: row.isTotal ? "is-total" : null }, columns.map((column, i) =>
        h(i ? "td" : "th", { scope: i ? null : "row", class: column.number ? "number" : null }, column.text ? column.text(row) : number(column.value(row))))))));
  };
  if (!byId("table-view").hidden) drawTable();
}

function showTable(on) {
  byId("table-view").hidden = !on;
  byId("to-figures").setAttribute("aria-pressed", String(on));
  write({ table: on ? "1" : null });
  if (on) {
    drawTable?.();
    byId("table-view").focus();
  }
}

// ---- words over the map -------------------------------------------------------------------------

export function hover(content) {
  byId("hover").hidden = !content;
  if (content) byId("hover").replaceChildren(...[content].flat(Infinity).filter(Boolean));
}

// What was left out, said on the map itself.
export function said(text) {
  byId("said").hidden = !text;
  byId("said").textContent = text ?? "";
}

export function zoomTo(map, bbox, maxZoom = 16) {
  if (bbox) map.fitBounds([[bbox[1], bbox[0]], [bbox[3], bbox[2]]], { padding: [60, 60], maxZoom });
}

export const announce = say;

byId("to-figures").addEventListener("click", () => showTable(byId("table-view").hidden));
byId("subject").addEventListener("change", (event) => location.assign(event.target.value));
byId("city-choice").addEventListener("change", (event) => event.target.form.submit());
const openHelp = helpDialog(byId("help"), [
  ["T", t("Table")],
  ["G", t("Legend")],
  ["F", t("Whole city")],
  ["Esc", t("Back to the city")],
]);

export function keys(bindings) {
  keyboard({
    t: () => showTable(byId("table-view").hidden),
    g: () => (byId("legend").hidden = !byId("legend").hidden),
    "?": openHelp,
    ...bindings,
  });
  if (read("table")) showTable(true);
}
