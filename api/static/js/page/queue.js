// Reports that wait on this device, photos and all, until the house has them: they outlive the page, the browser and the phone's sleep.

import { ask, mine } from "./reports.js";

const NAME = "wangge-reports";
const STORE = "waiting";
const memory = new Map(); // where a browser keeps nothing, a report waits as long as its page is open
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id" });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = asked.onblocked = () => reject(asked.error);
  });
  return opened;
}

async function run(mode, work) {
  const base = await open();
  return new Promise((resolve, reject) => {
    const turn = base.transaction(STORE, mode);
    const asked = work(turn.objectStore(STORE));
    turn.oncomplete = () => resolve(asked.result);
    turn.onabort = turn.onerror = () => reject(turn.error);
  });
}

export const queue = {
  lasting: true,
  async put(entry) {
    memory.set(entry.id, entry);
    try {
      await run("readwrite", (store) => store.put(entry));
    } catch {
      queue.lasting = false;
    }
  },
  async remove(id) {
    memory.delete(id);
    try {
      await run("readwrite", (store) => store.delete(id));
    } catch {
      queue.lasting = false;
    }
  },
  async list(city) {
    const found = new Map(memory);
    try {
      for (const one of await run("readonly", (store) => store.getAll())) found.set(one.id, one);
    } catch {
      queue.lasting = false;
    }
    return [...found.values()].filter((one) => one.city === city).sort((a, b) => a.at - b.at);
  },
};

// What another try may mend: no line, a busy or broken server, a sign-in that has ended.
export const mayWait = (error) => error.code === "away" || error.status >= 500 || [401, 403, 408, 421, 429].includes(error.status);

// Send a report and its photos; the same again changes nothing, so that any answer may be lost.
// What the house will not have of the photos is told in `refused`; `later` is why the rest has to wait.
export async function deliver(page, entry) {
  const made = await ask(page, "/reports", { method: "POST", content: entry.content });
  const own = { city: entry.city, code: made.code, secret: made.secret, kind: entry.kind, day: new Date(entry.at).toISOString().slice(0, 10) };
  mine.add(own);
  const refused = [];
  for (const photo of entry.photos) {
    try {
      await ask(page, `/reports/${own.code}/photos?name=${photo.name}`, { method: "POST", body: photo.bytes, secret: own.secret });
    } catch (error) {
      if (mayWait(error)) return { own, refused, later: error };
      refused.push(error.message);
    }
  }
  await queue.remove(entry.id);
  return { own, refused, later: null };
}
