// Service stations: marks that gather into counts when they would touch.

import { textElement } from "./options.js";

const PAGES_AT_MOST = 12;
const SVG = "http://www.w3.org/2000/svg";

function glyph() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M2.5 7.5 8 3l5.5 4.5M4 6.8V13h8V6.8M6.8 13V9.5h2.4V13");
  svg.append(path);
  return svg;
}

function stationIcon(stage) {
  const box = document.createElement("span");
  box.className = stage && stage !== "open" ? "station-mark is-later" : "station-mark";
  box.append(glyph());
  return L.divIcon({ html: box, className: "station-icon", iconSize: [26, 26] });
}

// Half the side of what a mark or a count covers, in pixels: near, from afar, and of counts.
const HALF = { near: 14, far: 8, count: 15 };

// From afar the counts stand back behind the names.
const FROM_AFAR = 16;

function clusterIcon(cluster) {
  const far = cluster._zoom < FROM_AFAR;
  const look = far ? "station-cluster is-far" : "station-cluster";
  const box = textElement("span", look, String(cluster.getChildCount()));
  return L.divIcon({ html: box, className: "station-icon", iconSize: [26, 26] });
}

function popup(properties, kinds, hours) {
  const box = document.createElement("div");
  box.className = "station-popup";
  box.append(textElement("strong", "", properties.name));
  for (const line of [
    kinds[properties.kind] ?? properties.kind,
    properties.address,
    hours(properties.open_hours ?? properties.opening_hours),
  ]) {
    if (line) box.append(textElement("span", "", line));
  }
  return box;
}

async function* pages(address) {
  let next = null;
  for (let page = 0; page < PAGES_AT_MOST; page++) {
    const answer = await fetch(next ? `${address}&after=${encodeURIComponent(next)}` : address);
    if (!answer.ok) return;
    const data = await answer.json();
    yield data.features ?? [];
    next = data.next;
    if (!next) return;
  }
}

class StationLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.group = L.markerClusterGroup({
      disableClusteringAtZoom: options.maxZoom,
      maxClusterRadius: (zoom) => (zoom < 14 ? 90 : 44),
      showCoverageOnHover: false,
      animate: false,
      iconCreateFunction: clusterIcon,
    });
    this.byId = new Map();
    this.hours = (text) => text;
    this.moved = null;
  }

  // Calls back when marks come or go.
  whenMoved(callback) {
    this.moved = callback;
  }

  // What the marks and counts of a zoom cover: [x, y, half side] in pixels of that zoom.
  places(zoom) {
    if (!this.map.hasLayer(this.group)) return [];
    const found = [];
    const at = (latlng, half) => {
      const { x, y } = this.map.project(latlng, zoom);
      found.push([x, y, half]);
    };
    const single = zoom < FROM_AFAR ? HALF.far : HALF.near;
    const walk = (cluster) => {
      for (const marker of cluster._markers) at(marker.getLatLng(), single);
      for (const child of cluster._childClusters) {
        if (child._zoom >= zoom) at(child.getLatLng(), HALF.count);
        else walk(child);
      }
    };
    if (this.group._topClusterLevel) walk(this.group._topClusterLevel);
    return found;
  }

  #marker(feature) {
    const [lon, lat] = feature.geometry.coordinates;
    const properties = feature.properties ?? {};
    const marker = L.marker([lat, lon], {
      icon: stationIcon(properties.stage),
      title: properties.name,
      alt: properties.name,
    });
    marker.bindPopup(() => popup(properties, this.options.kinds, this.hours), { maxWidth: 260 });
    this.byId.set(properties.station, marker);
    return marker;
  }

  show() {
    const size = () => this.map.getContainer().classList.toggle("is-far", this.map.getZoom() < FROM_AFAR);
    this.map.on("zoomend", size);
    size();
    this.group.addTo(this.map);
    this.moved?.();
    this.loading ??= this.#load();
    return this;
  }

  hide() {
    this.group.remove();
    this.moved?.();
  }

  async #load() {
    for await (const features of pages(this.options.address)) {
      this.group.addLayers(features.map((feature) => this.#marker(feature)));
    }
    this.moved?.();
  }

  // Opens a station's mark, out of its cluster if need be.
  focus(id) {
    const marker = this.byId.get(id);
    if (marker) this.group.zoomToShowLayer(marker, () => marker.openPopup());
    return Boolean(marker);
  }
}

export function stationLayer(map, options) {
  return new StationLayer(map, options);
}
