// A resident reports something: place under the pin, kind, photo, words; sent once, whatever the connection does.

import { toGcj02 } from "../map/datum.js";
import { frame } from "../map/frame.js";
import { distance, h, say, t } from "./dom.js";
import { ready } from "./ready.js";
import { ask, draft, linkOf, mine, newId, SendError, smaller } from "./reports.js";
import { positionOnce } from "./who.js";

const MOST_PHOTOS = 4;
const CLOSE_ZOOM = 18;
const REST_MS = 350;
const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const { map } = await frame;
const kept = draft.read();
const state = { id: kept?.city === page.city ? kept.id : newId(), photos: [], outside: false, shifted: localStorage.getItem("wangge-shift") === "gcj02", raw: null };
let rest = 0;
let asked = 0;

function fail(message) {
  byId("said").hidden = !message;
  byId("said").textContent = message ?? "";
  if (message) byId("said").scrollIntoView({ block: "nearest" });
}

// Five steps back from the shifted place are exact to nanometres.
function fromGcj02({ lon, lat }) {
  let [x, y] = [lon, lat];
  for (let step = 0; step < 5; step += 1) {
    const [shiftedX, shiftedY] = toGcj02(x, y);
    [x, y] = [x + lon - shiftedX, y + lat - shiftedY];
  }
  return { lon: x, lat: y };
}

function showPosition() {
  const at = state.shifted && page.china ? fromGcj02(state.raw) : state.raw;
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
  try {
    state.raw = await positionOnce();
    showPosition();
  } catch (error) {
    fail(error.message);
  }
  byId("locate").disabled = false;
}

