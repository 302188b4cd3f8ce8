// Grids filled by a figure, with a short mark where something is missing; borders are the net's.

import { CanvasSheet } from "./canvas-sheet.js";
import { hatch } from "./hatches.js";
import { onThemeChange, token } from "./options.js";
import { meets, scaleAt } from "./topology.js";

class AreasLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.topology = null;
    this.fills = new Map();
    this.signs = new Map();
    this.sheet = new CanvasSheet({ pane: "squares", paint: (context, view) => this.#paint(context, view), idle: () => !this.topology || !this.fills.size });
    this.top = new CanvasSheet({ pane: "signs", paint: (context, view) => this.#paintSigns(context, view), idle: () => !this.topology || !this.signs.size });
    onThemeChange(() => this.repaint());
  }

  show() {
    this.sheet.addTo(this.map);
    this.top.addTo(this.map);
    return this;
  }

  // fills: grid -> colour or "hatch:..." or both as an array; signs: grid -> { text, ink }.
  set(topology, fills, signs = new Map()) {
    Object.assign(this, { topology, fills, signs });
    this.repaint();
  }

  clear() {
    this.set(null, new Map());
  }

  repaint() {
    this.sheet.repaint();
    this.top.repaint();
  }

  #paint(context, view) {
    const topology = this.topology;
    if (!topology) return;
    const scale = scaleAt(view.zoom);
    const k = scale * view.ratio;
    const [dx, dy] = [0, 1].map((i) => (topology.origin[i] * scale - (i ? view.top : view.left)) * view.ratio);
    context.setTransform(k, 0, 0, k, dx, dy);
    const window = [-dx / k, -dy / k, (view.width - dx) / k, (view.height - dy) / k];
    const detail = topology.detail(view.zoom);
    for (const feature of topology.features) {
      if (!meets(feature.box, window)) continue;
      for (const fill of [this.fills.get(feature.id) ?? []].flat()) {
        const hatched = fill.startsWith("hatch:");
        context.globalAlpha = hatched ? 1 : this.options.opacity ?? 0.72;
        context.fillStyle = hatched ? hatch(context, fill.slice(6), k) : fill;
        context.fill(topology.path(feature, detail), "evenodd");
      }
    }
    context.globalAlpha = 1;
  }

  // A sign is drawn where there is room for it, so that it never hides a smaller grid. What must not
  // be missed stays as a dot.
  #paintSigns(context, view) {
    if (!this.topology || !this.signs.size) return;
    const scale = scaleAt(view.zoom) * view.ratio;
    const size = 13 * view.ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.font = `700 ${size}px ${token("--font") || "sans-serif"}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const feature of this.topology.features) {
      const sign = this.signs.get(feature.id);
      if (!sign) continue;
      const [x0, y0, x1, y1] = feature.box;
      const kind = signKind(sign, (x1 - x0) * scale, size);
      if (!kind) continue;
      const [cx, cy] = this.topology.middle(feature);
      const x = (cx + this.topology.origin[0]) * scale - view.left * view.ratio;
      const y = (cy + this.topology.origin[1]) * scale - view.top * view.ratio;
      if (kind === "dot") {
        context.beginPath();
        context.arc(x, y, size * 0.36, 0, 2 * Math.PI);
        context.fillStyle = token(sign.ink);
        context.fill();
        context.lineWidth = 1.5 * view.ratio;
        context.strokeStyle = token("--paper");
        context.stroke();
        continue;
      }
      const text = kind === "text" ? sign.text : sign.short ?? sign.text;
      const half = context.measureText(text).width / 2 + 5 * view.ratio;
      context.beginPath();
      context.roundRect(x - half, y - size * 0.8, half * 2, size * 1.6, size * 0.5);
      context.fillStyle = token("--paper");
      context.fill();
      context.lineWidth = 1.5 * view.ratio;
      context.strokeStyle = context.fillStyle = token(sign.ink);
      context.stroke();
      context.fillText(text, x, y);
    }
  }
}

// How a sign is written in a grid of this width: in words, short, as a dot, or not at all.
export function signKind(sign, width, size) {
  if (width > size * 3) return "text";
  if (width >= size * 1.2) return "short";
  return sign.must ? "dot" : null;
}

export function areasLayer(map, options) {
  return new AreasLayer(map, options);
}
