// The map of a file on its way in: its shapes by what they would change, a defect before and after.

import { h, t } from "./dom.js";

const COLOURS = { new: "#0072b2", changed: "#d55e00", same: "#7b8794", gone: "#b3261e" };
const PLAIN = { color: "#8fa1b3", weight: 1.2, fill: false, interactive: false };

// Approximate offset that Chinese web maps add to a place (GCJ-02), and BD-09 on top of it: for pictures alone.
function shift(lon, lat) {
  const x = lon - 105;
  const y = lat - 35;
  const wave = (20 * Math.sin(6 * x * Math.PI) + 20 * Math.sin(2 * x * Math.PI)) * 2 / 3;
  const south = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x)) + wave
    + (20 * Math.sin(y * Math.PI) + 40 * Math.sin(y / 3 * Math.PI)) * 2 / 3
    + (160 * Math.sin(y / 12 * Math.PI) + 320 * Math.sin(y * Math.PI / 30)) * 2 / 3;
  const east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x)) + wave
    + (20 * Math.sin(x * Math.PI) + 40 * Math.sin(x / 3 * Math.PI)) * 2 / 3
    + (150 * Math.sin(x / 12 * Math.PI) + 300 * Math.sin(x / 30 * Math.PI)) * 2 / 3;
  const sine = Math.sin(lat * Math.PI / 180);
  const magic = 1 - 0.00669342162296594323 * sine * sine;
  return [
    east * 180 / (6378245 / Math.sqrt(magic) * Math.cos(lat * Math.PI / 180) * Math.PI),
    south * 180 / (6378245 * (1 - 0.00669342162296594323) / (magic * Math.sqrt(magic)) * Math.PI),
  ];
}

const BACK = {
  wgs84: (lon, lat) => [lon, lat],
  gcj02: (lon, lat) => { const [x, y] = shift(lon, lat); return [lon - x, lat - y]; },
  bd09: (lon, lat) => {
    const [x, y] = [lon - 0.0065, lat - 0.006];
    const far = Math.hypot(x, y) - 0.00002 * Math.sin(y * Math.PI * 3000 / 180);
    const turn = Math.atan2(y, x) - 0.000003 * Math.cos(x * Math.PI * 3000 / 180);
    return BACK.gcj02(far * Math.cos(turn), far * Math.sin(turn));
  },
};

export class ImportMap {
  constructor(page) {
    const { L } = window;
    this.page = page;
    this.map = L.map("map", { preferCanvas: true, zoomControl: true, attributionControl: false, maxZoom: 20 });
    const [lon, lat] = page.centre ?? [116.4, 39.9];
    if (page.bbox) this.fit(page.bbox); else this.map.setView([lat, lon], 11);
    this.ground = L.layerGroup().addTo(this.map);
    this.shapes = L.layerGroup().addTo(this.map);
    this.defect = L.layerGroup().addTo(this.map);
    this.streets = null;
  }

  fit([west, south, east, north], maxZoom = 17) {
    this.map.fitBounds([[south, west], [north, east]], { padding: [24, 24], maxZoom, animate: false });
  }

  // The streets and borders that stand, for comparison.
  async showGround(api, bbox) {
    if (!this.page.hasNet || !bbox) return;
    const around = widened(bbox).map((value) => value.toFixed(6)).join(",");
    const ask = (path, query) => api.get(path, { f: "geojson", bbox: around, ...query }).catch(() => null);
    const [streets, grids] = await Promise.all([
      ask("/streets", { limit: 1000 }), ask("/grids", { limit: 300, level: Math.min(2, this.page.levels.length) }),
    ]);
    this.ground.clearLayers();
    for (const [found, style] of [[streets, PLAIN], [grids, { ...PLAIN, color: "#2b3646", weight: 1.5 }]]) {
      if (found?.features) window.L.geoJSON(found, { style }).addTo(this.ground);
    }
    this.streets = streets?.features ?? null;
  }

  clear() {
    for (const layer of [this.shapes, this.defect]) layer.clearLayers();
    document.getElementById("legend").hidden = true;
    document.getElementById("empty").hidden = false;
  }

  showPlace(bbox, name) {
    const [west, south, east, north] = bbox;
    this.clear();
    document.getElementById("empty").hidden = true;
    const style = { color: COLOURS.new, weight: 2, dashArray: "6 5", fillOpacity: 0.06 };
    window.L.rectangle([[south, west], [north, east]], style).bindTooltip(h("span", {}, name)).addTo(this.shapes);
    this.fit(bbox, 16);
  }

