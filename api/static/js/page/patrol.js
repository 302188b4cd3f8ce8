// The own zone: its grids on the map, open requests by distance, posts, stations.

import { frame } from "../map/frame.js";
import { Api } from "./api.js";
import { postRows, stationRows } from "./card.js";
import { distance, h, isChinese, number, say, t } from "./dom.js";
import { positionOnce } from "./who.js";
import { ready } from "./ready.js";

const SHOWN = 20;
const EARTH_RADIUS_M = 6371008.8;
const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const api = new Api(page);
const body = byId("panel-body");
const zone = page.zone[0];
const state = { origin: { lon: zone.middle[0], lat: zone.middle[1] }, own: false, issues: [], cards: [], marks: [], on: null };

const STATES = {
  reported: t("reported"), accepted: t("accepted"), verified: t("verified"), registered: t("registered"), dispatched: t("dispatched"),
  handled: t("handled"), checked: t("checked"), returned: t("returned"), reworked: t("reworked"), postponed: t("postponed"),
  suspended: t("suspended"), parked: t("on account"),
};
const TONES = { returned: "is-watch", reworked: "is-watch", postponed: "is-watch" };

const answers = Promise.all([
  Promise.all(page.zone.map((own) => api.get(`/grids/${own.grid}`))),
  Promise.all(page.zone.map((own) => api.get("/issues", { grid: own.grid, open: true, set_aside: "none", limit: 200 }))),
]);
const { map, layers } = await frame;

function metres(a, b) {
  const rad = Math.PI / 180;
  const [lat1, lat2] = [a.lat * rad, b.lat * rad];
  const part = Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin(((b.lon - a.lon) * rad) / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(part));
}

const days = (issue) => Math.max(0, Math.floor((Date.now() - Date.parse(issue.reported_at)) / 864e5));
const kindOf = (issue) => (isChinese ? issue.category_name : issue.category_name_en || issue.category_name);

function mark(issue, place) {
  const dot = h("span", { class: issue.issue === state.on ? "place-mark is-on" : "place-mark" }, String(place));
  const marker = L.marker([issue.lat, issue.lon], {
    icon: L.divIcon({ html: dot, className: "station-icon", iconSize: [28, 28] }),
    title: kindOf(issue),
    alt: `${place} ${kindOf(issue)}`,
  });
  marker.on("click", () => choose(issue));
  return marker.addTo(map);
}

function choose(issue) {
  state.on = issue.issue;
  map.setView([issue.lat, issue.lon], Math.max(map.getZoom(), 17));
  draw();
  say(kindOf(issue));
}

function issueRow(issue, place) {
  return h("li", {}, h("button", { type: "button", "aria-current": issue.issue === state.on ? "true" : null, onclick: () => choose(issue) },
    h("span", { class: "place" }, String(place)),
    h("b", {}, kindOf(issue)),
    h("span", { class: `chip ${TONES[issue.state] ?? ""}` }, STATES[issue.state] ?? issue.state),
    h("small", {}, [issue.grid_name, distance(metres(state.origin, issue)), t("reported %(n)s days ago", { n: number(days(issue)) })].filter(Boolean).join(" · "))));
}

function draw() {
  const near = [...state.issues].sort((a, b) => metres(state.origin, a) - metres(state.origin, b));
  for (const marker of state.marks) marker.remove();
  state.marks = near.slice(0, SHOWN).map((issue, i) => mark(issue, i + 1));
  const posts = state.cards.flatMap((card) => card.posts);
  const seen = new Set();
  const stations = state.cards.flatMap((card) => card.stations).filter((one) => !seen.has(one.station) && seen.add(one.station))
    .map((one) => ({ ...one, distance_m: metres(state.origin, one) })).sort((a, b) => a.distance_m - b.distance_m).slice(0, 6);
  body.replaceChildren(
    h("section", {}, h("h3", {}, t("Open requests near by"), h("small", {}, state.own ? t("from your position") : t("from the middle of the zone"))),
      near.length ? h("ol", { class: "near" }, near.slice(0, SHOWN).map((issue, i) => issueRow(issue, i + 1))) : h("p", { class: "notice" }, t("No open request in your zone.")),
      near.length > SHOWN ? h("p", { class: "quiet small" }, t("the nearest %(n)s of %(all)s", { n: SHOWN, all: number(near.length) })) : ""),
    h("section", {}, h("h3", {}, t("Posts")), postRows(posts, { withGrid: state.cards.length > 1 })),
    h("section", {}, h("h3", {}, t("Nearest stations")), stationRows(stations, page.kinds, (one) => map.setView([one.lat, one.lon], 17))),
    h("p", {}, h("a", { class: "button", href: `/net?${new URLSearchParams({ city: page.slug, grid: zone.grid })}` }, t("Show this grid"))),
    h("p", { class: "quiet small" }, t("Net %(seq)s, in force from %(date)s; households as counted %(vintage)s.", {
      seq: state.cards[0].as_of.net.seq, date: state.cards[0].as_of.net.effective_from, vintage: state.cards[0].as_of.vintage ?? "–" })));
}

function message(text) {
  byId("mode").hidden = !text;
  byId("mode").textContent = text ?? "";
}

async function locate() {
  message(t("Finding your position …"));
  try {
    state.origin = await positionOnce();
    state.own = true;
    message(null);
    draw();
    map.setView([state.origin.lat, state.origin.lon], Math.max(map.getZoom(), 16));
    L.circleMarker([state.origin.lat, state.origin.lon], { radius: 8, weight: 3, color: getComputedStyle(body).getPropertyValue("--paper"), fillColor: getComputedStyle(body).getPropertyValue("--accent"), fillOpacity: 1, interactive: false }).addTo(map);
  } catch (error) {
    message(error.message);
    setTimeout(() => message(null), 5000);
  }
}

function wholeZone() {
  const boxes = state.cards.map((card) => card.bbox);
  const edge = (i, pick) => pick(...boxes.map((box) => box[i]));
  map.fitBounds([[edge(1, Math.min), edge(0, Math.min)], [edge(3, Math.max), edge(2, Math.max)]], { padding: [24, 24], maxZoom: 18 });
}

async function paintZone() {
  const level = Math.max(...page.zone.map((own) => own.level));
  const leaf = layers.net.steps.some((step) => step.level === level + 1) && page.zone.length === 1 ? level + 1 : level;
  layers.net.setLevel(leaf);
  const shapes = await layers.net.load(level);
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  layers.areas.set(shapes, new Map(page.zone.map((own) => [own.grid, accent])));
  layers.names.set([shapes], page.zone.map((own) => own.grid));
  if (page.zone.length === 1) await layers.net.select(zone.grid, level);
}

byId("locate").addEventListener("click", locate);
byId("whole-zone").addEventListener("click", wholeZone);
const painted = paintZone();
try {
  const [cards, issues] = await answers;
  state.cards = cards;
  state.issues = issues.flatMap((one) => one.items);
  wholeZone();
  draw();
} catch (error) {
  body.replaceChildren(h("p", { class: "notice is-bad", role: "alert" }, error.message),
    h("button", { class: "button", type: "button", onclick: () => location.reload() }, t("Try again")));
}
await painted;
ready();
