// The desk of issues: what is due first, list and map side by side, one at a time or many at once.

import { frame } from "../map/frame.js";
import { token } from "../map/options.js";
import { read, write } from "./address.js";
import { h, number, say, t } from "./dom.js";
import { ACT_KEYS } from "./issue-acts.js";
import { issueCard } from "./issue-card.js";
import { manyIssues } from "./issue-many.js";
import { due } from "./issue-time.js";
import { helpDialog, keyboard } from "./keys.js";
import { filesDialog, live, textsDialog } from "./issue-tools.js";
import { ready } from "./ready.js";
import { ask } from "./reports.js";

const LIMIT = 100;
const KEPT = ["held", "q", "category", "grid", "state", "organisation", "channel", "from", "to"];
const FIELDS = ["q", "category", "state", "organisation", "channel", "from", "to"];
const CLOSE_ZOOM = 17;
const SENT = new Set(["dispatched", "reworked", "postponed", "suspended", "parked"]);
const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const { map } = await frame;
const marks = L.layerGroup().addTo(map);
const drafts = new Map();
let rows = [];
let next = null;
let open = null;
let turn = 0;
let stamp = null;
let shownVersion = null;
let counted = null;
let buttons = null;

const many = manyIssues(page, { rows: () => rows, draw, reload: () => Promise.all([load(), count()]), show });

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
    fresh(false);
    draw();
  } catch (error) {
    if (mine === turn) fail(error);
  }
  const search = query();
  search.delete("limit");
  byId("print-list").href = `/print/issues?${new URLSearchParams({ city: page.city })}&${search}`;
}

// How many lie in each box, narrowed as the list is.
async function count() {
  const asked = query();
  for (const name of ["limit", "box"]) asked.delete(name);
  const counts = await ask(page, `/desk/counts?${asked}`).catch(() => null);
  if (counts) drawBoxes(counts);
}

function drawBoxes(counts) {
  counted = counts;
  drawShown();
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
      drawTabs();
      many.drop();
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
  byId("more-filters").open ||= ["state", "organisation", "channel", "from", "to"].some((name) => read(name));
}

function only(step) {
  write({ grid: step ? String(step.grid) : null, grid_name: step?.name ?? null });
  drawGrid();
  load();
  count();
}

function choose(name) {
  write({ box: name === "all" ? null : name });
  many.drop();
  for (const tab of byId("boxes").children) tab.setAttribute("aria-selected", "false");
  load();
  count();
}

const kindOf = (one) => (page.lang === "en" ? one.category_name_en : one.category_name) || one.category;

// Who has it now: the body that it was sent to, else the desk of the grid.
const holderOf = (one) => (one.organisation && SENT.has(one.state) ? one.organisation_name : one.desk_name ?? one.grid_name);

function rowOf(one) {
  const state = due(one);
  const tick = h("label", { class: "issue-tick" }, h("input", { type: "checkbox", "aria-label": t("Tick or untick"), checked: many.has(one.issue), onclick: (event) => many.tickTo(one.issue, event) }));
  return h("li", { class: open === one.issue ? "is-open" : "", "data-issue": one.issue }, tick,
    h("button", { type: "button", class: "issue-row", onclick: () => show(one.issue) },
      h("span", { class: "issue-top" }, h("b", {}, kindOf(one)), h("span", { class: `chip ${state.tone}` }, state.text)),
      one.words || one.address ? h("span", { class: "issue-words" }, one.words || one.address) : null,
      h("small", { class: "quiet" }, h("b", { class: "issue-who" }, holderOf(one)), " · ", [page.words.states[one.state], one.grid_name === holderOf(one) ? null : one.grid_name, one.supervised_until ? t("supervised") : null, `#${one.issue}`].filter(Boolean).join(" · "))));
}

function draw() {
  const focused = byId("rows").contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.issue : null;
  const ticking = document.activeElement?.type === "checkbox";
  byId("rows").replaceChildren(...(rows.length ? rows.map(rowOf) : [emptyRow()]));
  if (focused) byId("rows").querySelector(`[data-issue="${focused}"] ${ticking ? "input" : ".issue-row"}`)?.focus({ preventScroll: true });
  drawShown();
  byId("more").hidden = !next;
  byId("choose-all").hidden = !rows.length;
  drawMarks();
  many.drawBar();
}

