// Fixed squares of the city's metre system: placed by the server's polynomials, filled as the page says.

import { CanvasSheet } from "./canvas-sheet.js";
import { hatch } from "./hatches.js";
import { onThemeChange, token } from "./options.js";
import { project, scaleAt } from "./topology.js";

// Degrees of a place in metres; see `placing` in the API's description.
export function degreesOf(placing, x, y) {
  const u = (x - placing.x0) / placing.reach_m;
  const v = (y - placing.y0) / placing.reach_m;
  const terms = [1, u, v, u * u, u * v, v * v, u ** 3, u * u * v, u * v * v, v ** 3];
  const sum = (parts) => terms.reduce((total, term, i) => total + term * parts[i], 0);
  return [sum(placing.lon), sum(placing.lat)];
}

class SquaresLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.squares = null;
    this.fills = [];
    this.selected = null;
    this.ground = null;
    this.sheet = new CanvasSheet({ pane: "squares", paint: (context, view) => this.#paint(context, view), idle: () => !this.ground && !this.paths });
    this.marks = new CanvasSheet({ pane: "marks", paint: (context, view) => this.#paintSelected(context, view), idle: () => this.selected === null || !this.corners });
    onThemeChange(() => this.repaint());
  }

  show() {
    this.sheet.addTo(this.map);
    this.marks.addTo(this.map);
    return this;
  }

  // squares: { side_m, placing, column, row }; the ground of the city is hatched where none of them lies.
  set(squares) {
    if (squares === this.squares) return;
    this.squares = squares;
    const { side_m: side, placing, column, row } = squares;
    const corner = new Map();
    const at = (c, r) => {
      const key = `${c},${r}`;
      let found = corner.get(key);
      if (!found) {
        const [x, y] = project(...degreesOf(placing, c * side, r * side));
        this.origin ??= [x, y];
        corner.set(key, (found = [x - this.origin[0], y - this.origin[1]]));
      }
      return found;
    };
    this.origin = null;
    this.corners = column.map((c, i) => {
      const r = row[i];
      return [at(c, r), at(c + 1, r), at(c + 1, r + 1), at(c, r + 1)];
    });
    this.index = new Map(column.map((c, i) => [`${c},${row[i]}`, i]));
    this.selected = null;
  }

  // fills: for each square a colour, or "hatch:few" and its like, or null for nothing.
  fill(fills) {
    this.fills = fills;
    const paths = new Map();
    fills.forEach((fill, i) => {
      if (!fill) return;
      if (!paths.has(fill)) paths.set(fill, new Path2D());
      const path = paths.get(fill);
      this.corners[i].forEach(([x, y], n) => (n ? path.lineTo(x, y) : path.moveTo(x, y)));
      path.closePath();
    });
    this.paths = paths;
    this.repaint();
  }

  repaint() {
    this.sheet.repaint();
    this.marks.repaint();
  }

  #place(context, view, origin) {
    const scale = scaleAt(view.zoom);
    const k = scale * view.ratio;
    const [dx, dy] = [origin[0] * scale - view.left, origin[1] * scale - view.top];
    context.setTransform(k, 0, 0, k, dx * view.ratio, dy * view.ratio);
    return k;
  }

  #paint(context, view) {
    if (this.ground) this.#paintGround(context, view);
    if (!this.paths?.size) return;
    const k = this.#place(context, view, this.origin);
    const paper = token("--map-ground");
    context.lineWidth = view.ratio / k;
    context.strokeStyle = token("--square-edge") || "rgba(255,255,255,.8)";
    for (const [fill, path] of this.paths) {
      if (fill.startsWith("hatch:")) {
        context.fillStyle = paper;
        context.fill(path);
        context.fillStyle = hatch(context, fill.slice(6), k);
        context.fill(path);
      } else {
        context.globalAlpha = this.options.opacity ?? 0.9;
        context.fillStyle = fill;
        context.fill(path);
        context.globalAlpha = 1;
      }
      context.stroke(path);
    }
  }

  #paintGround(context, view) {
    const detail = this.ground.detail(view.zoom);
    const k = this.#place(context, view, this.ground.origin);
    for (const feature of this.ground.features) {
      const path = this.ground.path(feature, detail);
      context.fillStyle = token("--map-ground");
      context.fill(path, "evenodd");
      context.fillStyle = hatch(context, "nobody", k);
      context.fill(path, "evenodd");
    }
  }

  #paintSelected(context, view) {
    if (this.selected === null || !this.corners) return;
    const k = this.#place(context, view, this.origin);
    const path = new Path2D();
    this.corners[this.selected].forEach(([x, y], n) => (n ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
    for (const [width, ink] of [[5, token("--map-halo")], [3, token("--map-selected")]]) {
      context.lineWidth = (width * view.ratio) / k;
      context.strokeStyle = ink;
      context.stroke(path);
    }
  }

  // The square under a place; null where there is none.
  at(latlng) {
    if (!this.corners) return null;
    const [px, py] = project(latlng.lng, latlng.lat);
    const [x, y] = [px - this.origin[0], py - this.origin[1]];
    const found = this.corners.findIndex(([[x0, y0], , [x1, y1]]) =>
      x >= Math.min(x0, x1) && x < Math.max(x0, x1) && y >= Math.min(y0, y1) && y < Math.max(y0, y1));
    return found < 0 ? null : found;
  }

  select(i) {
    this.selected = i;
    this.marks.repaint();
  }

  bounds(i) {
    const { side_m: side, placing, column, row } = this.squares;
    const [west, south] = degreesOf(placing, column[i] * side, row[i] * side);
    const [east, north] = degreesOf(placing, (column[i] + 1) * side, (row[i] + 1) * side);
    return [west, south, east, north];
  }
}

export function squaresLayer(map, options) {
  return new SquaresLayer(map, options);
}