async function tellPlace() {
  if (!byId("place")) return; // it was reported
  const turn = ++asked;
  const { lat, lng } = map.getCenter();
  try {
    const answer = await ask(page, `/where?${new URLSearchParams({ lon: lng.toFixed(7), lat: lat.toFixed(7) })}`);
    if (turn !== asked || !byId("place")) return;
    state.outside = false;
    const path = answer.path ?? answer.grid?.path ?? [];
    byId("place").textContent = path.map((one) => one.name).join(" › ");
  } catch (error) {
    if (turn !== asked || !byId("place")) return;
    state.outside = error.code === "outside_city";
    byId("place").textContent = state.outside ? t("The place is outside the city. Move the map.") : error.message;
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
  if (turn !== asked || !byId("place")) return;
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
  byId("photo-label").hidden = state.photos.length >= MOST_PHOTOS;
}

async function addPhoto(event) {
  const [file] = event.target.files;
  event.target.value = "";
  fail(null);
  if (!file) return;
  if (state.photos.length >= MOST_PHOTOS) {
    fail(t("A report takes four photos."));
    return;
  }
  try {
    const blob = await smaller(file);
    state.photos.push({ name: newId().slice(0, 8), blob, url: URL.createObjectURL(blob), sent: false });
    drawPhotos();
  } catch {
    fail(t("The photo could not be read. JPEG, PNG and WebP can."));
  }
}

function told() {
  const { lat, lng } = map.getCenter();
  const phone = byId("phone").value.trim();
  return {
    client_id: state.id, category: byId("category").value, lon: Number(lng.toFixed(7)), lat: Number(lat.toFixed(7)),
    words: byId("words").value.trim() || null, address: byId("address").value.trim() || null,
    ...(phone ? { contact: { phone } } : {}),
    ...(page.staff ? { channel: byId("channel").value, external: byId("external").value.trim() || null } : {}),
  };
}

async function send(event) {
  event?.preventDefault();
  fail(null);
  if (!byId("category").value) {
    fail(t("Choose what is wrong first."));
    byId("category").focus();
    return;
  }
  if (state.outside) {
    fail(t("The place is outside the city. Move the map."));
    return;
  }
  // What was sent and not answered is sent again as it was.
  const content = state.pending ?? told();
  state.pending = content;
  draft.write({ city: page.city, id: state.id, content });
  await deliver(content);
}

async function deliver(content) {
  byId("send").disabled = true;
  byId("send").textContent = t("Sending …");
  try {
    const made = await ask(page, "/reports", { method: "POST", content });
    draft.write(null);
    state.pending = null;
    const own = { city: page.city, code: made.code, secret: made.secret, kind: page.names[content.category] ?? "", day: new Date().toISOString().slice(0, 10) };
    mine.add(own);
    await sendPhotos(own);
    thank(own);
    return;
  } catch (error) {
    if (error instanceof SendError && (error.code === "away" || error.status >= 500 || error.status === 429)) {
      fail(t("Not sent yet. It is kept on this phone and sent when there is a connection."));
    } else {
      state.pending = null;
      state.id = newId();
      draft.write(null);
      fail(error.message);
    }
  }
  byId("send").disabled = false;
  byId("send").textContent = byId("send").dataset.word;
}

async function sendPhotos(own) {
  for (const one of state.photos.filter((photo) => !photo.sent)) {
    try {
      await ask(page, `/reports/${own.code}/photos?name=${one.name}`, { method: "POST", body: one.blob, secret: own.secret });
      one.sent = true;
      one.failed = null;
    } catch (error) {
      one.failed = error.message;
    }
  }
}

function thank(own) {
  const link = linkOf(own);
  const failed = state.photos.filter((one) => one.failed);
  const copy = h("button", { class: "button", type: "button", onclick: async () => {
    await navigator.clipboard?.writeText(link);
    say(t("Copied."));
    copy.textContent = t("Copied.");
  } }, t("Copy the link"));
  byId("panel-body").replaceChildren(
    h("div", { class: "report-done" },
      h("h1", { tabindex: "-1" }, t("Thank you. It has reached the desk.")),
      h("p", {}, t("Reported: %(kind)s", { kind: own.kind })),
      h("p", { class: "report-code" }, h("span", { class: "quiet" }, t("Code")), " ", h("b", { class: "figure" }, own.code)),
      state.photos.length ? h("p", { class: "quiet" }, t("Photos: %(n)s sent", { n: state.photos.length - failed.length })) : null,
      failed.map((one) => h("p", { class: "notice is-bad" }, one.failed, " ", h("button", { class: "link", type: "button", onclick: async () => {
        await sendPhotos(own);
        thank(own);
      } }, t("Send the photo again")))),
      h("p", {}, t("Keep this link: with it you follow the report, say whether it was solved, and open it again.")),
      h("div", { class: "card-actions" }, h("a", { class: "button is-main", href: link }, t("Follow it")), copy)));
  document.querySelector(".report-actions").replaceChildren(h("button", { class: "button", type: "button", onclick: () => location.reload() }, t("Report another")));
  byId("panel-body").querySelector("h1").focus();
  document.body.classList.add("is-done");
}

function listMine() {
  const own = mine.list(page.city);
  byId("mine").hidden = !own.length;
  byId("mine-list").replaceChildren(...own.map((one) => h("li", {}, h("a", { href: linkOf(one) }, h("b", { class: "figure" }, one.code)), " ", one.kind, " ", h("small", { class: "quiet" }, t("Reported on %(day)s", { day: one.day })))));
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
      h("button", { class: "link", type: "button", onclick: () => map.setView([one.lat, one.lon], CLOSE_ZOOM) }, one.text, " ", h("small", { class: "quiet" }, one.grid_name ?? "")))) : [h("li", { class: "quiet" }, t("No known address is like this."))]));
    if (line.state === "matched") map.setView([line.candidates[0].lat, line.candidates[0].lon], CLOSE_ZOOM);
  } catch (error) {
    fail(error.message);
  }
}

byId("said-address")?.addEventListener("change", findAddress);
byId("send").dataset.word = byId("send").textContent;
byId("report").addEventListener("submit", send);
byId("photo").addEventListener("change", addPhoto);
byId("locate").addEventListener("click", locate);
byId("category").addEventListener("change", tellPlace);
map.on("moveend", () => {
  clearTimeout(rest);
  rest = setTimeout(tellPlace, REST_MS);
});
map.on("click", ({ latlng }) => map.panTo(latlng));
addEventListener("online", () => {
  if (state.pending) deliver(state.pending);
});
if (kept?.city === page.city && kept.content) {
  state.pending = kept.content;
  fail(t("Not sent yet. It is kept on this phone and sent when there is a connection."));
  if (navigator.onLine) deliver(kept.content);
}
listMine();
await tellPlace();
ready();
