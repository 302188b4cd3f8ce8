// Moments of a desk: those of the city, wherever the desk stands, and how an issue stands to its limit.

import { t } from "./dom.js";

const lang = document.documentElement.lang;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NEVER = 2900;
const IN_HAND = new Set(["dispatched", "reworked", "postponed"]);
const WAITS = new Set(["returned", "handled", "checked"]);
const timeZone = JSON.parse(document.body.dataset.page).zone;
const dayFormat = new Intl.DateTimeFormat("en-CA", { timeZone });
const wallFormat = new Intl.DateTimeFormat("en-CA", { timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });

export const moment = (value) => new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short", timeZone }).format(new Date(value));

// The day of the city that a moment lies on, as year-month-day.
export const dayOf = (value) => dayFormat.format(new Date(value));

// A moment as a clock of the city shows it: what an input of date and time holds.
export function wall(value) {
  const part = Object.fromEntries(wallFormat.formatToParts(new Date(value)).map((one) => [one.type, one.value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}`;
}

// The moment at which a clock of the city shows this; the other way round.
export function momentAt(shown) {
  let at = Date.parse(`${shown}Z`);
  for (let turn = 0; turn < 2; turn += 1) at -= Date.parse(`${wall(at)}Z`) - Date.parse(`${shown}Z`);
  return new Date(at).toISOString();
}

// The same shortly: today and tomorrow by their names, the year only where it is another one.
export function soon(value) {
  const at = new Date(value);
  const time = new Intl.DateTimeFormat(lang, { timeStyle: "short", timeZone }).format(at);
  const days = Math.round((Date.parse(dayOf(at)) - Date.parse(dayOf(Date.now()))) / DAY_MS);
  if (days === 0) return t("today %(time)s", { time });
  if (days === 1) return t("tomorrow %(time)s", { time });
  const year = dayOf(at).slice(0, 4) === dayOf(Date.now()).slice(0, 4) ? undefined : "numeric";
  return `${new Intl.DateTimeFormat(lang, { year, month: "short", day: "numeric", timeZone }).format(at)} ${time}`;
}

function long(ms) {
  const hours = Math.max(1, Math.floor(ms / HOUR_MS));
  return hours < 48 ? t("%(n)s h", { n: hours }) : t("%(n)s d", { n: Math.floor(hours / 24) });
}

// How an issue stands to its limit: what is late by sign and word, what waits for the desk, the rest quietly.
export function due(one) {
  const at = new Date(one.due_at);
  const late = Date.now() - at;
  if (one.state === "closed" || one.state === "void") return { tone: "", text: one.closed_at ? t("closed %(when)s", { when: soon(one.closed_at) }) : "" };
  if (one.state === "suspended") return { tone: "", text: t("the clock stands still") };
  if (one.state === "parked") return { tone: late > 0 ? "is-watch" : "", text: late > 0 ? t("to be looked at again") : t("again on %(day)s", { day: dayOf(at) }) };
  if (one.state === "registered") return { tone: late > 0 ? "is-watch" : "", text: t("to be sent out") };
  if (WAITS.has(one.state)) return { tone: late > DAY_MS ? "is-watch" : "", text: `◷ ${t("waits for %(time)s", { time: long(Math.max(late, 0)) })}` };
  if (at.getFullYear() > NEVER) return { tone: "", text: t("no limit runs") };
  if (late > 0) {
    const text = IN_HAND.has(one.state) ? t("%(time)s overdue", { time: long(late) }) : t("%(time)s unsettled", { time: long(late) });
    return { tone: "is-bad", text: `⚠ ${text}` };
  }
  const today = dayOf(at) === dayOf(Date.now());
  return { tone: today ? "is-watch" : "", text: `${today ? "◷ " : ""}${t("by %(when)s", { when: soon(at) })}` };
}

function whenOf(value) {
  if (!value) return null;
  return Date.parse(value) < Date.now() ? t("overdue already") : t("by %(when)s", { when: soon(value) });
}

// Who would get an issue by an act, and until when.
export function foresight(one) {
  const who = one.organisation_name ?? one.desk;
  return [who ? `→ ${who}` : null, whenOf(one.due_at)].filter(Boolean).join(" · ");
}
