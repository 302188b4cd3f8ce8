// Reports of this device: what is sent, and what it keeps to follow them. Nothing of it leaves the device but the report itself.

import { h, say, t } from "./dom.js";

const MINE = "wangge-reports";
const MOST_KEPT = 30;

export class SendError extends Error {
  constructor(code, message, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

// Random on every page, also where the connection is not a secure one.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function read(key, empty) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? empty;
  } catch {
    return empty;
  }
}

function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing still reports.
  }
}

export const mine = {
  list: (city) => read(MINE, []).filter((one) => one.city === city),
  add: (one) => write(MINE, [one, ...read(MINE, []).filter((other) => other.code !== one.code)].slice(0, MOST_KEPT)),
  remove: (code) => write(MINE, read(MINE, []).filter((one) => one.code !== code)),
  secret: (code) => read(MINE, []).find((one) => one.code === code)?.secret ?? null,
};

export const linkOf = (one) => `${location.origin}/report/${encodeURIComponent(one.code)}?city=${encodeURIComponent(one.city)}#${one.secret}`;

export async function ask(page, path, { method = "GET", content, body, secret } = {}) {
  const headers = { Accept: "application/json" };
  if (content !== undefined) headers["Content-Type"] = "application/json";
  if (body !== undefined) headers["Content-Type"] = "application/octet-stream";
  if (secret) headers["Wangge-Secret"] = secret;
  if (page.csrf) headers["X-CSRF-Token"] = page.csrf;
  let answer;
  try {
    answer = await fetch(`${page.api}${path}`, { method, headers, body: body ?? (content === undefined ? undefined : JSON.stringify(content)) });
  } catch {
    throw new SendError("away", t("The server cannot be reached. Check the connection and try again."));
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  throw new SendError(data.code ?? "error", data.detail || data.title || t("The server could not answer. Try again."), answer.status);
}

// Drawn anew on the device: smaller, and without the camera's notes.
export async function smaller(file, side = 1600) {
  const image = await createImageBitmap(file, { imageOrientation: "from-image" });
  const share = Math.min(1, side / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * share));
  canvas.height = Math.max(1, Math.round(image.height * share));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // what can be seen through lies on white, as in the house
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("empty"))), "image/jpeg", 0.85);
  });
}

export async function copyLink(link, button) {
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = t("Copied.");
    say(t("Copied."));
  } catch { // not over http, and not in every browser: it is shown to be copied by hand
    const field = h("input", { class: "report-link", readonly: true, value: link, "aria-label": t("Copy the link") });
    button.replaceWith(field);
    field.select();
  }
}
