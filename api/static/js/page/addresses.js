// The desk of addresses: lines of text in, candidates on the map, one click keeps what a line means.

import { fitFirst, frame } from "../map/frame.js";
import { token } from "../map/options.js";
import { Api, ApiError } from "./api.js";
import { h, number, say, t } from "./dom.js";
import { ready } from "./ready.js";
import { sheet } from "./sheet.js";

const MOST_LINES = 500;
const MOST_LETTERS = 500;
const CLOSE_ZOOM = 17;
const FEW_MARKS = 4;
const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const api = new Api(page);
const body = byId("panel-body");
const box = byId("lines");
const panel = sheet(byId("panel-handle"), body);
const { map } = await frame;
const marks = L.layerGroup().addTo(map);
let lines = [];
let chosen = -1;
let placing = false;

const STATES = () => ({
  matched: ["is-good", `✓ ${t("found")}`], several: ["is-watch", `◐ ${t("to decide")}`], none: ["is-bad", `✕ ${t("nothing like it")}`],
});

function chip(line) {
  const [tone, word] = line.decided ? ["is-good", `✓ ${t("decided")}`] : STATES()[line.state];
  return h("span", { class: `chip ${tone}` }, word);
}

const place = (one) => [one.building_name, one.grid_name].filter(Boolean).join(" · ");

