// Small projects on the map: a mark at each place, and the place of a new one by a click.

import { frame } from "../map/frame.js";
import { token } from "../map/options.js";
import { h } from "./dom.js";
import { ready } from "./ready.js";

const CLOSE_ZOOM = 16;
const page = JSON.parse(document.body.dataset.projects);
const { map } = await frame;
const PANE = "pins"; // above the names, which would hide the marks
const marks = L.featureGroup().addTo(map);
const colours = { finished: token("--good"), rejected: token("--bad"), under_way: token("--watch") };

for (const one of page.points) {
  const mark = L.circleMarker([one.lat, one.lon], {
    pane: PANE, radius: one.project === page.chosen ? 11 : 9, color: one.project === page.chosen ? "#000" : "#fff", weight: 2,
    fillColor: colours[one.state] ?? token("--accent"), fillOpacity: 0.95,
  });
  mark.bindTooltip(h("span", {}, one.name), { direction: "top", offset: [0, -8] });
  mark.on("click", () => {
    const search = new URLSearchParams(location.search);
    search.set("project", String(one.project));
    location.search = search;
  });
  marks.addLayer(mark);
}
const chosen = page.points.find((one) => one.project === page.chosen);
if (chosen) map.setView([chosen.lat, chosen.lon], CLOSE_ZOOM, { animate: false });
else if (page.points.length && !page.picking) map.fitBounds(marks.getBounds(), { padding: [40, 40], maxZoom: CLOSE_ZOOM, animate: false });

if (page.picking) {
  const [lon, lat] = ["lon", "lat"].map((id) => document.getElementById(id));
  let pin = null;
  const put = (at) => {
    pin?.remove();
    pin = L.circleMarker(at, { pane: PANE, radius: 10, color: "#000", weight: 3, fillColor: token("--accent"), fillOpacity: 0.9 }).addTo(map);
  };
  map.getContainer().style.cursor = "crosshair";
  map.on("click", ({ latlng }) => {
    lon.value = latlng.lng.toFixed(6);
    lat.value = latlng.lat.toFixed(6);
    put(latlng);
  });
  if (lon.value && lat.value) put([Number(lat.value), Number(lon.value)]);
}
document.getElementById("city-choice")?.addEventListener("change", (event) => event.target.form.submit());
ready();
