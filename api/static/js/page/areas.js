// Grids of one level filled by a figure: what coverage, density and patrol areas have in common.

import { byId, choices, hover, openPanel, page, zoomTo } from "./figures.js";
import { read, write } from "./address.js";
import { h, t } from "./dom.js";

// The levels that the city's net has grids of, as a choice over the map.
export function levelChoice(usual, onChoose) {
  const list = page.levels.filter((one) => one.count);
  const wanted = Number(read("level"));
  const start = list.some((one) => one.level === wanted) ? wanted : Math.min(usual, list.at(-1)?.level ?? usual);
  choices(byId("map-controls"), t("Level of grids"), list.map((one) => ({ value: one.level, word: one.name })), start, (level) => {
    write({ level: level === usual ? null : String(level) });
    onChoose(level);
  });
  return start;
}

export class Areas {
  // about: { textOf(item) -> nodes for the chip, onSelect(item or null) }.
  constructor(map, layers, about) {
    Object.assign(this, { map, layers, about });
    this.items = new Map();
    this.level = null;
    map.on("click", (event) => this.select(this.#at(event.latlng)));
    map.on("mousemove", (event) => {
      const item = this.#at(event.latlng);
      hover(item ? [item.parent_name ? `${item.parent_name} › ` : "", h("b", {}, item.name), " · ", about.textOf(item)] : null);
    });
    map.on("mouseout", () => hover(null));
    layers.net.on("refined", ({ level, topology }) => level === this.level && this.#draw(topology));
  }

  #at(latlng) {
    const feature = this.topology?.at(latlng.lng, latlng.lat);
    return feature ? this.items.get(feature.id) ?? null : null;
  }

  // Shows a level's rows; fillOf gives a colour, a hatch or both, signOf a mark or nothing.
  async set(level, items, fillOf, signOf = () => null) {
    this.items = new Map(items.map((item) => [item.grid, item]));
    this.level = level;
    this.layers.net.setLevel(level);
    const topology = await this.layers.net.load(level);
    if (this.level !== level) return;
    this.fills = fillOf ? new Map(items.map((item) => [item.grid, fillOf(item)])) : new Map();
    this.signs = new Map();
    for (const item of items) {
      const sign = signOf(item);
      if (sign) this.signs.set(item.grid, sign);
    }
    this.#draw(topology);
    await this.#names(level);
  }

  #draw(topology) {
    this.topology = topology;
    this.layers.areas.set(topology, this.fills, this.signs);
  }

  // Names of the two levels above the one shown, so that they stay readable.
  async #names(level) {
    const shown = this.layers.net.steps.filter((step) => step.level <= Math.max(2, level - 1)).slice(0, 2);
    this.layers.names.set(await Promise.all(shown.map((step) => this.layers.net.load(step.level))));
  }

  select(item, { zoom = false } = {}) {
    this.layers.net.select(item?.grid ?? null, this.level);
    this.about.onSelect(item);
    if (!item) return;
    openPanel();
    if (zoom) zoomTo(this.map, this.layers.net.bounds(item.grid));
  }
}
