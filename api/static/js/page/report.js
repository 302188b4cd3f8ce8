// A resident reports something: place under the pin, kind, photo, words; sent once, whatever the connection does.

import { fromGcj02 } from "../map/datum.js";
import { frame } from "../map/frame.js";
import { distance, h, number, say, t } from "./dom.js";
import { keepPage } from "./offline.js";
import { deliver, mayWait, queue } from "./queue.js";
import { ready } from "./ready.js";
import { ask, copyLink, linkOf, mine, newId, smaller } from "./reports.js";
import { positionOnce } from "./who.js";

const MOST_PHOTOS = 4;
const CLOSE_ZOOM = 18;
const REST_MS = 350;
const AGAIN_MS = 30000;
const SAME_PLACE_M = 2;
const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const { map } = await frame;
const told = new URLSearchParams(location.search);
const state = {
  id: newId(), photos: [], outside: false, shifted: shiftOfBefore(), raw: null,
  first: told.has("lon") && told.has("lat") ? null : map.getCenter(), sending: new Set(),
};
let rest = 0;
let asked = 0;

function shiftOfBefore() {
  try {
    return localStorage.getItem("wangge-shift") === "gcj02";
  } catch {
    return false; // a browser that keeps nothing
  }
}

function fail(message) {
  byId("said").hidden = !message;
  byId("said").textContent = message ?? "";
}

// Where the page opened is nobody's place: without this, reports would pile up in the middle of the city.
const isPlaced = () => !state.first || map.distance(state.first, map.getCenter()) > SAME_PLACE_M;

function showPosition() {
  const at = state.shifted && page.china ? fromGcj02(state.raw) : state.raw;
  state.first = null;
  map.setView([at.lat, at.lon], Math.max(map.getZoom(), CLOSE_ZOOM), { animate: false });
  if (!page.china) return;
  byId("shift").hidden = false;
  byId("shift").replaceChildren(state.shifted ? t("Put right by the shift of Chinese maps (GCJ-02).") : t("Allowed. It stands on the map now."), " ",
    h("button", { class: "link", type: "button", onclick: turnShift }, state.shifted ? t("Undo") : t("Position shifted by 500 m? Put it right")));
}

function turnShift() {
  state.shifted = !state.shifted;
  try {
    localStorage.setItem("wangge-shift", state.shifted ? "gcj02" : "wgs84");
  } catch {
    // asked again the next time
  }
  showPosition();
}

async function locate() {
  byId("locate").disabled = true;
  fail(null);
  try {
    state.raw = await positionOnce();
    showPosition();
  } catch (error) {
    fail(error.message);
  }
  byId("locate").disabled = false;
}

async function tellPlace() {
  const turn = ++asked;
  const { lat, lng } = map.getCenter();
  try {
    const answer = await ask(page, `/where?${new URLSearchParams({ lon: lng.toFixed(7), lat: lat.toFixed(7) })}`);
    if (turn !== asked) return;
    state.outside = false;
    const path = answer.path ?? answer.grid?.path ?? [];
    byId("place").textContent = path.map((one) => one.name).join(" › ");
  } catch (error) {
    if (turn !== asked) return;
    state.outside = error.code === "outside_city";
    byId("place").textContent = state.outside ? t("The place is outside the city. Move the map.")
      : error.code === "away" ? t("No connection: the pin's place is kept with the report.") : error.message;
  }
  byId("place").classList.toggle("is-bad", state.outside);
  await tellNear(turn, lng, lat);
}

async function tellNear(turn, lon, lat) {
  let items = [];
  try {
    items = (await ask(page, `/nearby?${new URLSearchParams({ lon: lon.toFixed(7), lat: lat.toFixed(7) })}`)).items ?? [];
  } catch {
    // Offering what is known is a help, not a condition.
  }
  if (turn !== asked) return;
  const box = byId("near");
  const chosen = byId("category").value;
  const alike = items.filter((one) => !chosen || one.category === chosen).slice(0, 3);
  box.hidden = !alike.length;
  box.replaceChildren(h("b", {}, t("Already reported nearby")), h("ul", { class: "stack" }, alike.map((one) => h("li", {},
    h("span", {}, page.names[one.category] ?? one.category, " · ", distance(one.away_m)),
    h("button", { class: "button", type: "button", onclick: (event) => second(one, event.target) }, t("I see the same"))))));
}

