// One issue: where it stands, what can be done, its photos, its reporter, its history.

import { h, icon, t } from "./dom.js";
import { actButtons } from "./issue-acts.js";
import { photoStrip } from "./issue-photos.js";

const lang = document.documentElement.lang;
const HOUR_MS = 3_600_000;
const NEVER = 2900;
// Moments are those of the city, wherever the desk stands.
const timeZone = JSON.parse(document.body.dataset.page).zone;
const day = new Intl.DateTimeFormat("en-CA", { timeZone });

export const moment = (value) => new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short", timeZone }).format(new Date(value));

// How an issue stands to its limit: overdue and due today by sign and word, the rest quietly.
export function due(one) {
  const at = new Date(one.due_at);
  if (at.getFullYear() > NEVER) return { tone: "", text: t("no limit runs") };
  const late = Date.now() - at;
  if (late > 0) {
    const hours = Math.ceil(late / HOUR_MS);
    return { tone: "is-bad", text: `⚠ ${hours < 48 ? t("%(n)s h overdue", { n: hours }) : t("%(n)s d overdue", { n: Math.floor(hours / 24) })}` };
  }
  const today = day.format(at) === day.format(new Date());
  return { tone: today ? "is-watch" : "", text: `${today ? "◷ " : ""}${t("due %(when)s", { when: moment(at) })}` };
}

function line(term, value) {
  return value === null || value === undefined || value === "" ? null : [h("dt", {}, term), h("dd", {}, value)];
}

function facts(one, page) {
  const body = page.organisations.find((other) => other.organisation === one.organisation_id);
  const helping = (one.assisting ?? []).map((id) => page.organisations.find((other) => other.organisation === id)?.name ?? id).join("、");
  const times = [[t("returned"), one.returns], [t("reworked"), one.reworks], [t("reopened"), one.reopens]].filter(([, n]) => n);
  return h("dl", { class: "issue-facts" },
    line(t("reported"), moment(one.reported_at)),
    line(t("address"), one.address),
    line(t("handed to"), body?.name),
    line(t("assisted by"), helping),
    line(t("number of the other platform"), one.external),
    line(t("short code"), one.code),
    line(t("repeats"), one.duplicate_of ? `#${one.duplicate_of}` : null),
    line(t("split off from"), one.split_from ? `#${one.split_from}` : null),
    line(t("deadline"), one.deadline_at ? moment(one.deadline_at) : null),
    times.map(([word, n]) => line(word, t("%(n)s times", { n }))),
    one.satisfied === null ? null : line("", one.satisfied ? t("satisfied") : t("not satisfied")));
}

function historyList(items, page) {
  return h("section", {}, h("h3", {}, t("History")), h("ol", { class: "issue-history" }, [...items].reverse().map((one) => h("li", {},
    h("b", {}, page.words.done[one.act] ?? one.act), " ", h("span", { class: "quiet" }, page.words.states[one.state] ?? one.state),
    h("small", { class: "quiet figure" }, moment(one.at), one.actor_role ? ` · ${page.words.roles[one.actor_role] ?? one.actor_role}` : ""),
    one.reason ? h("p", {}, one.reason) : null))));
}

// What it came of and on whose lists it stands, each with its page.
function linkList({ devices, meetings, campaigns }, page) {
  const to = (path, more, text) => h("li", {}, h("a", { href: `${path}?${new URLSearchParams({ city: page.city, ...more })}` }, text));
  const all = [
    ...devices.map((one) => to("/issues/devices", { device: one.device }, t("%(n)s alarms of %(name)s", { n: one.alarms, name: one.name }))),
    ...meetings.map((one) => to("/meetings", { meeting: one.meeting }, t("topic %(n)s of %(name)s", { n: one.n, name: one.title }))),
    ...campaigns.map((one) => to("/campaigns", { campaign: one.campaign }, t("line %(n)s of %(name)s", { n: one.n, name: one.name }))),
  ];
  return all.length ? h("section", {}, h("h3", {}, t("Belongs to")), h("ul", {}, all)) : null;
}

// What stands already is not offered again.
function offered(one) {
  const idle = new Set([one.set_aside ? "set_aside" : "put_back", one.supervised_until ? "supervise" : "end_supervision"]);
  return one.acts.filter((act) => !idle.has(act));
}

export function issueCard(one, { history, photos, seconds, links }, page, actions) {
  const state = due(one);
  const kind = page.kinds.find((other) => other.category === one.category)?.name ?? one.category;
  const contact = h("p", { class: "quiet", role: "status" });
  return [
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, kind, " ", h("small", { class: "quiet figure" }, `#${one.issue}`)),
      h("a", { class: "icon-button", href: `/print/issue?${new URLSearchParams({ city: page.city, issue: one.issue })}`, "aria-label": t("Print"), title: `${t("Print")} (P)`, id: "card-print" }, icon("print")),
      h("button", { class: "icon-button", type: "button", "aria-label": t("Close"), title: `${t("Close")} (Esc)`, onclick: actions.close }, "✕")),
    h("p", {}, h("span", { class: "chip" }, page.words.states[one.state] ?? one.state), " ", h("span", { class: `chip ${state.tone}` }, state.text)),
    h("p", { class: "quiet small" }, one.path.map((step, place) => [place ? " › " : "", h("button", { class: "link", type: "button", title: t("Only this grid"), onclick: () => actions.only(step) }, step.name)])),
    h("p", { class: "notice is-watch", id: "card-stale", role: "status", hidden: true }, t("Something changed here meanwhile."), " ", h("button", { class: "link", type: "button", onclick: actions.again }, t("Load it again"))),
    one.words ? h("blockquote", {}, one.words) : null,
    seconds ? h("p", { class: "notice" }, t("%(n)s more see the same.", { n: seconds })) : null,
    h("p", { class: "notice is-bad", id: "act-said", role: "alert", hidden: true }),
    one.acts.length ? h("section", {}, h("h3", {}, t("What can be done")), actButtons(offered(one), page, actions.run, { issue: one.issue, near: () => actions.near(one) })) : h("p", { class: "quiet" }, t("Nobody has anything to do here.")),
    facts(one, page),
    linkList(links, page),
    photoStrip(page, one.issue, photos, actions.changePhoto),
    page.mayContact ? h("section", {}, h("h3", {}, t("Contact of the reporter")),
      h("button", { class: "button", type: "button", onclick: async () => {
        contact.textContent = await actions.contact();
      } }, t("Show")), contact) : null,
    historyList(history, page),
  ];
}
