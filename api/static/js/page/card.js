// The card of one grid: where it belongs, its figures, who is responsible, the nearest stations, what lies inside.

import { area, distance, h, icon, isChinese, number, t, vintageName } from "./dom.js";
import { openHours } from "./hours.js";

const KINDS = () => ({ dedicated: t("dedicated grid"), reserve: t("reserve grid") });

export function crumbs(path, onGrid, cityName, onCity) {
  return h("ol", { class: "crumbs", "aria-label": t("Belongs to") },
    h("li", {}, h("button", { class: "link", type: "button", onclick: onCity }, cityName)),
    path.slice(0, -1).map((step) =>
      h("li", {}, h("button", { class: "link", type: "button", onclick: () => onGrid(step.grid, step.level) }, step.name))));
}

export function tile(word, value, { unit = "", note = "" } = {}) {
  return h("div", { class: "tile" },
    h("span", {}, word),
    h("b", {}, value, unit ? h("small", {}, unit) : null),
    note ? h("small", {}, note) : null);
}

const roleOf = (post) => (isChinese ? post.role_name : post.role_name_en || post.role_name) ?? post.role;

// Posts of one grid, or of a line of grids, each then named.
export function postRows(posts, { withGrid = false } = {}) {
  if (!posts?.length) return h("p", { class: "quiet" }, t("No post is set up in this grid."));
  return h("table", { class: "rows" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("Role")), h("th", { scope: "col" }, t("Duty number")))),
    h("tbody", {}, posts.map((post) => h("tr", {},
      h("td", {}, roleOf(post), post.part_time ? [" ", h("span", { class: "chip" }, t("part-time"))] : null,
        withGrid && post.grid_name ? h("div", { class: "quiet small" }, post.grid_name) : null),
      h("td", {}, post.vacant
        ? h("span", { class: "chip is-watch" }, t("vacant"))
        : [h("b", { class: "figure" }, post.duty_number ?? "–"), post.name ? ` ${post.name}` : null])))));
}

const STATIONS_AT_FIRST = 5;

export function stationRows(stations, kinds, onStation) {
  if (!stations?.length) return h("p", { class: "quiet" }, t("No station nearby."));
  const row = (station) => h("li", {},
    h("button", { class: "link", type: "button", onclick: () => onStation(station) }, station.name),
    h("span", { class: "far" }, station.inside ? t("inside") : distance(station.distance_m)),
    h("small", {}, [kinds[station.kind] ?? station.kind, station.address].filter(Boolean).join(" · ")),
    station.open_hours ? h("small", {}, openHours(station.open_hours)) : null);
  const rest = stations.slice(STATIONS_AT_FIRST);
  return [
    h("ul", { class: "stack" }, stations.slice(0, STATIONS_AT_FIRST).map(row)),
    rest.length
      ? h("details", { class: "more" }, h("summary", {}, t("%(n)s more", { n: rest.length })), h("ul", { class: "stack" }, rest.map(row)))
      : null,
  ];
}

function vintageRows(rows) {
  if (!rows || rows.length < 2) return null;
  return h("section", {}, h("h3", {}, t("Households by count")),
    h("table", { class: "rows" }, h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", {}, vintageName(row), " ",
        row.seasonal ? h("span", { class: "chip" }, t("seasonal")) : null, " ",
        row.estimated ? h("span", { class: "chip" }, t("estimated")) : null),
      h("td", { class: "number" }, h("b", {}, number(row.households ?? row.value))))))));
}

function childRows(children, onGrid) {
  const items = Array.isArray(children) ? children : children?.items;
  if (!items?.length) return null;
  return h("section", {}, h("h3", {}, t("Grids inside"), h("small", {}, number(children.count ?? items.length))),
    h("ul", { class: "tree" }, items.slice(0, 60).map((child) => h("li", {},
      h("button", { class: "link", type: "button", onclick: () => onGrid(child.grid, child.level) }, child.name),
      child.vacant_posts ? h("span", { class: "chip is-watch" }, t("%(n)s vacant", { n: child.vacant_posts })) : null,
      h("span", { class: "number" }, child.households === null ? "–" : t("%(n)s households", { n: number(child.households) }))))));
}

