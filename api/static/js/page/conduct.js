// Pages of firms, inspected places and service points: the list's places on the map, a place picked by a click,
// forms sent once, and a rule being written with what it would give.

import { token } from "../map/options.js";
import { h } from "./dom.js";
import { openHours } from "./hours.js";
import { ready } from "./ready.js";

const CLOSE_ZOOM = 17;
const PANE = "pins"; // above the names, which would hide the marks
const FINE_STEP = 0.25;
const PAUSE_MS = 600;
const page = JSON.parse(document.body.dataset.map);

async function showPlaces() {
  if (!document.querySelector(".conduct-map")) return;
  const { map } = await (await import("../map/frame.js")).frame;
  const colours = { good: token("--good"), watch: token("--watch-fill"), bad: token("--bad") };
  const marks = L.featureGroup().addTo(map);
  for (const one of page.points) {
    const own = one.key === page.chosen;
    const mark = L.circleMarker([one.lat, one.lon], {
      pane: PANE, radius: own ? 10 : 7, color: own ? token("--map-selected") : "#fff", weight: own ? 3 : 2, fillColor: colours[one.tone] ?? token("--accent"), fillOpacity: 0.95,
    });
    mark.bindTooltip(h("span", {}, one.name), { direction: "top", offset: [0, -8] });
    mark.on("click", () => {
      const search = new URLSearchParams(location.search);
      search.set(page.param, String(one.key));
      search.delete("done");
      location.search = search;
    });
    marks.addLayer(mark);
    if (own) mark.bringToFront();
  }
  const chosen = page.points.find((one) => one.key === page.chosen);
  if (chosen) map.setView([chosen.lat, chosen.lon], CLOSE_ZOOM, { animate: false });
  else if (page.points.length) fit(map, marks.getBounds());
  if (page.picking) pick(map);
}

// As large as it fits: whole steps alone would leave much of the map empty.
function fit(map, bounds) {
  const usual = map.options.zoomSnap;
  map.options.zoomSnap = FINE_STEP;
  map.fitBounds(bounds, { padding: [30, 30], maxZoom: CLOSE_ZOOM, animate: false });
  map.options.zoomSnap = usual;
}

function pick(map) {
  const [lon, lat] = ["lon", "lat"].map((id) => document.getElementById(id));
  let pin = null;
  const put = (at) => {
    pin?.remove();
    pin = L.circleMarker(at, { pane: PANE, radius: 10, color: token("--map-selected"), weight: 3, fillColor: token("--accent"), fillOpacity: 0.9 }).addTo(map);
  };
  map.getContainer().style.cursor = "crosshair";
  map.on("click", ({ latlng }) => {
    lon.value = latlng.lng.toFixed(6);
    lat.value = latlng.lat.toFixed(6);
    put(latlng);
  });
  if (lon.value && lat.value) {
    put([Number(lat.value), Number(lon.value)]);
    map.setView([Number(lat.value), Number(lon.value)], CLOSE_ZOOM, { animate: false });
  }
}

// A second press of a button while the first is on its way would enter things twice.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "true";
  });
}
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once]").forEach((form) => delete form.dataset.sent));

function writeRule(form) {
  const list = document.getElementById("criteria");
  const blank = document.getElementById("criterion-blank");
  let n = list.querySelectorAll(".criterion").length;
  form.addEventListener("click", (event) => {
    if (event.target.closest("[data-add]")) {
      n += 1;
      const row = blank.content.cloneNode(true);
      for (const field of row.querySelectorAll("[name]")) field.name = field.name.replace("__n__", String(n));
      list.append(row);
      list.lastElementChild.querySelector("input").focus();
    } else if (event.target.closest("[data-remove]") && list.children.length > 1) {
      event.target.closest(".criterion").remove();
      tryLater();
    }
  });
  const trial = document.getElementById("try-form");
  let waiting = 0;
  let asked = null;
  const tryNow = async () => {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    const body = new URLSearchParams(new FormData(form));
    for (const [key, value] of new FormData(trial)) body.append(key, value);
    const told = document.getElementById("tried");
    told.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(trial.dataset.try, { method: "POST", body, signal, headers: { Accept: "text/html" } });
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("tried");
      if (!signal.aborted && found) told.replaceWith(document.adoptNode(found));
    } catch (error) {
      if (error.name !== "AbortError") told.removeAttribute("aria-busy");
    }
  };
  const tryLater = () => {
    clearTimeout(waiting);
    waiting = setTimeout(tryNow, PAUSE_MS);
  };
  for (const one of [form, trial.closest("aside")]) one.addEventListener("input", tryLater);
  trial.addEventListener("submit", (event) => event.preventDefault());
  tryNow();
}

const rule = document.querySelector("form[data-rule]");
if (rule) writeRule(rule);
for (const one of document.querySelectorAll("[data-hours]")) one.textContent = openHours(one.textContent);
document.getElementById("city-choice")?.addEventListener("change", (event) => event.target.form.submit());
await showPlaces();
ready();
