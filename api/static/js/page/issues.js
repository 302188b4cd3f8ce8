// The desk of issues: what is due first, list and map side by side, one at a time or many at once.

import { frame } from "../map/frame.js";
import { token } from "../map/options.js";
import { read, write } from "./address.js";
import { h, number, say, t } from "./dom.js";
import { BULK, actButtons } from "./issue-acts.js";
import { due, issueCard } from "./issue-card.js";
import { helpDialog, keyboard } from "./keys.js";
import { filesDialog, live, textsDialog } from "./issue-tools.js";
import { ready } from "./ready.js";
import { ask } from "./reports.js";

const LIMIT = 100;
const KEPT = ["held", "q", "category", "grid", "state", "organisation", "from", "to"];
const FIELDS = ["q", "category", "state", "organisation", "from", "to"];
const CLOSE_ZOOM = 17;
const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const { map } = await frame;
const marks = L.layerGroup().addTo(map);
const chosen = new Set();
let rows = [];
let next = null;
let open = null;
let turn = 0;
let stamp = null;
let shownVersion = null;

const box = () => read("box") ?? "all";

function query(more = {}) {
  const search = new URLSearchParams({ limit: String(LIMIT), box: box() });
  for (const name of KEPT) if (read(name)) search.set(name, read(name));
  for (const [name, value] of Object.entries(more)) if (value) search.set(name, value);
  if (byId("here").checked) {
    const edge = map.getBounds();
    search.set("bbox", [edge.getWest(), edge.getSouth(), edge.getEast(), edge.getNorth()].map((one) => one.toFixed(6)).join(","));
  }
  return search;
}

function fail(error) {
  byId("rows").replaceChildren(h("li", { class: "notice is-bad", role: "alert" }, error.message));
}

async function load({ more = false } = {}) {
  const mine = ++turn;
  try {
    const answer = await ask(page, `/desk?${query(more ? { after: next } : {})}`);
    if (mine !== turn) return;
    rows = more ? [...rows, ...answer.items] : answer.items;
    next = answer.next ?? null;
    draw();
  } catch (error) {
    if (mine === turn) fail(error);
  }
  const search = query();
  search.delete("limit");
  byId("print-list").href = `/print/issues?${new URLSearchParams({ city: page.city })}&${search}`;
}

async function count() {
  const held = read("held");
  const counts = await ask(page, held === null ? "/desk/counts" : `/desk/counts?held=${held}`).catch(() => null);
  if (counts) drawBoxes(counts);
}

function drawBoxes(counts) {
  byId("boxes").replaceChildren(...page.boxes.map(([name, word]) => h("button", {
    type: "button", role: "tab", "aria-selected": String(name === box()), class: name === "overdue" && counts[name] ? "is-bad" : "",
    onclick: () => choose(name),
  }, word, counts[name] === undefined ? null : [" ", h("b", { class: "figure" }, number(counts[name]))])));
}

function drawTabs() {
  byId("tabs").hidden = page.tabs.length < 2;
  byId("tabs").replaceChildren(...page.tabs.map(([held, word]) => h("button", {
    type: "button", role: "tab", "aria-selected": String(held === (read("held") ?? "")), onclick: () => {
      write({ held: held || null });
      chosen.clear();
      drawTabs();
      load();
      count();
    },
  }, word)));
}

// What narrows the list and has no field of its own.
function drawGrid() {
  const grid = read("grid");
  byId("only-grid").hidden = !grid;
  byId("only-grid-name").textContent = grid ? read("grid_name") ?? grid : "";
  byId("more-filters").open ||= ["state", "organisation", "from", "to"].some((name) => read(name));
}

function only(step) {
  write({ grid: step ? String(step.grid) : null, grid_name: step?.name ?? null });
  drawGrid();
  load();
}

function choose(name) {
  write({ box: name === "all" ? null : name });
  chosen.clear();
  for (const tab of byId("boxes").children) tab.setAttribute("aria-selected", "false");
  load();
  count();
}

const kindOf = (one) => (page.lang === "en" ? one.category_name_en : one.category_name) || one.category;

