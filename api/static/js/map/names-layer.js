// Names of grids, the greatest first, none over another: a sheet that needs no tiles.

import { CanvasSheet } from "./canvas-sheet.js";
import { onThemeChange, token } from "./options.js";
import { scaleAt } from "./topology.js";

const GAP = 4;

class NamesLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.levels = [];
    this.sheet = new CanvasSheet({ pane: "places", paint: (context, view) => this.#paint(context, view), idle: () => !this.levels.length });
    onThemeChange(() => this.sheet.repaint());
  }

  show() {
    this.sheet.addTo(this.map);
    return this;
  }

  // levels: topologies from the top down; deeper names come where a level's grids are wide enough.
  // `skip`: ids of grids that are named elsewhere on the page.
  set(levels, skip = []) {
    this.levels = levels.filter(Boolean);
    this.skip = new Set(skip);
    this.sheet.repaint();
  }

  #paint(context, view) {
    const scale = scaleAt(view.zoom) * view.ratio;
    const taken = [];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    this.levels.forEach((topology, depth) => {
      const size = (depth ? 12.5 : 15) * view.ratio;
      context.font = `${depth ? 500 : 700} ${size}px ${token("--font") || "sans-serif"}`;
      const widest = [...topology.features].sort((a, b) => (b.box[2] - b.box[0]) - (a.box[2] - a.box[0]));
      for (const feature of widest) {
        if (this.skip?.has(feature.id)) continue;
        const width = context.measureText(feature.name).width;
        if (depth && (feature.box[2] - feature.box[0]) * scale < width * 0.9) continue;
        const [cx, cy] = topology.middle(feature);
        const x = (cx + topology.origin[0]) * scale - view.left * view.ratio;
        const y = (cy + topology.origin[1]) * scale - view.top * view.ratio;
        const gap = GAP * view.ratio;
        const box = [x - width / 2 - gap, y - size / 2 - gap, x + width / 2 + gap, y + size / 2 + gap];
        if (box[2] < 0 || box[3] < 0 || box[0] > view.width || box[1] > view.height) continue;
        if (taken.some((one) => one[0] < box[2] && one[2] > box[0] && one[1] < box[3] && one[3] > box[1])) continue;
        taken.push(box);
        context.lineWidth = 3.5 * view.ratio;
        context.strokeStyle = token("--map-label-halo");
        context.strokeText(feature.name, x, y);
        context.fillStyle = token(depth ? "--map-label-quiet" : "--map-label");
        context.fillText(feature.name, x, y);
      }
    });
  }
}

export function namesLayer(map, options) {
  return new NamesLayer(map, options);
}