async function second(one, button) {
  button.disabled = true;
  try {
    const { seconds } = await ask(page, `/reports/${encodeURIComponent(one.code)}/seconds`, { method: "POST", content: { client_id: state.id } });
    button.replaceWith(h("span", { class: "chip is-good" }, `✓ ${t("%(n)s others see the same.", { n: seconds })}`));
    say(t("Thank you. Noted that you see the same."));
  } catch (error) {
    button.disabled = false;
    fail(error.message);
  }
}

function drawPhotos() {
  byId("photos").replaceChildren(...state.photos.map((one) => h("li", {},
    h("img", { src: one.url, alt: "" }),
    h("button", { class: "icon-button", type: "button", "aria-label": t("Remove"), title: t("Remove"), onclick: () => {
      URL.revokeObjectURL(one.url);
      state.photos = state.photos.filter((other) => other !== one);
      drawPhotos();
    } }, "✕"))));
  document.querySelector(".report-take").hidden = state.photos.length >= MOST_PHOTOS;
}

async function addPhotos(event) {
  const files = [...event.target.files];
  event.target.value = "";
  fail(null);
  for (const file of files) {
    if (state.photos.length >= MOST_PHOTOS) {
      fail(t("A report takes four photos."));
      return;
    }
    try {
      const blob = await smaller(file);
      state.photos.push({ name: newId().slice(0, 8), bytes: await blob.arrayBuffer(), url: URL.createObjectURL(blob) });
      drawPhotos();
    } catch {
      fail(t("The photo could not be read. JPEG, PNG and WebP can."));
    }
  }
}

function content() {
  const { lat, lng } = map.getCenter();
  const phone = byId("phone").value.trim();
  return {
    client_id: state.id, category: byId("category").value, lon: Number(lng.toFixed(7)), lat: Number(lat.toFixed(7)),
    words: byId("words").value.trim() || null, address: byId("address").value.trim() || null,
    ...(phone ? { contact: { phone } } : {}),
    ...(page.staff ? { channel: byId("channel").value, external: byId("external").value.trim() || null } : {}),
  };
}

function lacking() {
  if (!byId("category").value) {
    byId("category").focus();
    return t("Choose what is wrong first.");
  }
  if (state.outside) return t("The place is outside the city. Move the map.");
  if (!isPlaced()) return t("Where is it? Move the map until the pin stands there, or tap “Where I am”.");
  return null;
}

async function send(event) {
  event?.preventDefault();
  const lack = lacking();
  fail(lack);
  if (lack) return;
  const entry = {
    id: state.id, city: page.city, at: Date.now(), kind: page.names[byId("category").value] ?? "",
    content: content(), photos: state.photos.map(({ name, bytes }) => ({ name, bytes })),
  };
  working(true);
  state.sending.add(entry.id);
  await queue.put(entry);
  try {
    thank(entry, await deliver(page, entry));
  } catch (error) {
    if (mayWait(error)) keep(entry, error);
    else {
      await queue.remove(entry.id);
      state.id = newId();
      fail(error.message);
    }
  }
  state.sending.delete(entry.id);
  working(false);
  await listWaiting();
}

function working(on) {
  byId("send").disabled = on;
  byId("send").textContent = on ? t("Sending …") : byId("send").dataset.word;
}

function finish(...parts) {
  byId("report").hidden = true;
  byId("done").hidden = false;
  byId("done").replaceChildren(...parts.flat().filter(Boolean));
  byId("send").hidden = true;
  const again = h("button", { class: "button", id: "again", type: "button", onclick: begin }, t("Report another"));
  byId("again")?.remove();
  byId("send").after(again);
  document.body.classList.add("is-done");
  byId("panel-body").scrollTop = 0;
  byId("done").querySelector("h1").focus();
  listMine();
}

