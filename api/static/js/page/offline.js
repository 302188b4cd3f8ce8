// Keeps what /report needs to open without a connection, the first time as well, when its worker has not seen the page load.

const MAP = /^\/api\/v1\/cities\/[^/]+\/(?:nets\/.+|stations)$/;

export async function keepPage(base) {
  if (!navigator.serviceWorker || !window.caches) return; // not over http, save on this machine
  await navigator.serviceWorker.register(`/report-worker.js?base=${encodeURIComponent(base)}`, { scope: "/report" });
  const kept = await caches.open(`wangge-report ${base}`);
  const needed = performance.getEntriesByType("resource").map((one) => new URL(one.name))
    .filter((url) => url.origin === location.origin && (url.pathname.startsWith(`${base}/`) || MAP.test(url.pathname)));
  for (const { href } of needed) {
    if (!(await kept.match(href, { ignoreVary: true }))) await kept.add(href);
  }
  const key = `/report?city=${new URLSearchParams(location.search).get("city") ?? ""}`;
  if (await kept.match(key, { ignoreVary: true })) return; // the worker brings it up to date
  const page = await fetch(location.pathname + location.search);
  if (page.ok && !page.redirected) await kept.put(key, page);
}
