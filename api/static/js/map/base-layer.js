// The city's own ground from vector tiles: a sheet below the grids, one with houses above, one with names on top.

import { upperRules, groundRules, labelRules } from "./base-rules.js";
import { onThemeChange } from "./options.js";

class BaseLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.off = new Set(options.off ?? []);
    this.state = { level: 0, leaf: false, households: options.households, scale: 1, taken: () => [] };
    const only = options.only ?? [];
    this.below = this.#sheet(only.length ? "above" : "ground");
    this.above = only.length ? null : this.#sheet("above");
    this.names = only.length || !options.labels ? null : this.#sheet("places");
    this.sheets = [this.below, this.above, this.names].filter(Boolean);
    for (const sheet of this.sheets) sheet.views = this.below.views;
    this.#applyRules();
    this.#follow(map.getZoom());
    map.on("zoomanim zoomend viewreset", (event) => this.#follow(event.zoom ?? map.getZoom()));
    onThemeChange(() => this.redraw());
  }

  // Between whole zooms tiles are drawn larger or smaller: finer dots and letters make up for it.
  #follow(zoom) {
    const scale = 2 ** (zoom - Math.round(zoom));
    if (Math.abs(scale - this.state.scale) < 0.01) return;
    this.state.scale = scale;
    for (const sheet of this.sheets) sheet.tileSize = Math.round(256 * sheet.devicePixelRatio * Math.max(scale, 1));
    this.redraw();
  }

  // Names keep away from marks: `placesAt` tells what they cover at a zoom, in pixels of it.
  avoid(placesAt) {
    const known = new Map();
    this.state.taken = (zoom) => {
      if (!known.has(zoom)) known.set(zoom, placesAt(zoom));
      return known.get(zoom);
    };
    if (this.names) this.redraw([this.names]);
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