function begin() {
  for (const one of state.photos) URL.revokeObjectURL(one.url);
  Object.assign(state, { id: newId(), photos: [], first: map.getCenter() });
  byId("report").reset();
  byId("candidates")?.replaceChildren();
  byId("found")?.replaceChildren();
  drawPhotos();
  fail(null);
  byId("again")?.remove();
  byId("done").hidden = true;
  byId("report").hidden = byId("send").hidden = false;
  document.body.classList.remove("is-done");
  byId("panel-body").scrollTop = 0;
  tellPlace();
}

function keep(entry, error) {
  const why = [401, 403].includes(error.status) ? t("Sign in again, then it is sent.")
    : queue.lasting ? t("It is kept on this phone and sent by itself when there is a connection; this page may be closed and opened again.")
      : t("This browser keeps nothing: leave this page open until it is sent.");
  finish(
    h("h1", { tabindex: "-1" }, t("Not sent yet")),
    h("p", {}, t("Reported: %(kind)s", { kind: entry.kind })),
    h("p", { class: "notice is-watch" }, why));
}

function thank(entry, { own, refused, later }) {
  const link = linkOf(own);
  const sent = entry.photos.length - refused.length;
  const copy = h("button", { class: "button", type: "button", onclick: () => copyLink(link, copy) }, t("Copy the link"));
  finish(
    h("h1", { tabindex: "-1" }, t("Thank you. It has reached the desk.")),
    h("p", {}, t("Reported: %(kind)s", { kind: own.kind })),
    h("p", { class: "report-code" }, h("span", { class: "quiet" }, t("Code")), " ", h("b", { class: "figure" }, own.code)),
    later ? h("p", { class: "notice is-watch" }, t("The photos follow when there is a connection."))
      : entry.photos.length ? h("p", { class: "quiet" }, t("Photos: %(n)s sent", { n: sent })) : null,
    refused.map((message) => h("p", { class: "notice is-bad" }, message)),
    h("p", {}, t("Keep this link: with it you follow the report, say whether it was solved, and open it again.")),
    h("div", { class: "card-actions" }, h("a", { class: "button is-main", href: link }, t("Follow it")), copy));
}

// What waits goes out by itself: when the page opens, when a connection comes back, and every half minute.
async function flush() {
  if (!navigator.onLine) return;
  for (const entry of await queue.list(page.city)) {
    if (state.sending.has(entry.id) || entry.refused) continue;
    state.sending.add(entry.id);
    try {
      const { own, later } = await deliver(page, entry);
      if (!later) say(t("Sent: %(code)s", { code: own.code }));
    } catch (error) {
      if (!mayWait(error)) await queue.put({ ...entry, refused: error.message });
    }
    state.sending.delete(entry.id);
  }
  await listWaiting();
  listMine();
}

