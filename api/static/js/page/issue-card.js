// One issue: where it stands, what can be done, its photos, its reporter, its history.

import { h, icon, t } from "./dom.js";
import { actButtons } from "./issue-acts.js";
import { photoStrip } from "./issue-photos.js";
import { due, moment } from "./issue-time.js";

function line(term, value) {
  return value === null || value === undefined || value === "" ? null : [h("dt", {}, term), h("dd", {}, value)];
}

const bodyOf = (page, id) => page.organisations.find((one) => one.organisation === id)?.name ?? `#${id}`;
const kindOf = (page, code) => page.kinds.find((one) => one.category === code)?.name ?? code;
const link = (issue, actions) => h("button", { class: "link figure", type: "button", onclick: () => actions.show(issue) }, `#${issue}`);

function facts(one, page, actions) {
  const times = [[t("returned"), one.returns], [t("reworked"), one.reworks], [t("reopened"), one.reopens]].filter(([, n]) => n);
  const waiting = ["reported", "accepted", "verified"].includes(one.state);
  return h("dl", { class: "issue-facts" },
    line(t("deadline"), one.deadline_at ? moment(one.deadline_at) : null),
    waiting ? line(t("to be registered by"), one.register_by ? moment(one.register_by) : null) : null,
    Object.entries(one.deadlines ?? {}).map(([step, at]) => line(page.words.steps[step] ?? step, moment(at))),
    line(t("handed to"), one.organisation_id ? bodyOf(page, one.organisation_id) : null),
    line(t("assisted by"), (one.assisting ?? []).map((id) => bodyOf(page, id)).join("、")),
    line(t("supervised until"), one.supervised_until && (one.supervisor_id === page.user ? `${one.supervised_until} · ${t("by you")}` : one.supervised_until)),
    line(t("to be looked at again on"), one.review_on),
    line(t("does not count"), one.set_aside ? page.words.aside[one.set_aside] ?? one.set_aside : null),
    line(t("reported"), moment(one.reported_at)),
    line(t("address"), one.address),
    line(t("number of the other platform"), one.external),
    line(t("short code"), one.code),
    line(t("repeats"), one.duplicate_of ? link(one.duplicate_of, actions) : null),
    line(t("split off from"), one.split_from ? link(one.split_from, actions) : null),
    times.map(([word, n]) => line(word, n === 1 ? t("once") : t("%(n)s times", { n }))),
    one.satisfied === null ? null : line(t("the reporter is"), one.satisfied ? t("satisfied") : t("not satisfied")));
}

// What a line of the history says beside its act: to whom, from where, until when.
function told(one, page, actions) {
  const { organisation, assisting, rule, from, to, into, before, until, aside, split_from: whole } = one.details;
  const levels = page.words.levels;
  const parts = [];
  if (organisation) parts.push(`→ ${bodyOf(page, organisation)}`);
  else if (organisation === null) parts.push(`→ ${t("the grid itself")}`);
  if (assisting?.length) parts.push(`${t("assisted by")} ${assisting.map((id) => bodyOf(page, id)).join("、")}`);
  if (rule) parts.push(t("by the rule %(name)s", { name: rule }));
  if (one.act === "escalate" && from !== undefined) parts.push(`${levels[from] ?? from} → ${levels[to] ?? to}`);
  if (one.act === "reclassify") parts.push(`${kindOf(page, from)} → ${kindOf(page, to)}`);
  if (one.act === "merge" && into) parts.push([t("goes on as"), " ", link(into, actions)]);
  if (one.act === "merge" && !into && from) parts.push([t("took in"), " ", link(from, actions)]);
  if (one.act === "split") parts.push((one.details.new ?? []).map((issue) => [link(issue, actions), " "]));
  if (whole) parts.push([t("split off from"), " ", link(whole, actions)]);
  if (before) parts.push(t("instead of %(when)s", { when: moment(before) }));
  if (until) parts.push(t("by %(when)s", { when: until }));
  if (aside) parts.push(page.words.aside[aside] ?? aside);
  return parts.length ? h("p", { class: "issue-told" }, parts.map((part, place) => [place ? " · " : "", part])) : null;
}

