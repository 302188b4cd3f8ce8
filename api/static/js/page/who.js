// "Who is responsible here?": a place by click or by the device's position, answered from the leaf grid upward.

import { crumbs, dates, postRows, stationRows } from "./card.js";
import { h, icon, t } from "./dom.js";

export function whoCard(answer, page, actions) {
  const path = answer.path ?? answer.grid?.path ?? [];
  const leaf = path[path.length - 1] ?? answer.grid ?? {};
  const posts = answer.responsible ?? [];
  return [
    crumbs(path, actions.grid, page.name, actions.city),
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, t("Responsible here: %(grid)s", { grid: leaf.name ?? "–" })),
      h("button", { class: "icon-button", type: "button", title: `${t("Close")} (Esc)`, "aria-label": t("Close"), onclick: actions.city }, icon("close"))),
    h("p", { class: "card-code" }, h("span", { class: "figure" }, leaf.code ?? "")),
    h("section", {}, h("h3", {}, t("From the nearest to the highest")), postRows(posts, { withGrid: true })),
    h("div", { class: "card-actions" },
      h("button", { class: "button", type: "button", onclick: () => actions.grid(leaf.grid, leaf.level) }, t("Show this grid"))),
    h("section", {}, h("h3", {}, t("Nearest stations")), stationRows(answer.nearest_stations ?? [], page.kinds, actions.station)),
    dates(answer.as_of),
  ];
}

export function outsideCard(message, page, actions) {
  return [
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, t("This place is outside the city")),
      h("button", { class: "icon-button", type: "button", title: `${t("Close")} (Esc)`, "aria-label": t("Close"), onclick: actions.city }, icon("close"))),
    h("p", {}, message),
    h("p", { class: "quiet" }, t("Pick a place inside the borders on the map, or search for an address.")),
  ];
}

// One reading of the device's position; nothing is kept or watched.
export function positionOnce() {
  return new Promise((resolve, reject) => {
    if (!navigator.geolocation) {
      reject(new Error(t("This device gives no position. Pick the place on the map instead.")));
      return;
    }
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ lat: coords.latitude, lon: coords.longitude }),
      (error) => reject(new Error(error.code === 1
        ? t("The position may not be used. Allow it in the browser, or pick the place on the map.")
        : t("The position could not be found. Pick the place on the map instead."))),
      { enableHighAccuracy: true, timeout: 15000, maximumAge: 0 },
    );
  });
}
