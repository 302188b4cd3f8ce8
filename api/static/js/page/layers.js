// What is drawn besides the grids: a menu of switches, and the legend that explains what is on.

import { h, t } from "./dom.js";

const OF_DATA = new Set(["building", "street", "water", "compound", "stations"]);

// Whether the city has anything of a layer; `there` names those of which it has, null when that is not known.
const isThere = (there, name) => there === null || !OF_DATA.has(name) || there.includes(name);

export function layersMenu(holder, { base, net, stations, raster, relations }, there, initial, onChange) {
  const known = [
    ["fills", t("Colours of grids"), (on) => net.setFills(on)],
    ["place", t("Names"), (on) => base.toggle("place", on)],
    ["building", t("Buildings"), (on) => base.toggle("building", on)],
    ["street", t("Streets"), (on) => base.toggle("street", on)],
    ["water", t("Water"), (on) => base.toggle("water", on)],
    ["compound", t("Compounds"), (on) => base.toggle("compound", on)],
    ["relations", t("Compounds beside grids"), (on) => relations.toggle(on)],
    ["density", t("Density of buildings"), (on) => base.toggle("density", on)],
    ["stations", t("Stations"), (on) => (on ? stations.show() : stations.hide())],
  ];
  const needs = { density: "building", relations: "compound" };
  const all = known.filter(([name]) => isThere(there, needs[name] ?? name));
  if (raster) all.push(["raster", t("Base map from outside"), (on) => (on ? raster.show() : raster.hide())]);
  const usual = new Set(all.map(([name]) => name).filter((name) => !["raster", "density", "relations"].includes(name)));
  const on = initial === null ? new Set(usual) : new Set(initial.split(",").filter(Boolean));
  holder.prepend(h("h2", {}, t("Layers")));
  const foot = holder.lastElementChild;
  for (const [name, word, apply] of all) {
    const box = h("input", { type: "checkbox", checked: on.has(name), onchange: () => toggle(name, apply, box.checked) });
    foot.before(h("label", {}, box, word));
    if (on.has(name) !== usual.has(name)) apply(on.has(name));
  }

  function toggle(name, apply, checked) {
    if (checked) on.add(name);
    else on.delete(name);
    apply(checked);
    const same = on.size === usual.size && [...usual].every((one) => on.has(one));
    onChange(same ? null : [...on].join(","));
  }
}

export function legend(holder, steps, palette, there) {
  const swatches = h("span", { class: "swatches" }, palette.slice(0, 5).map((colour) => {
    const swatch = h("i");
    swatch.style.background = colour;
    return swatch;
  }));
  const lines = steps.map((step, index) => {
    const line = h("span", { class: index === 0 ? "line is-top" : "line" });
    line.style.height = `${Math.max(step.weight, 0.8)}px`;
    return h("span", { class: "item" }, line, step.name);
  });
  holder.append(
    h("div", { class: "row" }, h("span", { class: "item" }, swatches, t("Colour tells neighbours apart, nothing else"))),
    h("div", { class: "row" }, t("Borders"), lines),
    h("div", { class: "row" },
      h("span", { class: "item" }, h("span", { class: "frame" }), t("Selected")),
      isThere(there, "building") ? h("span", { class: "item" }, h("span", { class: "house" }), t("Buildings")) : null,
      isThere(there, "stations") ? h("span", { class: "item" }, h("span", { class: "dot" }), t("Stations")) : null),
  );
}