// Reasons that the house itself wrote are told in the reader's language.
function reasonOf(one, page) {
  const begun = one.act === "hand_over" && /^net (\d+) has begun$/.exec(one.reason);
  return begun ? t("net %(n)s has begun", { n: begun[1] }) : page.words.reasons[one.reason] ?? one.reason;
}

function historyList(items, page, actions) {
  return h("section", {}, h("h3", {}, t("History")), h("ol", { class: "issue-history" }, [...items].reverse().map((one) => h("li", {},
    h("b", {}, page.words.done[one.act] ?? one.act), page.words.states[one.state] === page.words.done[one.act] ? null : h("span", { class: "quiet" }, ` ${page.words.states[one.state] ?? one.state}`),
    told(one, page, actions),
    one.reason ? h("p", {}, reasonOf(one, page)) : null,
    h("small", { class: "quiet figure" }, moment(one.at), one.actor_role ? ` · ${page.words.roles[one.actor_role] ?? one.actor_role}` : "")))));
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

// What may be done now, alone or with the steps before it; what stands already is not offered again.
function offered(one) {
  const idle = new Set([one.set_aside ? "set_aside" : "put_back", one.supervised_until ? "supervise" : "end_supervision"]);
  return [...one.acts, ...Object.keys(one.ways)].filter((act) => !idle.has(act));
}

// Who has it now: the body that it was sent to, or the desk of a grid.
function holder(one, page) {
  const sent = one.organisation_id && ["dispatched", "reworked", "postponed", "suspended", "parked"].includes(one.state);
  const step = one.path[Math.min(one.desk_level, one.path.length) - 1];
  if (["closed", "void"].includes(one.state)) return null;
  return sent ? bodyOf(page, one.organisation_id) : step?.name;
}

export function issueCard(one, { history, photos, seconds, links }, page, actions) {
  const state = due(one);
  const who = holder(one, page);
  const contact = h("p", { class: "quiet", role: "status" });
  const acts = offered(one);
  return [
    h("div", { class: "card-head" }, h("h2", { tabindex: "-1" }, kindOf(page, one.category), " ", h("small", { class: "quiet figure" }, `#${one.issue}`)),
      h("a", { class: "icon-button", href: `/print/issue?${new URLSearchParams({ city: page.city, issue: one.issue })}`, "aria-label": t("Print"), title: `${t("Print")} (P)`, id: "card-print" }, icon("print")),
      h("button", { class: "icon-button", type: "button", "aria-label": t("Close"), title: `${t("Close")} (Esc)`, onclick: actions.close }, "✕")),
    h("p", { class: "issue-stand" }, h("span", { class: "chip" }, page.words.states[one.state] ?? one.state), " ", state.text ? h("span", { class: `chip ${state.tone}` }, state.text) : null, who ? [" ", h("b", { id: "card-holder", title: t("Who has it now") }, who)] : null),
    h("p", { class: "quiet small" }, one.path.map((step, place) => [place ? " › " : "", h("button", { class: "link", type: "button", title: t("Only this grid"), onclick: () => actions.only(step) }, step.name)])),
    h("p", { class: "notice is-watch", id: "card-stale", role: "status", hidden: true }, t("Something changed here meanwhile."), " ", h("button", { class: "link", type: "button", onclick: actions.again }, t("Load it again"))),
    one.words ? h("blockquote", {}, one.words) : null,
    seconds ? h("p", { class: "notice" }, t("%(n)s more see the same.", { n: seconds })) : null,
    h("p", { class: "notice", id: "act-said", role: "alert", hidden: true }),
    acts.length ? h("section", {}, h("h3", {}, t("What can be done")), actions.keep(actButtons(acts, page, actions.run, { one, near: () => actions.near(one), foresee: actions.foresee }))) : h("p", { class: "quiet" }, t("Nobody has anything to do here.")),
    facts(one, page, actions),
    linkList(links, page),
    photoStrip(page, one.issue, photos, actions.changePhoto),
    page.mayContact ? h("section", {}, h("h3", {}, t("Contact of the reporter")),
      h("button", { class: "button", type: "button", onclick: async () => {
        contact.textContent = await actions.contact();
      } }, t("Show")), contact) : null,
    historyList(history, page, actions),
  ];
}