async function send(path, method, content) {
  let answer;
  try {
    answer = await fetch(`${page.api}${path}`, {
      method, body: content === undefined ? undefined : JSON.stringify(content),
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": page.csrf },
    });
  } catch {
    throw new ApiError("away", t("The server cannot be reached. Check the connection and try again."));
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  throw new ApiError(data.code ?? "error", data.title || data.detail || t("The server could not answer. Try again."));
}

function fail(error) {
  byId("said").hidden = false;
  byId("said").textContent = error.message;
  byId("said").scrollIntoView({ block: "nearest" });
}

// What is wrong with the lines, before anything is sent; null where nothing is.
function wrong(texts) {
  if (texts.length > MOST_LINES) return t("These are %(n)s lines; at most %(most)s are taken at once.", { n: number(texts.length), most: MOST_LINES });
  const long = texts.findIndex((one) => [...one].length > MOST_LETTERS);
  return long < 0 ? null : t("Line %(n)s is longer than %(most)s letters: “%(text)s …”", { n: long + 1, most: MOST_LETTERS, text: texts[long].slice(0, 20) });
}

async function matchAll() {
  const texts = box.value.split("\n").map((one) => one.trim()).filter(Boolean);
  byId("said").hidden = true;
  const why = wrong(texts);
  if (why) return fail({ message: why });
  if (!texts.length) return box.focus();
  body.classList.add("loading");
  try {
    const found = await send("/addresses/match", "POST", { lines: texts });
    lines = found.items.map((one, place_) => ({ ...one, said: texts[place_], decided: null }));
    choose(lines.length === 1 ? 0 : lines.findIndex((one) => one.state === "several"));
    panel.open();
    if (matchMedia("(max-width: 900px)").matches) byId("counts").scrollIntoView({ block: "start" });
  } catch (error) {
    fail(error);
  }
  body.classList.remove("loading");
  return null;
}

function choose(place_) {
  chosen = place_;
  setPlacing(false);
  draw();
  drawMarks();
}

function nextOpen() {
  const open = (one) => !one.decided && one.state === "several";
  const later = lines.findIndex((one, place_) => place_ > chosen && open(one));
  choose(later >= 0 ? later : lines.findIndex(open));
}

async function decide(where) {
  const line = lines[chosen];
  try {
    line.decided = await send("/addresses", "POST", { text: line.said, ...where });
    say(t("Kept: %(text)s", { text: line.decided.text }));
    nextOpen();
  } catch (error) {
    fail(error);
  }
}

async function forget(line) {
  try {
    await send(`/addresses/${line.decided.address}`, "DELETE");
    line.decided = null;
    choose(lines.indexOf(line));
  } catch (error) {
    fail(error);
  }
}

function setPlacing(on) {
  placing = on && chosen >= 0 && page.mayDecide;
  byId("mode").hidden = !placing;
  if (placing) byId("mode").textContent = t("Click the place on the map");
  map.getContainer().classList.toggle("is-picking", placing);
}

function candidateRow(one, rank) {
  const keep = h("button", { class: "button is-main", type: "button", onclick: () => decide({ address: one.address }) }, t("It is this"));
  return h("li", {},
    h("button", { class: "link", type: "button", onclick: () => map.setView([one.lat, one.lon], Math.max(map.getZoom(), CLOSE_ZOOM)) }, h("b", {}, `${rank + 1}  ${one.text}`)),
    page.mayDecide ? keep : h("span", {}),
    h("small", {}, [place(one), t("fits %(n)s of 100", { n: number(one.score) })].filter(Boolean).join(" · ")));
}

function lineRow(line, place_) {
  const own = place_ === chosen;
  const shown = line.text || t("not understood");
  return h("li", { class: own ? "desk-line is-open" : "desk-line" },
    h("button", { class: "link", type: "button", "aria-expanded": String(own), onclick: () => choose(own ? -1 : place_) }, shown), chip(line),
    line.cut ? h("small", {}, t("What names a flat or a person was cut off.")) : null,
    line.decided ? h("small", {}, `→ ${[line.decided.building_name ?? line.decided.text, line.decided.grid_name].filter(Boolean).join(" · ")} `,
      h("button", { class: "link", type: "button", onclick: () => forget(line) }, t("Take back"))) : null,
    own && !line.decided ? h("div", { class: "desk-choice" },
      line.candidates.length ? h("ol", { class: "stack" }, line.candidates.map(candidateRow)) : h("p", { class: "quiet" }, t("No known address is like this.")),
      page.mayDecide && line.text ? h("button", { class: "button", type: "button", onclick: () => setPlacing(!placing) }, t("Show the place on the map")) : null) : null);
}

function draw() {
  const counts = { matched: 0, several: 0, none: 0 };
  for (const line of lines) counts[line.decided ? "matched" : line.state] += 1;
  byId("counts").replaceChildren(...Object.entries(STATES()).map(([state, [tone, word]]) => h("span", { class: `chip ${tone}` }, `${word} ${number(counts[state])}`)));
  byId("results").replaceChildren(...lines.map(lineRow));
  byId("file").hidden = !lines.length;
  byId("results").querySelector(".is-open")?.scrollIntoView({ block: "nearest" });
}

function drawMarks() {
  marks.clearLayers();
  const line = lines[chosen];
  if (!line) return;
  const shown = line.decided ? [line.decided] : line.candidates;
  shown.forEach((one, rank) => {
    const mark = L.circleMarker([one.lat, one.lon], {
      radius: 12, weight: 3, color: token("--paper"), fillColor: rank ? token("--accent") : token("--good"), fillOpacity: 1, pane: "marks",
    }).addTo(marks);
    const few = shown.length <= FEW_MARKS;
    mark.bindTooltip(h("span", {}, few ? `${rank + 1}  ${one.text}` : String(rank + 1)), {
      permanent: true, direction: few ? "top" : "center", offset: few ? [0, -10] : [0, 0], className: few ? "desk-tip" : "desk-rank",
    });
    if (!line.decided && page.mayDecide) mark.on("click", () => decide({ address: one.address }));
  });
  if (shown.length === 1) map.setView([shown[0].lat, shown[0].lon], Math.max(map.getZoom(), CLOSE_ZOOM));
  else if (shown.length) {
    const lon = shown.map((one) => one.lon);
    const lat = shown.map((one) => one.lat);
    fitFirst(map, [Math.min(...lon) - 0.001, Math.min(...lat) - 0.001, Math.max(...lon) + 0.001, Math.max(...lat) + 0.001]);
  }
}

// Cells that a spreadsheet could take for a formula begin with an apostrophe.
function cell(value) {
  const text = String(value ?? "");
  return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
}

function saveFile() {
  const head = ["text", "state", "address", "building", "building_code", "grid_code", "lon", "lat", "score"];
  const rows = lines.map((line) => {
    const sure = line.decided ?? (line.state === "matched" ? line.candidates[0] : null);
    return [line.text, line.decided ? "decided" : line.state, ...["text", "building_name", "building_code", "grid_code", "lon", "lat", "score"].map((name) => sure?.[name])];
  });
  const text = [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const link = h("a", { href: URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" })), download: "addresses.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}

map.on("click", ({ latlng }) => {
  if (placing) decide({ lon: latlng.lng, lat: latlng.lat });
});
byId("match").addEventListener("click", matchAll);
byId("file").addEventListener("click", saveFile);
byId("city-choice").addEventListener("change", (event) => event.target.form.submit());
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) matchAll();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && placing) setPlacing(false);
});
if (box.value.trim()) await matchAll();
ready();