async function listWaiting() {
  const waiting = (await queue.list(page.city)).filter((one) => !state.sending.has(one.id));
  byId("waiting").hidden = !waiting.length;
  byId("waiting-list").replaceChildren(...waiting.map((one) => h("li", {},
    h("b", {}, one.kind), " ", h("small", { class: "quiet" }, new Date(one.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
      one.photos.length ? ` · ${t("Photos: %(n)s", { n: number(one.photos.length) })}` : ""),
    one.refused ? h("span", { class: "is-bad" }, one.refused) : null,
    h("button", { class: "link", type: "button", onclick: async () => {
      await queue.remove(one.id);
      await listWaiting();
    } }, t("Do not send it")))));
  clearTimeout(state.again);
  if (waiting.some((one) => !one.refused)) state.again = setTimeout(flush, AGAIN_MS);
}

function listMine() {
  const own = mine.list(page.city);
  byId("mine").hidden = !own.length;
  byId("mine-list").replaceChildren(...own.map((one) => h("li", {}, h("a", { href: linkOf(one) }, h("b", { class: "figure" }, one.code)), " ", one.kind, " ",
    h("small", { class: "quiet" }, t("Reported on %(day)s", { day: one.day })),
    h("button", { class: "icon-button", type: "button", "aria-label": t("Take it off this phone"), title: t("Take it off this phone"), onclick: () => {
      mine.remove(one.code);
      listMine();
    } }, "✕"))));
}

function goTo(one) {
  state.first = null;
  map.setView([one.lat, one.lon], CLOSE_ZOOM);
  byId("found")?.replaceChildren();
}

// Who knows no way around a map writes the name of a street, a compound, a house: the pin goes there.
async function findName() {
  const said = byId("address").value.trim();
  const list = byId("found");
  if (!list || said.length < 2) {
    list?.replaceChildren();
    return;
  }
  try {
    const { items } = await ask(page, `/search?${new URLSearchParams({ q: said.slice(0, 60), limit: 4 })}`);
    list.replaceChildren(...items.filter((one) => one.lat !== null && one.lat !== undefined).map((one) => h("li", {},
      h("button", { class: "link", type: "button", onclick: () => goTo(one) }, t("Put the pin here: %(name)s", { name: one.name }), " ", h("small", { class: "quiet" }, one.detail ?? "")))));
  } catch {
    list.replaceChildren(); // the words go with the report all the same
  }
}

// An address that somebody said is looked up as at the desk of addresses; the candidates lead to their places.
async function findAddress() {
  const said = byId("said-address").value.trim();
  const list = byId("candidates");
  if (!said) {
    list.replaceChildren();
    return;
  }
  try {
    const { items: [line] } = await ask(page, "/addresses/match", { method: "POST", content: { lines: [said] } });
    byId("address").value = line.text || "";
    list.replaceChildren(...(line.candidates.length ? line.candidates.slice(0, 4).map((one) => h("li", {},
      h("button", { class: "link", type: "button", onclick: () => goTo(one) }, one.text, " ", h("small", { class: "quiet" }, one.grid_name ?? "")))) : [h("li", { class: "quiet" }, t("No known address is like this."))]));
    if (line.state === "matched") goTo(line.candidates[0]);
  } catch (error) {
    fail(error.message);
  }
}

// The pin stands in the middle and the map moves under it; dragged itself, it takes the map along when it is let go.
function dragPin() {
  const pin = byId("pin");
  let from = null;
  const moved = (event) => [event.clientX - from[0], event.clientY - from[1]];
  pin.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pin.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
  });
  pin.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = moved(event);
    pin.style.transform = `translate(${x}px, ${y}px)`;
  });
  const end = (event) => {
    if (!from) return;
    const [x, y] = event.type === "pointerup" ? moved(event) : [0, 0];
    from = null;
    pin.style.transform = "";
    if (x || y) map.panBy([x, y], { animate: false });
  };
  pin.addEventListener("pointerup", end);
  pin.addEventListener("pointercancel", end);
}

byId("said-address")?.addEventListener("change", findAddress);
byId("address").addEventListener("change", findName);
byId("send").dataset.word = byId("send").textContent;
byId("report").addEventListener("submit", send);
byId("photo").addEventListener("change", addPhotos);
byId("album").addEventListener("change", addPhotos);
byId("locate").addEventListener("click", locate);
byId("category").addEventListener("change", tellPlace);
map.on("moveend", () => {
  clearTimeout(rest);
  rest = setTimeout(tellPlace, REST_MS);
});
map.on("click", ({ latlng }) => map.panTo(latlng));
addEventListener("online", () => {
  tellPlace();
  flush();
});
dragPin();
listMine();
await tellPlace();
if (state.first && (await navigator.permissions?.query({ name: "geolocation" }).catch(() => null))?.state === "granted") locate();
ready();
await listWaiting();
flush();
if (navigator.onLine) keepPage(page.base).then(() => { document.body.dataset.kept = "true"; }, () => {}); // a help, not a condition
