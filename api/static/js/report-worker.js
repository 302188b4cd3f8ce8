// Lets /report open without a connection: its page, files and map as they were seen last. What is reported never passes here.

const base = new URL(location.href).searchParams.get("base");
const KEPT = `wangge-report ${base}`;
const MAP = /^\/api\/v1\/cities\/[^/]+\/(?:nets\/.+|stations)$/; // open to everybody; places, reports and names are not kept
const TILE = /\/tiles\//;
const PATIENCE_MS = 5000;
const MOST_KEPT = 400; // files and pieces of the map: some ten megabytes

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  const old = (await caches.keys()).filter((name) => name.startsWith("wangge-report ") && name !== KEPT);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
})()));

async function keep(key, answer) {
  const kept = await caches.open(KEPT);
  if (answer.ok && !answer.redirected && (!TILE.test(answer.url) || (await kept.keys()).length < MOST_KEPT)) await kept.put(key, answer.clone());
  return answer;
}

const known = async (key) => (await caches.open(KEPT)).match(key, { ignoreVary: true });

// The house first, what is kept when it does not answer in time.
async function newest(request, key) {
  const asked = fetch(request).then((answer) => keep(key, answer));
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS)).then(() => known(key));
  try {
    return (await Promise.race([asked, late])) ?? (await asked);
  } catch (error) {
    const found = await known(key);
    if (found) return found;
    if (TILE.test(request.url)) return new Response(new ArrayBuffer(0)); // ground that was never looked at stays empty
    throw error;
  }
}

const file = async (request) => (await known(request)) ?? keep(request, await fetch(request));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") {
    if (url.pathname === "/report") event.respondWith(newest(request, `/report?city=${url.searchParams.get("city") ?? ""}`));
  } else if (url.pathname.startsWith(`${base}/`)) event.respondWith(file(request));
  else if (MAP.test(url.pathname)) event.respondWith(newest(request, request.url));
});
