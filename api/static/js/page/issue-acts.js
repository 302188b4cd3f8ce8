// What can be done to an issue: a button for each act that the account may do now, and what each needs to know.

import { h, t } from "./dom.js";
import { textChoice } from "./issue-tools.js";

const NEEDS = {
  dispatch: ["organisation"], joint_dispatch: ["lead", "assisting"], postpone: ["deadline", "reason"], park: ["until", "reason"],
  supervise: ["until", "reason"], reclassify: ["category", "reason"], merge: ["into"], split: ["parts"], set_aside: ["aside", "reason"],
  put_back: ["reason"], return: ["reason"], rework: ["reason"], void: ["reason"], suspend: ["reason"], escalate: ["reason"], note: ["reason"],
  reopen: ["reason"], solve_on_the_spot: ["done"], handle: ["done"],
};
const MAIN = ["accept", "verify", "register", "dispatch", "handle", "check", "close", "resume", "take_up", "solve_on_the_spot"];
const CAREFUL = new Set(["void", "set_aside", "merge"]);
const NEAREST = 8;
// Done to many at once: what needs to look at each is left out.
export const BULK = ["accept", "verify", "register", "dispatch", "check", "close", "return", "rework", "suspend", "resume", "void", "escalate", "set_aside", "merge"];

const option = (value, text) => h("option", { value }, text);

function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}

// Issues that one may be a repeat of: those chosen with it, or of its kind and near.
function intoChoice(page, near) {
  const told = near.map((one) => option(one.issue, `#${one.issue} ${one.words || one.address || ""}`.slice(0, 60)));
  if (!page.one) return field(t("Which one stays"), h("select", { name: "into", required: true }, told));
  const number = h("input", { name: "into", type: "number", min: 1, required: true });
  const select = h("select", { onchange: () => {
    number.value = select.value;
  } }, option("", t("choose, or type its number below")), told);
  return [near.length ? field(t("The same, nearby"), select) : null, field(t("Number of the issue that stays"), number)];
}

// One part or several, each with words and a kind of its own.
function partsControl(page) {
  const parts = h("div", { class: "issue-parts" });
  const add = () => parts.append(h("fieldset", { class: "issue-part" },
    field(t("Words of the part that is split off"), h("textarea", { "data-part": "words", rows: 2, maxlength: 2000, required: true })),
    field(t("Kind"), h("select", { "data-part": "category" }, option("", t("the same kind")), page.kinds.map((one) => option(one.category, one.name))))));
  add();
  return [parts, h("button", { class: "link", type: "button", onclick: add }, t("One more part"))];
}

function control(name, page, near) {
  const bodies = page.organisations.map((one) => option(one.organisation, one.name));
  switch (name) {
    case "organisation": return field(t("Who solves it"), h("select", { name }, option("", t("as the rules say")), option("itself", t("the grid itself")), bodies));
    case "lead": return field(t("Who solves it"), h("select", { name: "organisation", required: true }, bodies));
    case "assisting": return field(t("Who assists"), h("select", { name, multiple: true, size: 5, required: true }, bodies));
    case "category": return field(t("Kind"), h("select", { name, required: true }, page.kinds.map((one) => option(one.category, one.name))));
    case "deadline": return field(t("New deadline"), h("input", { name, type: "datetime-local", required: true }));
    case "until": return field(t("Until"), h("input", { name, type: "date", required: true }));
    case "into": return intoChoice(page, near);
    case "aside": return field(t("Why it does not count"), h("select", { name }, Object.entries(page.words.aside).map(([value, word]) => option(value, word))));
    case "parts": return partsControl(page);
    case "done": return field(t("What was done"), h("textarea", { name: "reason", rows: 2, maxlength: 1000 }));
    default: return field(t("Reason"), h("textarea", { name: "reason", rows: 2, maxlength: 1000, required: true }));
  }
}

// What the form says, as the API takes it.
function read(form, act) {
  const wish = { act };
  for (const element of form.elements) {
    if (!element.name || element.value === "") continue;
    if (element.name === "assisting") wish.assisting = [...element.selectedOptions].map((one) => Number(one.value));
    else if (element.value === "itself") wish.itself = true;
    else if (["organisation", "into"].includes(element.name)) wish[element.name] = Number(element.value);
    else if (element.name === "deadline") wish.deadline = new Date(element.value).toISOString();
    else wish[element.name] = element.value;
  }
  const parts = [...form.querySelectorAll(".issue-part")].map((part) => Object.fromEntries(
    [...part.querySelectorAll("[data-part]")].filter((one) => one.value).map((one) => [one.dataset.part, one.value])));
  if (parts.length) wish.parts = parts;
  return wish;
}

// Buttons of acts; `run(wish)` does one. `issue` is the one at hand, none for many; `near` says what it may repeat.
export function actButtons(acts, page, run, { issue = null, near = () => [] } = {}) {
  const holder = h("div", { class: "issue-acts" });
  const ordered = [...acts].sort((a, b) => rank(a) - rank(b));

  function start(act, button) {
    holder.querySelector("form")?.remove();
    for (const one of holder.querySelectorAll("button")) one.setAttribute("aria-expanded", "false");
    if (!NEEDS[act]) {
      run({ act });
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const form = h("form", { class: "issue-act-form" }, h("b", {}, page.words.acts[act]),
      NEEDS[act].map((name) => control(name, { ...page, one: issue !== null }, act === "merge" ? near().slice(0, issue === null ? undefined : NEAREST) : [])),
      h("div", { class: "card-actions" }, h("button", { class: "button is-main", type: "submit" }, t("Do it")),
        h("button", { class: "button", type: "button", onclick: () => form.remove() }, t("Cancel"))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(read(form, act));
    });
    const reason = form.elements.reason;
    if (reason && issue !== null) reason.closest("label").before(textChoice(page, issue, reason, act));
    holder.append(form);
    form.querySelector("select, input, textarea")?.focus();
  }

  holder.append(h("div", { class: "issue-buttons" }, ordered.map((act, place) => {
    const button = h("button", {
      class: `button ${place === 0 && MAIN.includes(act) ? "is-main" : ""} ${CAREFUL.has(act) ? "is-careful" : ""}`,
      type: "button", "data-act": act, onclick: () => start(act, button),
    }, page.words.acts[act] ?? act);
    return button;
  })));
  return holder;
}

function rank(act) {
  const place = MAIN.indexOf(act);
  return place < 0 ? (CAREFUL.has(act) ? 200 : 100) : place;
}