function emptyRow() {
  const narrowed = KEPT.some((name) => name !== "held" && read(name)) || byId("here").checked;
  return h("li", { class: "issue-empty quiet" }, narrowed ? [t("Nothing on this list fits the filters."), " ", h("button", { class: "link", type: "button", onclick: widen }, t("Take the filters away"))]
    : t("None on this list. New reports stand here as soon as they come in."));
}

function widen() {
  write(Object.fromEntries(KEPT.filter((name) => name !== "held").map((name) => [name, null])));
  write({ grid_name: null });
  for (const name of FIELDS) byId(name).value = "";
  byId("here").checked = false;
  drawGrid();
  load();
  count();
}

function drawShown() {
  const all = counted?.[box()];
  byId("shown").textContent = !rows.length ? "" : all > rows.length ? t("%(n)s of %(all)s issues shown", { n: number(rows.length), all: number(all) }) : t("%(n)s issues shown", { n: number(rows.length) });
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

async function show(issue, { focus = true, said = null, bad = true, written = null } = {}) {
  keepDraft();
  open = issue;
  write({ issue: String(issue) });
  for (const row of byId("rows").children) row.classList.toggle("is-open", Number(row.dataset.issue) === issue);
  const path = `/issues/${issue}`;
  try {
    const [one, history, photos, links] = await Promise.all(["case", "history", "photos", "links"].map((part) => ask(page, `${path}/${part}`)));
    if (open !== issue) return;
    byId("panel-body").replaceChildren(...issueCard(one, { history: history.items, photos: photos.items, seconds: photos.seconds, links }, page, {
      close, run: (wish, typed) => run(one, wish, typed), near: nearOf, show, keep: (made) => {
        buttons = made;
        return made;
      }, foresee: async (wish) => (await ask(page, "/issues/foreseen", { method: "POST", content: { ...wish, issues: [issue] } })).items, only, again: () => show(issue, { focus: false }), contact: () => contact(issue), changePhoto: (photo, change) => changePhoto(issue, photo, change),
    }).filter(Boolean));
    document.body.classList.add("has-issue");
    shownVersion = one.version;
    if (said) tell(said, bad);
    const draft = written ?? drafts.get(issue);
    drafts.delete(issue);
    if (draft) giveBack(one, draft);
    if (focus && !draft) byId("panel-body").querySelector("h2").focus();
    const here = [one.lat, one.lon];
    if (!map.getBounds().pad(-0.1).contains(here)) map.setView(here, Math.max(map.getZoom(), CLOSE_ZOOM));
  } catch (error) {
    byId("panel-body").replaceChildren(h("p", { class: "notice is-bad", role: "alert" }, error.message));
  }
  drawMarks();
}

// Open issues of the same kind on the list, the nearest first.
function nearOf(one) {
  const away = (other) => map.distance([one.lat, one.lon], [other.lat, other.lon]);
  return rows.filter((other) => other.issue !== one.issue && other.category === one.category).sort((a, b) => away(a) - away(b));
}

// Something on the desk changed: the list follows, what is being written stays, and so does where one reads.
async function changed(counts) {
  const first = stamp === null;
  const same = stamp === `${counts.all}/${counts.stamp}`;
  stamp = `${counts.all}/${counts.stamp}`;
  if (first || same) return;
  if (KEPT.some((name) => read(name)) || byId("here").checked) count();
  else drawBoxes(counts);
  const place = byId("rows").scrollTop;
  if (rows.length > LIMIT) {
    fresh(true);
    return;
  }
  await load();
  byId("rows").scrollTop = place;
  const one = rows.find((other) => other.issue === open);
  const stale = byId("card-stale");
  if (stale) stale.hidden = !one || one.version === shownVersion;
}

// A long list that was paged through is not thrown away under the reader: it says that there is news.
function fresh(there) {
  byId("fresh").hidden = !there;
}

// Whether news come by themselves, said only when they do not.
function heard(state) {
  const told = byId("heard");
  told.hidden = state === "open";
  told.textContent = state === "over" ? t("You are signed out here. Sign in again; what you wrote stays until then.") : t("No live news at the moment: the list is asked for every minute.");
}

function tell(text, bad = true) {
  const place = byId("act-said");
  if (!place) return;
  place.hidden = false;
  place.className = `notice ${bad ? "is-bad" : "is-good"}`;
  place.textContent = text;
  place.scrollIntoView({ block: "nearest" });
}

// Somebody was quicker: what was written is put back into its form, or stands where it can be copied.
function giveBack(one, { act, values }) {
  const typed = Object.values(values).filter((value) => typeof value === "string" && value.trim().length > 3).join("\n");
  if (buttons && [...one.acts, ...Object.keys(one.ways)].includes(act)) buttons.start(act, values);
  else if (typed) byId("act-said").append(h("p", {}, t("You had written:"), " ", h("q", {}, typed)));
}

// After an act the next one of the list opens, unless this one still stands on it.
async function onward(issue, text) {
  const place = rows.findIndex((one) => one.issue === issue);
  await Promise.all([load(), count()]);
  const gone = place >= 0 && !rows.some((one) => one.issue === issue);
  const after = gone ? rows[Math.min(place, rows.length - 1)] : null;
  if (gone && !after) {
    close();
    byId("panel-body").prepend(h("p", { class: "notice is-good", role: "status" }, text, " ", t("This list is done.")));
  } else await show(after ? after.issue : issue, { said: after ? text : null, bad: false, focus: !after });
  if (after) byId("rows").querySelector(`[data-issue="${after.issue}"]`)?.scrollIntoView({ block: "nearest" });
}

async function run(one, wish, typed = null) {
  try {
    await ask(page, `/issues/${one.issue}/acts`, { method: "POST", content: { ...wish, version: one.version } });
    const text = `#${one.issue} ${page.words.done[wish.act] ?? wish.act}`;
    say(text);
    buttons = null;
    await onward(one.issue, text);
  } catch (error) {
    if (error.status === 412 || error.code === "issue_act") await show(one.issue, { said: error.status === 412 ? t("Somebody changed it meanwhile. It was loaded again: look, then decide.") : error.message, written: typed });
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

// Words that were begun for one issue wait for it while another one is looked at.
function keepDraft() {
  const draft = buttons?.draft();
  if (draft && open !== null) drafts.set(open, draft);
}

function close() {
  keepDraft();
  open = null;
  buttons = null;
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

// Arrows move along the list where they do not move something else.
function arrow(by) {
  const target = document.activeElement;
  if (target !== document.body && !byId("rows").contains(target)) return false;
  step(by);
  return true;
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", () => {
  write(Object.fromEntries(FIELDS.map((name) => [name, byId(name).value.trim() || null])));
  load();
  count();
});
byId("choose-all").addEventListener("click", many.chooseAll);
byId("fresh").addEventListener("click", () => load());
byId("only-grid").addEventListener("click", () => only(null));
byId("files").addEventListener("click", () => filesDialog(byId("files-dialog"), page, query));
byId("texts")?.addEventListener("click", () => textsDialog(byId("texts-dialog"), page));
byId("more").addEventListener("click", () => load({ more: true }));
byId("city-choice").addEventListener("change", (event) => event.target.form.submit());
map.on("moveend", () => {
  if (!byId("here").checked) return;
  load();
  count();
});
const act = (key) => (many.any() ? many.buttons() : buttons)?.press(key) ?? false;
const openHelp = helpDialog(byId("help"), [
  ["j ↓", t("Next issue")], ["k ↑", t("Previous issue")], ["x", t("Tick or untick")], ["*", t("Choose all")], ["/", t("Search")], ["1-9", t("Boxes from left to right")],
  ["D", t("Dispatch by the rules")], ["A R H C E …", t("Acts, by the letter on their button")], ["Ctrl+↵", t("Do it")], ["P", t("Print")], ["Esc", t("Close")],
]);
keyboard({
  ...Object.fromEntries(ACT_KEYS.map((key) => [key, () => act(key)])),
  ...Object.fromEntries(page.boxes.map(([name], place) => [String(place + 1), () => choose(name)])),
  p: () => location.assign((byId("card-print") ?? byId("print-list")).href),
  j: () => step(1), k: () => step(-1), ArrowDown: () => arrow(1), ArrowUp: () => arrow(-1), "/": () => byId("q").focus(), "?": openHelp, Escape: close, "*": many.chooseAll,
  x: () => {
    if (open === null) return;
    many.toggle(open);
  },
});
drawTabs();
drawGrid();
const wanted = Number(read("issue")) || 0;
close();
await Promise.all([load(), count()]);
if (rows.length && !read("lat")) map.fitBounds(rows.map((one) => [one.lat, one.lon]), { padding: [24, 24], maxZoom: CLOSE_ZOOM });
if (wanted) await show(wanted, { focus: false });
live(page, changed, () => (rows.length > LIMIT ? fresh(true) : Promise.all([load(), count()])), heard);
ready();
