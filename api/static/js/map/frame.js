// Brings the frame that folium built to life: one Leaflet map for each element, layers by address.

import { optionsOf, textElement } from "./options.js";

const MAKERS = {
  net: async (map, options) => (await import("./net-layer.js")).netLayer(map, options),
  base: async (map, options) => (await import("./base-layer.js")).baseLayer(map, options),
  stations: async (map, options) => (await import("./station-layer.js")).stationLayer(map, options),
  "later-base": async (map, options) => (await import("./later-base-layer.js")).laterBaseLayer(map, options),
  squares: async (map, options) => (await import("./squares-layer.js")).squaresLayer(map, options),
  areas: async (map, options) => (await import("./areas-layer.js")).areasLayer(map, options),
  names: async (map, options) => (await import("./names-layer.js")).namesLayer(map, options),
  dots: async (map, options) => (await import("./dots-layer.js")).dotsLayer(map, options),
  raster: async (map, options) => (await import("./raster-layer.js")).rasterLayer(map, options),
};

const PANES = { raster: 180, ground: 220, squares: 300, grids: 400, above: 440, marks: 460, places: 620, signs: 630, pins: 640 };

// Steps of the first view and of the whole city: whole steps alone would leave much of the map empty.
const FINE_STEP = 0.25;

// Shows a box as large as it fits; afterwards the map goes in whole steps again.
function finely(map, show) {
  const usual = map.options.zoomSnap;
  map.options.zoomSnap = Math.min(usual, FINE_STEP);
  show();
  map.options.zoomSnap = usual;
}

export function fitFirst(map, bounds, options = {}) {
  const small = map.getSize().x < 640;
  const top = options.single ? 12 : small ? 124 : 56;
  finely(map, () => map.fitBounds([[bounds[1], bounds[0]], [bounds[3], bounds[2]]], {
    paddingTopLeft: [12, top],
    paddingBottomRight: [12, small ? options.foot ?? 12 : 12],
  }));
}

function firstView(map, options) {
  const query = new URLSearchParams(location.search);
  const [lat, lon, z] = ["lat", "lon", "z"].map((name) => parseFloat(query.get(name)));
  if ([lat, lon, z].every(Number.isFinite) && Math.abs(lat) <= 90) {
    finely(map, () => map.setView([lat, lon], Math.min(Math.max(z, options.minZoom), options.maxZoom)));
    return;
  }
  if (options.bounds) {
    fitFirst(map, options.bounds, options);
  } else {
    map.setView([0, 0], 2);
  }
}

// Leaflet's own credit line takes HTML; ours is text.
function addCredit(map, text) {
  if (!text) return;
  const credit = L.control({ position: "bottomright" });
  credit.onAdd = () => textElement("div", "map-credit", text);
  credit.addTo(map);
}

function createMap(element, options) {
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = L.map(element, {
    zoomControl: false,
    attributionControl: false,
    minZoom: options.minZoom ?? 0,
    maxZoom: options.maxZoom ?? 20,
    zoomSnap: options.zoomSnap ?? 1,
    preferCanvas: true,
    zoomAnimation: !reduced,
    fadeAnimation: false,
    inertia: !reduced,
  });
  for (const [name, order] of Object.entries(PANES)) {
    map.createPane(name).style.zIndex = String(order);
  }
  for (const name of ["raster", "ground", "squares", "grids", "above", "marks", "places", "signs", "pins"]) {
    map.getPane(name).style.pointerEvents = "none";
  }
  addCredit(map, options.attribution);
  L.control.zoom({
    position: "bottomright",
    zoomInTitle: options.zoomIn || "+",
    zoomOutTitle: options.zoomOut || "−",
  }).addTo(map);
  L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
  firstView(map, options);
  return map;
}

async function boot(element) {
  const options = optionsOf(element);
  const map = createMap(element, options);
  const layers = {};
  const holders = document.querySelectorAll(`[data-layer][data-map="${CSS.escape(element.id)}"]`);
  await Promise.all(
    [...holders].map(async (holder) => {
      layers[holder.dataset.layer] = await MAKERS[holder.dataset.layer](map, optionsOf(holder));
    }),
  );
  layers.base ??= layers["later-base"];
  layers.stations?.whenMoved?.(() => layers.base?.avoid?.((zoom) => layers.stations.places(zoom)));
  layers.net?.on("level", ({ level, leaf }) => layers.base?.setLevel(level, leaf));
  for (const [kind, layer] of Object.entries(layers)) {
    if (layer && kind !== "raster" && !(kind === "base" && layer === layers["later-base"])) layer.show();
  }
  element.dataset.ready = "true";
  return { map, layers, options, element };
}

// The crosshair and the map's outline are for those who came by keyboard.
document.addEventListener("keydown", () => document.body.classList.add("by-keyboard"), true);
document.addEventListener("pointerdown", () => document.body.classList.remove("by-keyboard"), true);

// The page's first map with its layers; a promise, since layers are modules of their own. The
// element knows it too, for those who come from outside.
const first = document.querySelector(".folium-map");
export const frame = boot(first);
first.frame = frame;
