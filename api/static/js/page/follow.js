// A reporter follows the own report: where it stands, whether it is solved, and opens it again.

import { h, say, t } from "./dom.js";
import { ready } from "./ready.js";
import { ask, mine } from "./reports.js";

const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const secret = decodeURIComponent(location.hash.slice(1)) || mine.secret(page.code);
const path = `/reports/${encodeURIComponent(page.code)}`;
const GOOD = new Set(["closed"]);

function fail(message) {
  byId("said").hidden = !message;
  byId("said").textContent = message ?? "";
}

const day = (moment) => new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));

async function act(content, thanks) {
  fail(null);
  try {
    await ask(page, path, { method: "POST", content, secret });
    say(thanks);
    await load();
  } catch (error) {
    fail(error.message);
  }
}

function question(report) {
  if (!report.may?.length) return null;
  if (report.satisfied === true) return h("p", { class: "notice is-good" }, t("You said that it is solved."));
  const said = report.satisfied === false ? h("p", { class: "notice is-watch" }, t("You said that it is not solved.")) : null;
  const why = h("textarea", { rows: 2, maxlength: 2000, "aria-label": t("Say why it is not solved."), placeholder: t("Say why it is not solved.") });
  const again = h("div", { class: "follow-again", hidden: true }, why,
    h("button", { class: "button is-main", type: "button", onclick: () => {
      if (why.value.trim()) act({ act: "reopen", words: why.value.trim() }, t("Thank you for your answer."));
      else {
        fail(t("Say why it is not solved."));
        why.focus();
      }
    } }, t("Open it again")));
  return h("section", { class: "follow-question" }, h("h2", {}, t("Is it solved?")), said,
    h("div", { class: "card-actions" },
      h("button", { class: "button is-main", type: "button", onclick: () => act({ act: "answer", satisfied: true }, t("Thank you for your answer.")) }, t("Yes, it is solved")),
      h("button", { class: "button", type: "button", onclick: () => {
        again.hidden = false;
        why.focus();
      } }, t("It is not solved"))), again);
}

function draw(report) {
  const name = (page.lang === "en" && report.category_name_en) || report.category_name;
  const parts = [
    h("p", { class: "follow-state" }, h("b", {}, name), " ", h("span", { class: `chip ${GOOD.has(report.state) ? "is-good" : ""}` }, report.duplicate_of ? page.acts.merge : page.states[report.state] ?? report.state)),
    report.deadline_at && !GOOD.has(report.state) ? h("p", { class: "quiet" }, t("to be done by %(day)s", { day: day(report.deadline_at) })) : null,
    question(report),
    h("ol", { class: "follow-steps" }, [...report.events].reverse().map((one) => h("li", {}, h("b", {}, page.acts[one.act] ?? one.act), h("small", { class: "quiet figure" }, day(one.at))))),
  ];
  byId("report").replaceChildren(...parts.filter(Boolean));
}

async function load() {
  draw(await ask(page, path, { secret }));
}

if (secret) {
  if (!mine.secret(page.code)) mine.add({ city: page.city, code: page.code, secret, kind: "", day: new Date().toISOString().slice(0, 10) });
  try {
    await load();
  } catch (error) {
    byId("report").replaceChildren();
    fail(error.message);
  }
} else {
  byId("report").replaceChildren();
  fail(t("Nothing is known of this report here. Open it by the whole link that you were given."));
}
ready();
