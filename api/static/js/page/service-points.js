// Volunteers' service points on the map of stations: marks of their own, and a list with hours and offers.

import { h, number, t } from "./dom.js";
import { token } from "../map/options.js";
import { openHours } from "./hours.js";

const CLOSE_ZOOM = 17;

export class ServicePoints {
  constructor(map, page) {
    this.map = map;
    this.page = page;
    this.items = [];
    this.marks = L.layerGroup().addTo(map);
  }

  async load() {
    const answer = await fetch(`${this.page.api}/service-points`).catch(() => null);
    if (!answer?.ok) return;
    this.items = (await answer.json()).items;
    for (const one of this.items) {
      const mark = L.circleMarker([one.lat, one.lon], { radius: 7, weight: 3, color: token("--watch-fill"), fillColor: token("--paper"), fillOpacity: 1, pane: "pins" });
      mark.bindPopup(() => this.#card(one), { maxWidth: 260 }).addTo(this.marks);
      one.mark = mark;
    }
  }

  offers(one) {
    return one.offers.map((offer) => this.page.offers?.[offer] ?? offer).join("、");
  }

  #card(one) {
    return h("div", { class: "station-popup" }, h("strong", {}, one.name), h("span", {}, this.offers(one)),
      one.address ? h("span", {}, one.address) : null, one.open_hours ? h("span", {}, openHours(one.open_hours)) : null);
  }

  // What stands in the panel; nothing where there is no point.
  section() {
    if (!this.items.length) return null;
    const seen = (one) => {
      this.map.setView([one.lat, one.lon], Math.max(this.map.getZoom(), CLOSE_ZOOM));
      one.mark.openPopup();
    };
    return h("section", {}, h("h3", {}, t("Volunteers' service points"), h("small", {}, t("ringed on the map"))),
      h("ul", { class: "service-points" }, this.items.map((one) => h("li", {},
        h("button", { class: "link", type: "button", onclick: () => seen(one) }, one.name),
        h("small", { class: "quiet" }, [this.offers(one), one.open_hours && openHours(one.open_hours),
          one.helped === null ? null : t("helped %(n)s times in twelve months", { n: number(one.helped) })].filter(Boolean).join(" · "))))));
  }
}
