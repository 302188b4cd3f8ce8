// The city's own ground from vector tiles: one sheet below the grids, one with houses and names above.

import { buildingRules, groundRules, labelRules } from "./base-rules.js";
import { onThemeChange } from "./options.js";

class BaseLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.off = new Set();
    this.state = { level: 0, leaf: false, households: options.households };
    const only = options.only ?? [];
    this.below = this.#sheet(only.length ? "above" : "ground");
    this.above = only.length ? null : this.#sheet("above");
    if (this.above) this.above.views = this.below.views;
    this.#applyRules();
    onThemeChange(() => this.redraw());
  }

  #sheet(pane) {
    const bounds = this.options.bounds;
    return protomapsL.leafletLayer({
      url: this.options.tiles,
      pane,
      attribution: "",
      lang: document.documentElement.lang,
      maxDataZoom: this.options.maxDataZoom,
      maxZoom: 20,
      bounds: bounds ? [[bounds[1], bounds[0]], [bounds[3], bounds[2]]] : undefined,
      paintRules: [],
      labelRules: [],
    });
  }

  #applyRules() {
    const only = this.options.only ?? [];
    const ground = groundRules(only.length > 0);
    const buildings = buildingRules(only.length > 0);
    const kept = (name) => (only.length ? only.includes(name) : !this.off.has(name));
    const pick = (rules) => Object.entries(rules).flatMap(([name, list]) => (kept(name) ? list : []));
    if (!this.above) {
      this.below.paintRules = [...pick(ground), ...pick(buildings)];
      return;
    }
    this.below.paintRules = pick(ground);
    this.above.paintRules = pick(buildings);
    this.above.labelRules = this.options.labels && kept("place") ? labelRules(this.state) : [];
  }

  show() {
    this.below.addTo(this.map);
    this.above?.addTo(this.map);
    return this;
  }

  redraw() {
    this.#applyRules();
    for (const sheet of [this.below, this.above]) {
      if (!sheet) continue;
      sheet.clearLayout();
      if (sheet._map) sheet.rerenderTiles();
    }
  }

  // Which level's names are written; the deepest level also names leaf grids of the levels above.
  setLevel(level, leaf) {
    if (this.state.level === level && this.state.leaf === leaf) return;
    this.state.level = level;
    this.state.leaf = leaf;
    this.redraw();
  }

  toggle(name, on) {
    if (on) this.off.delete(name);
    else this.off.add(name);
    this.redraw();
  }
}

export function baseLayer(map, options) {
  return new BaseLayer(map, options);
}
