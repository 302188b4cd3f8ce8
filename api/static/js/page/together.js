// Points of a list on the map, each leading to its row; the place of something new by a click.

import { token } from "../map/options.js";
import { h } from "./dom.js";
import { ready } from "./ready.js";

const CLOSE_ZOOM = 16;
const page = JSON.parse(document.body.dataset.page);
const PANE = "pins"; // above the names, which would hide the marks

document.getElementById("city-choice")?.addEventListener("change", (event) => event.target.form.submit());
document.querySelector("#office [role=alert], .office-side [role=status]")?.scrollIntoView({ block: "center" });

// Nothing is sent twice by a second click; the answer brings the button back.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "true";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
// A choice narrows the list by itself; days that are typed wait for the button.
for (const form of document.querySelectorAll("form.filters")) {
  for (const control of form.querySelectorAll("[data-submits]")) {
    control.addEventListener("change", () => form.requestSubmit());
  }
  if (!form.querySelector("[type=date]")) form.querySelector("[type=submit]")?.classList.add("sr");
}

// A mark is a link: it has a name, the keyboard reaches it, and a click follows it.
function put(map, one) {
  const label = h("a", { class: `place-mark ${one.tone ? `is-${one.tone}` : ""}`, href: one.href, title: one.name }, one.text ?? "");
  label.setAttribute("aria-label", one.name);
  if (one.chosen) label.setAttribute("aria-current", "true");
  const icon = L.divIcon({ html: label, className: "", iconSize: [28, 28] });
  const mark = L.marker([one.lat, one.lon], { pane: PANE, icon, keyboard: false, zIndexOffset: one.chosen ? 1000 : 0 });
  mark.bindTooltip(h("span", {}, one.name), { direction: "top", offset: [0, -12], pane: PANE });
  return mark.addTo(map);
}

// Marks on one spot stand in a ring around it, so that each can be reached.
function apart(marks) {
  const spots = new Map();
  for (const one of marks) {
    const spot = `${one.lon.toFixed(6)} ${one.lat.toFixed(6)}`;
    spots.set(spot, [...(spots.get(spot) ?? []), one]);
  }
  return [...spots.values()].flatMap((same) => same.map((one, n) => {
    if (same.length === 1) return one;
    const [turn, reach] = [(2 * Math.PI * n) / same.length, 0.00025 + 0.00003 * same.length];
    return { ...one, lon: one.lon + reach * Math.cos(turn), lat: one.lat + reach * Math.sin(turn) };
  }));
}

// The form that takes a place: the one that is open.
function taker() {
  return [...document.querySelectorAll("[data-place]")].find((one) => one.offsetParent !== null);
}

function pick(map, stations) {
  let pin = null;
  const show = (at) => {
    pin?.remove();
    pin = L.circleMarker(at, { pane: PANE, radius: 10, color: "#000", weight: 3, fillColor: token("--accent"), fillOpacity: 0.9 }).addTo(map);
  };
  const field = (form, name) => form.querySelector(`[name=${name}]`);
  const typed = () => {
    const form = taker();
    map.getContainer().style.cursor = form ? "crosshair" : "";
    const at = form && ["lat", "lon"].map((name) => parseFloat(field(form, name).value));
    if (at?.every(Number.isFinite)) show(at);
    else { pin?.remove(); pin = null; }
  };
  const take = (latlng) => {
    const form = taker();
    if (!form) return false;
    field(form, "lon").value = latlng.lng.toFixed(6);
    field(form, "lat").value = latlng.lat.toFixed(6);
    show(latlng);
    return true;
  };
  map.on("click", ({ latlng }) => take(latlng));
  // What stands at a place gives its place as well, instead of leading away from a form half filled in.
  stations?.group.on("click", ({ layer, latlng }) => take(latlng) && layer.closePopup());
  map.getContainer().addEventListener("click", (event) => {
    const mark = event.target.closest(".place-mark");
    if (mark && take(map.mouseEventToLatLng(event))) event.preventDefault();
  }, true);
  document.addEventListener("toggle", typed, true);
  document.addEventListener("input", (event) => event.target.closest("[data-place]") && typed());
  typed();
}

if (document.querySelector(".place-map .folium-map")) {
  const { map, layers, options } = await (await import("../map/frame.js")).frame;
  const group = L.featureGroup(apart(page.marks ?? []).map((one) => put(map, one)));
  const usual = map.options.zoomSnap;
  map.options.zoomSnap = 0.25; // the first view alone: whole steps would leave much of the map empty
  if (page.view) map.setView([page.view[1], page.view[0]], CLOSE_ZOOM, { animate: false });
  else if (group.getLayers().length && !page.picking) {
    map.fitBounds(group.getBounds(), { padding: [40, 40], maxZoom: CLOSE_ZOOM, animate: false });
  } else if (options.bounds) {
    const [west, south, east, north] = options.bounds;
    map.fitBounds([[south, west], [north, east]], { padding: [12, 12], animate: false });
  }
  map.options.zoomSnap = usual;
  pick(map, layers.stations);
}
ready();
