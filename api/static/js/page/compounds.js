// Compounds beside grids: drawn by how they lie to each other, and the card of one of them.

import { onThemeChange, token } from "../map/options.js";
import { dates, tile } from "./card.js";
import { h, icon, number, t } from "./dom.js";

const PAGES_AT_MOST = 10;
const SIGNS = { larger: "▲", equal: "=", smaller: "▽", crossing: "✕" };

export const relationWords = () => ({
  larger: t("larger than the grids in it"), equal: t("is one grid"), smaller: t("part of a larger grid"), crossing: t("crosses borders of grids"),
});

const types = () => ({
  commodity: t("commodity housing"), commercial_housing: t("commodity housing"), old: t("old estate"), old_estate: t("old estate"), resettled: t("resettlement"), seasonal: t("seasonal homes"),
});
export const typeWord = (code) => types()[code] ?? code;

export function relationChip(relation) {
  if (!relation) return null;
  return h("span", { class: `chip relation is-${relation}` }, `${SIGNS[relation]} ${relationWords()[relation]}`);
}

// The layer is fetched when somebody switches it on.
export class Relations {
  constructor(map, api, onCompound, onError) {
    Object.assign(this, { map, api, onCompound, onError });
    onThemeChange(() => this.group?.setStyle((feature) => this.#style(feature)));
  }

  async toggle(on) {
    if (!on) {
      this.group?.remove();
      return;
    }
    try {
      this.group ??= L.geoJSON(await this.#features(), {
        renderer: L.canvas({ pane: "above" }), pane: "above", bubblingMouseEvents: false, style: (feature) => this.#style(feature),
        onEachFeature: ({ properties }, shape) => shape.on("click", () => this.onCompound(properties.compound)),
      });
      this.group.addTo(this.map);
    } catch (error) {
      this.onError(error);
    }
  }

  async #features() {
    const all = [];
    let after = null;
    for (let page = 0; page < PAGES_AT_MOST; page++) {
      const answer = await this.api.get("/compounds", { f: "geojson", limit: 1000, after });
      all.push(...answer.features);
      after = answer.next;
      if (!after) break;
    }
    return all;
  }

  #style({ properties }) {
    const colour = token(`--relation-${properties.relation ?? "none"}`);
    return { color: colour, weight: 2.5, fillColor: colour, fillOpacity: 0.28, dashArray: properties.firm ? null : "5 4" };
  }
}

export function relationLegend() {
  return h("div", { class: "row relation-legend" }, Object.keys(SIGNS).map(relationChip), h("span", { class: "item quiet" }, t("dashed: without a property firm")));
}

const percent = (share) => (share === null ? "–" : `${number(Math.round(share * 100))} %`);

export function compoundCard(card, page, actions) {
  return [
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, card.name),
      h("button", { class: "icon-button", type: "button", title: `${t("Close")} (Esc)`, "aria-label": t("Close"), onclick: actions.city }, icon("close"))),
    h("p", { class: "card-code" }, h("span", {}, t("Compound")), card.community_type ? h("span", { class: "chip" }, typeWord(card.community_type)) : null),
    h("p", {}, relationChip(card.relation)),
    h("div", { class: "tiles" }, tile(t("Households"), number(card.households)), tile(t("Grids"), number(card.grids))),
    h("section", {}, h("h3", {}, t("Who manages it")), h("table", { class: "rows" }, h("tbody", {},
      h("tr", {}, h("td", {}, t("Property firm")), h("td", {}, card.firm_name ?? h("span", { class: "chip is-watch" }, t("none")))),
      h("tr", {}, h("td", {}, t("Owners' committee")), h("td", {}, card.committee_name ?? h("span", { class: "chip is-watch" }, t("none"))))))),
    card.parts.length ? h("section", {}, h("h3", {}, t("Grids that hold it")), h("table", { class: "rows" },
      h("thead", {}, h("tr", {}, [t("Grid"), t("of the compound"), t("of the grid")].map((word, place) => h("th", { scope: "col", class: place ? "number" : null }, word)))),
      h("tbody", {}, card.parts.map((one) => h("tr", {},
        h("td", {}, h("button", { class: "link", type: "button", onclick: () => actions.grid(one.grid, one.level) }, one.name)),
        h("td", { class: "number" }, percent(one.share_of_compound)), h("td", { class: "number" }, percent(one.share_of_grid))))))) : null,
    h("div", { class: "card-actions" }, h("a", { class: "button", href: `/compounds?${new URLSearchParams({ city: page.slug })}` }, t("All compounds"))),
    dates(card.as_of),
  ];
}