  showShapes(collection, bbox) {
    const { L } = window;
    this.shapes.clearLayers();
    this.defect.clearLayers();
    document.getElementById("empty").hidden = collection.features.length > 0;
    const style = (feature) => {
      const color = COLOURS[feature?.properties?.state] ?? COLOURS.new;
      return { color, weight: 1.6, fillColor: color, fillOpacity: 0.25 };
    };
    L.geoJSON(collection, {
      style,
      pointToLayer: (feature, at) => L.circleMarker(at, { ...style(feature), radius: 5, fillOpacity: 0.8 }),
      onEachFeature: (feature, layer) => layer.bindTooltip(h("span", {}, feature.properties.label || String(feature.id))),
    }).addTo(this.shapes);
    const there = new Set(collection.features.map((one) => one.properties.state));
    const words = { new: t("new"), changed: t("changed"), same: t("the same") };
    const legend = document.getElementById("legend");
    legend.replaceChildren(...Object.keys(words).filter((one) => there.has(one)).map((one) => {
      const swatch = h("span", { class: "swatch" });
      swatch.style.borderColor = COLOURS[one];
      return h("span", { class: "item" }, swatch, words[one]);
    }));
    if (collection.shown < collection.of) {
      legend.append(h("span", { class: "item quiet" }, t("%(n)s of %(m)s shapes are shown", { n: collection.shown, m: collection.of })));
    }
    legend.hidden = false;
    if (bbox) this.fit(bbox);
  }

  // A finding: its place, its shape, or the area before (dashed) and after.
  showDefect(one, which = "after") {
    const { L } = window;
    this.defect.clearLayers();
    const drawn = [];
    const add = (shape, style) => shape && drawn.push(L.geoJSON(shape, { style }).addTo(this.defect));
    if (one.before) {
      add(one.before, { color: COLOURS.gone, weight: 2, dashArray: "5 5", fillOpacity: which === "before" ? 0.3 : 0 });
      add(one.after, { color: "#2a7f62", weight: 2.5, fillOpacity: which === "after" ? 0.3 : 0 });
    }
    add(one.shape, { color: COLOURS.gone, weight: 3, fillOpacity: 0.5 });
    const at = one.lat === undefined ? null : [one.lat, one.lon];
    if (at) L.circleMarker(at, { radius: 11, color: "#000", weight: 2, fill: false }).addTo(this.defect);
    const bounds = drawn.reduce((all, layer) => all.extend(layer.getBounds()), L.latLngBounds(at ? [at] : []));
    if (bounds.isValid()) this.map.fitBounds(bounds, { maxZoom: 19, padding: [60, 60], animate: false });
  }

  // Three pictures of shapes that were read as WGS 84, on the streets: one for each datum.
  pictures(collection, chosen, onChoose) {
    const sample = middleOf(collection.features).slice(0, 40);
    const words = { wgs84: "WGS 84 / CGCS2000", gcj02: "GCJ-02", bd09: "BD-09" };
    return h("div", { class: "pictures", role: "group", "aria-label": t("Which of these lies right on the streets?") },
      Object.keys(words).map((datum) => h("button", {
        type: "button", "aria-pressed": String(datum === chosen), onclick: () => onChoose(datum),
      }, picture(sample, this.streets ?? [], BACK[datum]), words[datum])));
  }
}

function widened([west, south, east, north]) {
  return [west - 0.008, south - 0.008, east + 0.008, north + 0.008];
}

function corners(geometry) {
  const found = [];
  const walk = (part) => (typeof part[0] === "number" ? found.push(part) : part.forEach(walk));
  walk(geometry.coordinates);
  return found;
}

// The features nearest to the middle one, so that a picture has a scale at which one can see.
function middleOf(features) {
  const placed = features.map((one) => [one, corners(one.geometry)[0]]).filter(([, at]) => at);
  if (!placed.length) return [];
  const [, [x, y]] = placed[Math.floor(placed.length / 2)];
  return placed.sort(([, a], [, b]) => Math.hypot(a[0] - x, a[1] - y) - Math.hypot(b[0] - x, b[1] - y)).map(([one]) => one);
}

const SPAN = 0.006;

function picture(features, streets, turn) {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  if (!features.length) return svg;
  const [cx, cy] = turn(...corners(features[0].geometry)[0]);
  const flat = Math.cos(cy * Math.PI / 180);
  const place = ([lon, lat]) => [50 + (lon - cx) / SPAN * 100 * flat, 50 - (lat - cy) / SPAN * 100];
  const draw = (points, name, close) => {
    const path = document.createElementNS(NS, "path");
    path.setAttribute("d", points.length === 1
      ? `M${points[0][0] - 1.5},${points[0][1]}h3m-1.5,-1.5v3`
      : `M${points.map((at) => at.map((value) => value.toFixed(1)).join(",")).join("L")}${close ? "Z" : ""}`);
    path.setAttribute("class", name);
    svg.append(path);
  };
  for (const one of streets) draw(corners(one.geometry).map(place), "of-street", false);
  for (const one of features) {
    draw(corners(one.geometry).map((at) => place(turn(...at))), "of-file", one.geometry.type.includes("Polygon"));
  }
  return svg;
}