function rowOf(one) {
  const state = due(one);
  const tick = h("label", { class: "issue-tick" }, h("input", { type: "checkbox", "aria-label": t("Tick or untick"), checked: chosen.has(one.issue), onchange: () => toggle(one.issue) }));
  return h("li", { class: open === one.issue ? "is-open" : "", "data-issue": one.issue }, tick,
    h("button", { type: "button", class: "issue-row", onclick: () => show(one.issue) },
      h("span", { class: "issue-top" }, h("b", {}, kindOf(one)), h("span", { class: `chip ${state.tone}` }, state.text)),
      one.words || one.address ? h("span", { class: "issue-words" }, one.words || one.address) : null,
      h("small", { class: "quiet" }, [page.words.states[one.state], one.grid_name, one.organisation_name, `#${one.issue}`].filter(Boolean).join(" · "))));
}

function draw() {
  byId("rows").replaceChildren(...(rows.length ? rows.map(rowOf) : [h("li", { class: "issue-empty quiet" }, t("None on this list. New reports stand here as soon as they come in."))]));
  byId("shown").textContent = rows.length ? t("%(n)s issues shown", { n: number(rows.length) }) : "";
  byId("more").hidden = !next;
  drawMarks();
  drawBulk();
}

function drawMarks() {
  marks.clearLayers();
  for (const one of [...rows].reverse()) {
    const { tone } = due(one);
    const fill = tone === "is-bad" ? "--bad" : tone === "is-watch" ? "--watch-fill" : "--accent";
    const own = one.issue === open;
    const mark = L.circleMarker([one.lat, one.lon], {
      radius: own ? 11 : 6, weight: own ? 3 : 1.5, color: token(own ? "--map-selected" : "--paper"), fillColor: token(fill), fillOpacity: 0.95, pane: "marks",
    }).addTo(marks);
    mark.on("click", () => show(one.issue));
  }
}

function toggle(issue) {
  if (chosen.has(issue)) chosen.delete(issue);
  else chosen.add(issue);
  drawBulk();
}

function drawBulk() {
  byId("bulk").hidden = !chosen.size;
  if (!chosen.size) return;
  byId("bulk").replaceChildren(h("b", {}, t("%(n)s chosen", { n: number(chosen.size) })), actButtons(BULK, page, runMany, { near: () => rows.filter((one) => chosen.has(one.issue)) }));
}

async function runMany(wish) {
  try {
    const issues = [...chosen].filter((one) => one !== wish.into);
    const { items } = await ask(page, "/issues/acts", { method: "POST", content: { ...wish, issues } });
    const failed = items.filter((one) => !one.ok);
    const words = [t("%(n)s done", { n: items.length - failed.length })];
    if (failed.length) words.push(t("%(n)s not done: %(why)s", { n: failed.length, why: [...new Set(failed.map((one) => one.message))].slice(0, 3).join("; ") }));
    chosen.clear();
    for (const one of failed) chosen.add(one.issue);
    await Promise.all([load(), count()]);
    byId("bulk").hidden = false;
    byId("bulk").prepend(h("p", { class: failed.length ? "notice is-watch" : "notice is-good", role: "status" }, words.join(" · ")));
  } catch (error) {
    byId("bulk").prepend(h("p", { class: "notice is-bad", role: "alert" }, error.message));
  }
}

async function show(issue, { focus = true, said = null } = {}) {
  open = issue;
  write({ issue: String(issue) });
  const path = `/issues/${issue}`;
  try {
    const [one, history, photos, links] = await Promise.all(["case", "history", "photos", "links"].map((part) => ask(page, `${path}/${part}`)));
    if (open !== issue) return;
    byId("panel-body").replaceChildren(...issueCard(one, { history: history.items, photos: photos.items, seconds: photos.seconds, links }, page, {
      close, run: (wish) => run(one, wish), near: nearOf, only, again: () => show(issue, { focus: false }), contact: () => contact(issue), changePhoto: (photo, change) => changePhoto(issue, photo, change),
    }).filter(Boolean));
    document.body.classList.add("has-issue");
    shownVersion = one.version;
    if (said) tell(said);
    if (focus) byId("panel-body").querySelector("h2").focus();
    const here = [one.lat, one.lon];
    if (!map.getBounds().pad(-0.1).contains(here)) map.setView(here, Math.max(map.getZoom(), CLOSE_ZOOM));
  } catch (error) {
    byId("panel-body").replaceChildren(h("p", { class: "notice is-bad", role: "alert" }, error.message));
  }
  for (const row of byId("rows").children) row.classList.toggle("is-open", Number(row.dataset.issue) === issue);
  drawMarks();
}

