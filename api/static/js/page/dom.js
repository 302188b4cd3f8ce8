// Elements, words and figures: text goes into the page through textContent alone.

import { grouped } from "../map/grouped.js";

const SVG = "http://www.w3.org/2000/svg";
const catalogue = JSON.parse(document.getElementById("strings")?.textContent || "{}");
const lang = document.documentElement.lang || "zh-CN";

// The translation of an English message; %(name)s stands for a value.
export function t(message, values = {}) {
  const text = catalogue[message] ?? message;
  return text.replace(/%\((\w+)\)s/g, (whole, name) => values[name] ?? whole);
}

export const isChinese = lang.startsWith("zh");

// What a count of households is called; Chinese names are told by their date to those who read none.
export function vintageName(one) {
  if (isChinese || !one.taken_on || !/\p{Script=Han}/u.test(one.name ?? "")) return one.name || one.vintage;
  const month = { month: one.taken_on.slice(0, 7) };
  return one.seasonal ? t("season, %(month)s", month) : t("count of %(month)s", month);
}

export function number(value) {
  return value === null || value === undefined ? "–" : grouped(value);
}

// A figure and its unit, so that the unit can stand smaller.
export function area(squareMetres) {
  if (squareMetres === null || squareMetres === undefined) return ["–", ""];
  const [value, unit] = squareMetres >= 1e6
    ? [squareMetres / 1e6, t("km²")]
    : [squareMetres / 1e4, t("ha")];
  return [grouped(value, value < 10 ? 2 : 1), unit];
}

export function distance(metres) {
  if (metres === null || metres === undefined) return "";
  return metres < 1000
    ? `${Math.round(metres / 10) * 10} ${t("m")}`
    : `${grouped(metres / 1000, 1)} ${t("km")}`;
}

// The English plural of a level's name; Chinese has none.
export function plural(name, count) {
  if (isChinese || count === 1 || !/[a-z]$/.test(name)) return name;
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return /(s|x|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}

// h("button", { class: "button", onclick: f }, "text", child): properties, events, children as text or nodes.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function say(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}
