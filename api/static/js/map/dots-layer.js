// Open stations as dots on one canvas: where they stand matters here, not which they are.

import { CanvasSheet } from "./canvas-sheet.js";
import { onThemeChange, token } from "./options.js";
import { project, scaleAt } from "./topology.js";

const PAGES_AT_MOST = 12;

class DotsLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.stations = [];
    this.kinds = new Set();
    this.sheet = new CanvasSheet({ pane: "marks", paint: (context, view) => this.#paint(context, view), idle: () => !this.stations.length });
    onThemeChange(() => this.sheet.repaint());
  }

  show() {
    this.sheet.addTo(this.map);
    this.loading ??= this.#load();
    return this;
  }

  narrow(kinds) {
    this.kinds = new Set(kinds);
    this.sheet.repaint();
  }

  async #load() {
    let next = "";
    for (let page = 0; page < PAGES_AT_MOST && next !== null; page++) {
      const answer = await fetch(this.options.address + (next && `&after=${encodeURIComponent(next)}`));
      if (!answer.ok) return;
      const data = await answer.json();
      for (const { geometry, properties } of data.features) {
        if (properties.stage !== "open") continue;
        this.stations.push({ ...properties, at: project(...geometry.coordinates), lonlat: geometry.coordinates });
      }
      next = data.next;
    }
    this.sheet.repaint();
  }

  #counts(station) {
    return !this.kinds.size || this.kinds.has(station.kind);
  }

  #paint(context, view) {
    const scale = scaleAt(view.zoom);
    const radius = (view.zoom < 14 ? 3 : 5) * view.ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = token("--dot");
    context.strokeStyle = token("--paper");
    context.lineWidth = 1.2 * view.ratio;
    for (const station of this.stations) {
      if (!this.#counts(station)) continue;
      context.beginPath();
      context.arc((station.at[0] * scale - view.left) * view.ratio, (station.at[1] * scale - view.top) * view.ratio, radius, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  // The station within a few pixels of a place.
  near(latlng) {
    const point = this.map.latLngToContainerPoint(latlng);
    return this.stations.filter((station) => this.#counts(station)).find(({ lonlat: [lon, lat] }) => {
      const other = this.map.latLngToContainerPoint([lat, lon]);
      return Math.hypot(other.x - point.x, other.y - point.y) < 7;
    }) ?? null;
  }
}

export function dotsLayer(map, options) {
  return new DotsLayer(map, options);
}