// Open issues of the same kind on the list, the nearest first.
function nearOf(one) {
  const away = (other) => map.distance([one.lat, one.lon], [other.lat, other.lon]);
  return rows.filter((other) => other.issue !== one.issue && other.category === one.category).sort((a, b) => away(a) - away(b));
}

// Something on the desk changed: the list follows, what is being written in the card stays.
async function changed(counts) {
  const first = stamp === null;
  const same = stamp === `${counts.all}/${counts.stamp}`;
  stamp = `${counts.all}/${counts.stamp}`;
  if (read("held") === null) drawBoxes(counts);
  else count();
  if (first || same) return;
  const place = byId("rows").scrollTop;
  if (rows.length <= LIMIT) await load();
  byId("rows").scrollTop = place;
  const one = rows.find((other) => other.issue === open);
  const stale = byId("card-stale");
  if (stale) stale.hidden = !one || one.version === shownVersion;
}

function tell(text) {
  const place = byId("act-said");
  if (!place) return;
  place.hidden = false;
  place.textContent = text;
  place.scrollIntoView({ block: "nearest" });
}

async function run(one, wish) {
  try {
    await ask(page, `/issues/${one.issue}/acts`, { method: "POST", content: { ...wish, version: one.version } });
    say(page.words.done[wish.act] ?? wish.act);
    await Promise.all([show(one.issue), load(), count()]);
  } catch (error) {
    if (error.status === 412) await show(one.issue, { said: t("Somebody changed it meanwhile. It was loaded again: look, then decide.") });
    else tell(error.message);
  }
}

async function contact(issue) {
  try {
    const one = await ask(page, `/issues/${issue}/contact`);
    return [one.name, one.phone, one.email].filter(Boolean).join(" · ");
  } catch (error) {
    return error.status === 404 ? t("No contact is kept.") : error.message;
  }
}

async function changePhoto(issue, photo, change) {
  try {
    await ask(page, `/issues/${issue}/photos/${photo}`, { method: "PATCH", content: change });
    await show(issue, { focus: false });
  } catch (error) {
    tell(error.message);
  }
}

function close() {
  open = null;
  write({ issue: null });
  document.body.classList.remove("has-issue");
  byId("panel-body").replaceChildren(h("p", { class: "quiet" }, t("Choose an issue from the list or on the map.")));
  for (const row of byId("rows").children) row.classList.remove("is-open");
  drawMarks();
}

function step(by) {
  if (!rows.length) return;
  const at = rows.findIndex((one) => one.issue === open);
  const to = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  show(to.issue, { focus: false });
  byId("rows").querySelector(`[data-issue="${to.issue}"]`)?.scrollIntoView({ block: "nearest" });
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", () => {
  write(Object.fromEntries(FIELDS.map((name) => [name, byId(name).value.trim() || null])));
  load();
});
byId("only-grid").addEventListener("click", () => only(null));
byId("files").addEventListener("click", () => filesDialog(byId("files-dialog"), page, query));
byId("texts")?.addEventListener("click", () => textsDialog(byId("texts-dialog"), page));
byId("more").addEventListener("click", () => load({ more: true }));
byId("city-choice").addEventListener("change", (event) => event.target.form.submit());
map.on("moveend", () => {
  if (byId("here").checked) load();
});
const openHelp = helpDialog(byId("help"), [["j", t("Next issue")], ["k", t("Previous issue")], ["x", t("Tick or untick")], ["/", t("Search")], ["1-9", t("Boxes from left to right")], ["P", t("Print")], ["Esc", t("Close")]]);
keyboard({
  ...Object.fromEntries(page.boxes.map(([name], place) => [String(place + 1), () => choose(name)])),
  p: () => location.assign((byId("card-print") ?? byId("print-list")).href),
  j: () => step(1), k: () => step(-1), "/": () => byId("q").focus(), "?": openHelp, Escape: close,
  x: () => {
    if (open === null) return;
    toggle(open);
    draw();
  },
});
drawTabs();
drawGrid();
const wanted = Number(read("issue")) || 0;
close();
await Promise.all([load(), count()]);
if (rows.length && !read("lat")) map.fitBounds(rows.map((one) => [one.lat, one.lon]), { padding: [24, 24], maxZoom: CLOSE_ZOOM });
if (wanted) await show(wanted, { focus: false });
live(page, changed, () => Promise.all([load(), count()]));
ready();