// Names and codes that the net states wrongly: it is never edited, what is right stands beside it.
function errataRows(errata) {
  if (!errata?.length) return null;
  return h("section", {}, h("h3", {}, t("Errata")),
    h("ul", { class: "stack" }, errata.map((one) => h("li", {},
      one.field === "code"
        ? t("Its code should read %(correct)s, not %(stated)s.", one)
        : t("Its name should read %(correct)s, not %(stated)s.", one),
      h("small", {}, one.reason)))));
}

// Where the posts of a grid stand, and whether somebody holds each of them.
function postsNote(here, all, vacant) {
  const below = all - here;
  const where = below > 0 ? t("%(n)s here, %(m)s below", { n: number(here), m: number(below) }) : "";
  const held = vacant ? h("span", { class: "chip is-watch" }, t("%(n)s vacant", { n: vacant })) : all ? t("all filled") : null;
  return where && held ? [where, " · ", held] : [where || held];
}

export function gridCard(card, page, actions) {
  const kind = KINDS()[card.kind];
  const posts = Array.isArray(card.posts) ? card.posts : [];
  const vacant = posts.filter((post) => post.vacant).length;
  const allVacant = card.vacant_posts ?? vacant;
  const earlier = [...new Set((card.names ?? []).map((one) => one.name))].filter((name) => name !== card.name);
  const stations = Array.isArray(card.stations) ? card.stations : [];
  const [ground, unit] = area(card.area_m2);
  return [
    crumbs(card.path ?? [], actions.grid, page.name, actions.city),
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, card.name),
      h("button", { class: "icon-button", type: "button", title: `${t("Close")} (Esc)`, "aria-label": t("Close"), onclick: actions.city }, icon("close"))),
    h("p", { class: "card-code" }, h("span", { class: "figure" }, card.code ?? t("no code yet")), kind ? h("span", { class: "chip" }, kind) : null,
      earlier.length ? h("span", {}, t("Earlier: %(names)s", { names: earlier.join(", ") })) : null),
    h("div", { class: "tiles" },
      tile(t("Households"), number(card.households), { note: card.households_withheld ? t("Few households here: the count is for the city's staff") : "" }),
      tile(t("Buildings"), number(card.buildings)),
      tile(t("Area"), ground, { unit }),
      tile(t("Posts"), number(card.post_count ?? posts.length), { note: postsNote(posts.length, card.post_count ?? posts.length, allVacant) })),
    h("div", { class: "card-actions" },
      h("button", { class: "button", type: "button", onclick: actions.zoom }, icon("zoom"), t("Zoom to")),
      h("button", { class: "button", type: "button", onclick: actions.link }, icon("link"), t("Copy link")),
      h("a", { class: "button", href: actions.printAddress }, icon("print"), t("Print"))),
    errataRows(card.errata),
    card.limits ? h("section", {}, h("h3", {}, t("Limits")), h("p", { class: "limits" }, isChinese ? card.limits.zh : card.limits.en)) : null,
    h("section", {}, h("h3", {}, t("Who is responsible"), vacant ? h("span", { class: "chip is-watch" }, t("%(n)s vacant", { n: vacant })) : null), postRows(posts)),
    h("section", {}, h("h3", {}, t("Nearest stations")), stationRows(stations, page.kinds, actions.station)),
    childRows(card.children, actions.grid),
    vintageRows(card.households_by_vintage ?? card.vintages),
    dates(card.as_of),
  ];
}

export function dates(asOf) {
  if (!asOf?.net) return null;
  const values = { seq: asOf.net.seq, date: asOf.net.effective_from, vintage: asOf.vintage ?? "–" };
  return h("p", { class: "quiet small" }, asOf.estimated
    ? [t("Net %(seq)s, in force from %(date)s; households of %(vintage)s", values), " ", h("span", { class: "chip" }, t("estimated"))]
    : t("Net %(seq)s, in force from %(date)s; households as counted %(vintage)s.", values));
}
