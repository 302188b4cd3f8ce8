// The grids of a net: one level at a time, filled and bordered on a canvas, with one of them selected.

import { CanvasSheet } from "./canvas-sheet.js";
import { onThemeChange, textElement, token } from "./options.js";
import { Topology, meets, scaleAt } from "./topology.js";

const NOTHING_SHOWN = 0;

async function fetchJson(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer.json();
}

class NetLayer extends L.Evented {
  constructor(map, options) {
    super();
    this.map = map;
    this.options = options;
    this.steps = options.levels;
    this.fixedLevel = options.level || 0;
    this.fills = options.fills !== false;
    this.shown = NOTHING_SHOWN;
    this.selected = null;
    this.hovered = null;
    this.topologies = new Map();
    this.values = new Map();
    this.#readTokens();
    this.ground = new CanvasSheet({
      pane: "grids",
      paint: (context, view) => this.#paintGround(context, view),
      idle: () => !this.topologies.has(this.shown),
    });
    this.marks = new CanvasSheet({
      pane: "marks",
      paint: (context, view) => this.#paintMarks(context, view),
      idle: () => this.selected === null && this.hovered === null && !this.options.own?.length,
    });
    onThemeChange(() => {
      this.#readTokens();
      this.repaint();
    });
  }

  #readTokens() {
    this.ink = token("--map-border") || "#1b2430";
    this.topInk = token("--map-border-top") || "#0b6e99";
    this.halo = token("--map-halo") || "#fff";
    this.mark = token("--map-selected") || "#000";
    this.veil = token("--map-veil") || "rgba(244,246,248,.66)";
    this.fillOpacity = parseFloat(token("--map-fill-opacity")) || this.options.fillOpacity;
  }

  show() {
    this.ground.addTo(this.map);
    this.marks.addTo(this.map);
    this.map.on("zoomend", this.#follow, this);
    this.map.on("zoomend", this.#refine, this);
    this.map.on("mousemove", this.#hover, this);
    this.map.on("mouseout", () => this.#setHovered(null));
    this.#follow();
    if (this.options.parents === false) this.#showNames();
    for (const own of this.options.own ?? []) this.load(own.level).then(() => this.marks.repaint());
    if (this.options.selected) this.select(this.options.selected, this.options.selectedLevel);
    return this;
  }

  // The level that stands on the map: the one chosen, or the one that fits the zoom.
  levelFor(zoom) {
    if (this.fixedLevel) return this.fixedLevel;
    let level = this.steps[0]?.level ?? 0;
    for (const step of this.steps) if (zoom >= step.zoom) level = step.level;
    return level;
  }

  setLevel(level) {
    this.fixedLevel = level;
    this.#follow();
  }

  setFills(on) {
    this.fills = on;
    this.ground.repaint();
  }

  #step(level) {
    return this.steps.find((step) => step.level === level);
  }

  // A level's shapes: with few vertices while the whole city is on the screen, with all when nearer.
  load(level) {
    const step = this.#step(level);
    if (!step) return Promise.resolve(null);
    const far = step.overview && this.map.getZoom() <= step.overviewTo;
    if (far) step.pending ??= this.#fetch(step, step.overview);
    else if (!step.whole) step.pending = step.whole = this.#fetch(step, step.topology);
    return step.pending;
  }

  #fetch(step, address) {
    return fetchJson(address)
      .then((data) => {
        const whole = address === step.topology;
        if (whole || !step.isWhole) this.topologies.set(step.level, new Topology(data));
        step.isWhole ||= whole;
        return this.topologies.get(step.level);
      })
      .catch((error) => {
        step.pending = step.whole = null;
        this.fire("failed", { error });
        return null;
      });
  }

  // Shapes with all their vertices take the place of rough ones, wherever those are drawn.
  async #refine() {
    const rough = this.steps.filter((step) => step.overview && !step.isWhole && this.topologies.has(step.level));
    for (const { level, overviewTo } of rough) {
      if (this.map.getZoom() <= overviewTo) continue;
      const topology = await this.load(level);
      if (!topology) continue;
      this.repaint();
      this.fire("refined", { level, topology });
    }
  }

  loadValues(level) {
    const step = this.#step(level);
    if (!step?.values || this.options.withValues === false) return Promise.resolve(null);
    step.pendingValues ??= fetchJson(step.values)
      .then((data) => {
        const rows = data.values ?? data;
        for (const [grid, row] of Object.entries(rows)) this.values.set(Number(grid), row);
        return rows;
      })
      .catch(() => (step.pendingValues = null));
    return step.pendingValues;
  }

  async #follow() {
    const level = this.levelFor(this.map.getZoom());
    if (level === this.shown || level === this.wanted) return;
    this.wanted = level;
    const above = this.options.parents === false ? [] : this.steps.filter((s) => s.level < level);
    const loading = above.map((step) => this.load(step.level));
    const topology = await this.load(level);
    if (this.wanted !== level) return;
    this.wanted = null;
    if (!topology) return;
    this.shown = level;
    this.#setHovered(null);
    this.repaint();
    this.fire("level", { level, leaf: this.steps.length > 1 && level === this.steps.at(-1).level });
    this.loadValues(level);
    await Promise.all(loading);
    this.repaint();
  }

  repaint() {
    this.ground.repaint();
    this.marks.repaint();
  }

  #place(context, view, topology) {
    const scale = scaleAt(view.zoom);
    const k = scale * view.ratio;
    const dx = (topology.origin[0] * scale - view.left) * view.ratio;
    const dy = (topology.origin[1] * scale - view.top) * view.ratio;
    context.setTransform(k, 0, 0, k, dx, dy);
    const window = [-dx / k, -dy / k, (view.width - dx) / k, (view.height - dy) / k];
    return { window, pixel: view.ratio / k };
  }

  #paintGround(context, view) {
    const topology = this.topologies.get(this.shown);
    if (!topology) return;
    const { window } = this.#place(context, view, topology);
    const detail = topology.detail(view.zoom);
    const palette = this.options.palette;
    if (this.fills) {
      context.globalAlpha = this.fillOpacity;
      for (const feature of topology.features) {
        if (!meets(feature.box, window)) continue;
        context.fillStyle = palette[feature.colour % palette.length];
        context.fill(topology.path(feature, detail), "evenodd");
      }
      context.globalAlpha = 1;
    }
    this.#paintVeil(context, view);
    this.#paintBorders(context, view);
  }

  // Everything but the selected grid fades.
  #paintVeil(context, view) {
    const found = this.#find(this.selected);
    if (!found) return;
    const { window } = this.#place(context, view, found.topology);
    const outside = new Path2D();
    outside.rect(window[0], window[1], window[2] - window[0], window[3] - window[1]);
    outside.addPath(found.topology.path(found.feature, found.topology.detail(view.zoom)));
    context.fillStyle = this.veil;
    context.fill(outside, "evenodd");
  }

  // Ids from the top level down to a feature; null while a level above is still on its way.
  #line(feature) {
    const line = [feature.id];
    let parent = feature.parent;
    while (parent !== null && parent !== undefined) {
      line.unshift(parent);
      const id = parent;
      const above = this.steps.map((step) => this.topologies.get(step.level)?.byId.get(id));
      const found = above.find((one) => one);
      if (!found) return null;
      parent = found.parent;
    }
    return line;
  }

  // The shown level's own arcs carry the borders of all levels above, so that lines coincide.
  #ranksOf(topology) {
    if (this.options.parents === false || this.steps.length < 2) return null;
    if (topology.features[0]?.parent === undefined) return null;
    topology.known ??= topology.ranks((feature) => this.#line(feature));
    return topology.known;
  }

  #paintBorders(context, view) {
    const shown = this.topologies.get(this.shown);
    const ranks = this.#ranksOf(shown);
    const steps = this.steps
      .filter((step) => step.level <= this.shown && this.topologies.has(step.level))
      .filter((step) => this.options.parents !== false || step.level === this.shown)
      .reverse();
    context.lineJoin = "round";
    context.lineCap = "round";
    for (const step of steps) {
      const topology = ranks ? shown : this.topologies.get(step.level);
      const { window, pixel } = this.#place(context, view, topology);
      const detail = topology.detail(view.zoom);
      const crowd = view.zoom < step.zoom - 1 ? 0.6 : 1;
      const isTop = step === this.steps[0] && this.steps.length > 1;
      context.strokeStyle = isTop ? this.topInk : this.ink;
      context.globalAlpha = step.level >= 4 ? 0.75 : 1;
      context.lineWidth = step.weight * crowd * pixel;
      context.stroke(topology.borders(detail, window, ranks, step.level));
    }
    context.globalAlpha = 1;
  }

  #paintMarks(context, view) {
    for (const { id } of this.options.own ?? []) {
      const own = id === this.selected ? null : this.#find(id);
      if (own) this.#outline(context, view, own, 2.5, this.topInk);
    }
    const hovered = this.#find(this.hovered);
    if (hovered && this.hovered !== this.selected) this.#outline(context, view, hovered, 2);
    const selected = this.#find(this.selected);
    if (selected) this.#outline(context, view, selected, this.options.selectedWeight ?? 3);
  }

  #outline(context, view, { topology, feature }, width, colour = this.mark) {
    const { pixel } = this.#place(context, view, topology);
    const path = topology.path(feature, topology.detail(view.zoom));
    context.lineJoin = "round";
    context.strokeStyle = this.halo;
    context.lineWidth = (width + 2.5) * pixel;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = width * pixel;
    context.stroke(path);
  }

  #find(id) {
    if (id === null) return null;
    const shown = this.topologies.get(this.shown);
    if (shown?.byId.has(id)) return { topology: shown, feature: shown.byId.get(id) };
    for (const topology of this.topologies.values()) {
      if (topology.byId.has(id)) return { topology, feature: topology.byId.get(id) };
    }
    return null;
  }

  at(latlng) {
    return this.topologies.get(this.shown)?.at(latlng.lng, latlng.lat) ?? null;
  }

  #hover(event) {
    this.#setHovered(this.at(event.latlng));
  }

  #setHovered(feature) {
    const id = feature?.id ?? null;
    if (id === this.hovered) return;
    this.hovered = id;
    this.marks.repaint();
    const parent = this.#find(feature?.parent ?? null)?.feature;
    this.fire("hover", { feature, parent, values: this.values.get(id) });
  }

  // Outlines a grid; its level's shapes are fetched when they are not here yet.
  async select(id, level = null) {
    this.selected = id;
    if (id !== null && !this.#find(id) && level) await this.load(level);
    this.repaint();
    return this.#find(id);
  }

  // The neighbour of the selected grid in a direction, for the keyboard.
  neighbour(dx, dy) {
    const topology = this.topologies.get(this.shown);
    const current = topology?.byId.get(this.selected);
    return current ? topology.beside(current, dx, dy) : null;
  }

  bounds(id) {
    const found = this.#find(id);
    return found ? found.topology.boundsOf(found.feature) : null;
  }

  // A frame with this layer alone says the name of the grid under the pointer.
  #showNames() {
    const box = textElement("div", "map-hover", "");
    box.hidden = true;
    this.map.getContainer().append(box);
    this.on("hover", ({ feature }) => {
      box.hidden = !feature;
      box.textContent = feature?.name ?? "";
    });
  }
}

export function netLayer(map, options) {
  return new NetLayer(map, options);
}
