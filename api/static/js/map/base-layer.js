// The city's own ground from vector tiles: a sheet below the grids, one with houses above, one with names on top.

import { upperRules, groundRules, labelRules } from "./base-rules.js";
import { onThemeChange } from "./options.js";

class BaseLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.off = new Set(options.off ?? []);
    this.state = { level: 0, leaf: false, households: options.households };
    const only = options.only ?? [];
    this.below = this.#sheet(only.length ? "above" : "ground");
    this.above = only.length ? null : this.#sheet("above");
    this.names = only.length || !options.labels ? null : this.#sheet("places");
    this.sheets = [this.below, this.above, this.names].filter(Boolean);
    for (const sheet of this.sheets) sheet.views = this.below.views;
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
    const upper = upperRules(only.length > 0);
    const kept = (name) => (only.length ? only.includes(name) : !this.off.has(name));
    const pick = (rules) => Object.entries(rules).flatMap(([name, list]) => (kept(name) ? list : []));
    if (!this.above) {
      this.below.paintRules = [...pick(ground), ...pick(upper)];
      return;
    }
    this.below.paintRules = pick(ground);
    this.above.paintRules = pick(upper);
    if (this.names) this.names.labelRules = kept("place") ? labelRules(this.state) : [];
  }

  show() {
    for (const sheet of this.sheets) sheet.addTo(this.map);
    return this;
  }

  redraw(sheets = this.sheets) {
    this.#applyRules();
    for (const sheet of sheets) {
      sheet.clearLayout();
      if (sheet._map) sheet.rerenderTiles();
    }
  }

  // Which level's names are written; the deepest level also names leaf grids of the levels above.
  setLevel(level, leaf) {
    if (this.state.level === level && this.state.leaf === leaf) return;
    this.state.level = level;
    this.state.leaf = leaf;
    if (this.names) this.redraw([this.names]);
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
