// The map of a file on its way in: its shapes by what they would change, a defect before and after.

import { h, t } from "./dom.js";

const COLOURS = { new: "#0072b2", changed: "#d55e00", same: "#7b8794", gone: "#b3261e" };
const PLAIN = { color: "#8fa1b3", weight: 1.2, fill: false, interactive: false };

export class ImportMap {
  constructor(page) {
    const { L } = window;
    this.page = page;
    this.map = L.map("map", { preferCanvas: true, zoomControl: false, attributionControl: false, maxZoom: 20 });
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    const [lon, lat] = page.centre ?? [116.4, 39.9];
    if (page.bbox) this.fit(page.bbox); else this.map.setView([lat, lon], 11);
    this.ground = L.layerGroup().addTo(this.map);
    this.shapes = L.layerGroup().addTo(this.map);
    this.defect = L.layerGroup().addTo(this.map);
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

  // Shapes on the streets, a picture for each datum that they may be on.
  pictures(drawn, ranking, chosen, onChoose) {
    const words = { wgs84: "WGS 84 / CGCS2000", gcj02: "GCJ-02", bd09: "BD-09" };
    const wrong = new Map(ranking.map((one) => [one.datum, one.misfit]));
    return h("div", { class: "pictures", role: "group", "aria-label": t("Which of these lies right on the streets?") },
      drawn.map((one) => h("button", {
        type: "button", "aria-pressed": String(one.datum === chosen), onclick: () => onChoose(one.datum),
      }, picture(one), words[one.datum],
      wrong.has(one.datum) && h("small", { class: "quiet" }, t("%(n)s of 100 do not fit", { n: Math.round(wrong.get(one.datum) * 100) })))));
  }
}

function widened([west, south, east, north]) {
  return [west - 0.008, south - 0.008, east + 0.008, north + 0.008];
}

const SPAN = 0.004;

function picture({ at, shapes, streets }) {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("aria-hidden", "true");
  const [cx, cy] = at;
  const flat = Math.cos(cy * Math.PI / 180);
  const place = ([lon, lat]) => [50 + (lon - cx) / SPAN * 100 * flat, 50 - (lat - cy) / SPAN * 100];
  const draw = (line, name) => {
    const points = line.map(place);
    const path = document.createElementNS(NS, "path");
    path.setAttribute("d", points.length === 1
      ? `M${points[0][0] - 1.5},${points[0][1]}h3m-1.5,-1.5v3`
      : `M${points.map((one) => one.map((value) => value.toFixed(1)).join(",")).join("L")}`);
    path.setAttribute("class", name);
    svg.append(path);
  };
  for (const line of streets) draw(line, "of-street");
  for (const line of shapes) {
    const closed = line.length > 3 && String(line[0]) === String(line.at(-1));
    draw(line, closed ? "of-file" : "of-file is-line");
  }
  return svg;
}
