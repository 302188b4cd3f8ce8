// What can be done to an issue: a button for each act that the account may do now, who would get it and until when, and what each needs to know.

import { h, number, t } from "./dom.js";
import { foresight, momentAt, soon, wall } from "./issue-time.js";
import { textChoice } from "./issue-tools.js";

const NEEDS = {
  dispatch: ["organisation"], joint_dispatch: ["lead", "assisting"], postpone: ["deadline", "reason"], park: ["until", "reason"],
  supervise: ["until", "reason"], reclassify: ["category", "reason"], merge: ["into"], split: ["parts"], set_aside: ["aside", "reason"],
  put_back: ["reason"], return: ["reason"], rework: ["reason"], void: ["reason"], suspend: ["reason"], escalate: ["reason"], note: ["reason"],
  reopen: ["reason"], solve_on_the_spot: ["done"], handle: ["done"],
};
const BY_RULE = "dispatch_by_rule";
const MAIN = [BY_RULE, "handle", "check", "close", "resume", "take_up", "solve_on_the_spot", "accept", "verify", "register", "dispatch"];
const CAREFUL = new Set(["void", "set_aside", "merge"]);
const KEYS = {
  [BY_RULE]: "d", dispatch: "o", joint_dispatch: "g", accept: "a", verify: "v", register: "r", handle: "h", check: "c", close: "e", solve_on_the_spot: "f",
  return: "b", rework: "w", postpone: "t", suspend: "s", resume: "u", take_up: "u", escalate: "i", note: "n", merge: "m", reclassify: "l",
};
const NEAREST = 8;
const DAYS_MORE = { deadline: 3, supervise: 3, park: 30 };
const DAY_MS = 86_400_000;
const PAUSE_MS = 250;
// Done to many at once: what needs to look at each is left out.
export const BULK = [BY_RULE, "dispatch", "accept", "verify", "register", "check", "close", "return", "rework", "suspend", "resume", "void", "escalate", "set_aside", "merge"];
const THROUGH = new Set([BY_RULE, "dispatch", "joint_dispatch", "close"]);

const option = (value, text) => h("option", { value }, text);
const later = (days, from = Date.now()) => wall(Math.max(Date.now(), from) + days * DAY_MS);

function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}

// Issues that one may be a repeat of: those chosen with it, or of its kind and near.
function intoChoice(near, one) {
  const told = near.map((other) => option(other.issue, `#${other.issue} ${other.words || other.address || ""}`.slice(0, 60)));
  if (!one) return field(t("Which one stays"), h("select", { name: "into", required: true }, told));
  const into = h("input", { name: "into", type: "number", min: 1, required: true });
  const select = h("select", { onchange: () => {
    into.value = select.value;
  } }, option("", t("choose, or type its number below")), told);
  return [near.length ? field(t("The same, nearby"), select) : null, field(t("Number of the issue that stays"), into)];
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

// Bodies to tick: a list of many lines is no work for a thumb, nor for one hand on the keyboard.
function tickBodies(page) {
  return h("fieldset", { class: "issue-ticks" }, h("legend", {}, t("Who assists")), page.organisations.map((one) => h("label", {},
    h("input", { type: "checkbox", name: "assisting", value: one.organisation }), " ", one.name)));
}

function control(name, act, page, near, one) {
  const bodies = page.organisations.map((body) => option(body.organisation, body.name));
  switch (name) {
    case "organisation": return field(t("Who solves it"), h("select", { name }, option("", t("as the rules say")), option("itself", t("the grid itself")), bodies));
    case "lead": return field(t("Who solves it"), h("select", { name: "organisation", required: true }, bodies));
    case "assisting": return tickBodies(page);
    case "category": return field(t("Kind"), h("select", { name, required: true }, page.kinds.map((kind) => option(kind.category, kind.name))));
    case "deadline": return field(t("New deadline"), h("input", { name, type: "datetime-local", required: true, value: later(DAYS_MORE.deadline, one?.deadline_at ? Date.parse(one.deadline_at) : 0) }));
    case "until": return field(t("Until"), h("input", { name, type: "date", required: true, value: later(DAYS_MORE[act] ?? 3).slice(0, 10) }));
    case "into": return intoChoice(near, one);
    case "aside": return field(t("Why it does not count"), h("select", { name }, Object.entries(page.words.aside).map(([value, word]) => option(value, word))));
    case "parts": return partsControl(page);
    case "done": return field(t("What was done"), h("textarea", { name: "reason", rows: 2, maxlength: 1000 }));
    default: return field(t("Reason"), h("textarea", { name: "reason", rows: 2, maxlength: 1000, required: true }));
  }
}

// What the form says, as the API takes it.
function read(form, act) {
  const wish = wishOf(act);
  const ticked = [...form.querySelectorAll('[name="assisting"]:checked')].map((one) => Number(one.value));
  if (ticked.length) wish.assisting = ticked;
  for (const element of form.elements) {
    if (!element.name || element.value === "" || element.name === "assisting") continue;
    if (element.value === "itself") wish.itself = true;
    else if (["organisation", "into"].includes(element.name)) wish[element.name] = Number(element.value);
    else if (element.name === "deadline") wish.deadline = momentAt(element.value);
    else wish[element.name] = element.value;
  }
  const parts = [...form.querySelectorAll(".issue-part")].map((part) => Object.fromEntries(
    [...part.querySelectorAll("[data-part]")].filter((one) => one.value).map((one) => [one.dataset.part, one.value])));
  if (parts.length) wish.parts = parts;
  return wish;
}

const wishOf = (act) => ({ act: act === BY_RULE ? "dispatch" : act, ...(THROUGH.has(act) ? { through: true } : {}) });

// What was typed, so that it can be put back where somebody else was quicker.
function kept(form, act) {
  const values = {};
  for (const element of form.elements) if (element.name && element.name !== "assisting") values[element.name] = element.value;
  return { act, values };
}

// Who gets how many of them, until when, and how many cannot be treated so.
function summary(items, page) {
  const groups = new Map();
  for (const one of items) {
    const key = one.ok ? one.organisation_name ?? one.desk ?? page.words.states[one.state] : `✕ ${one.message}`;
    const group = groups.get(key) ?? { ok: one.ok, n: 0, late: 0, due: [], issues: [] };
    group.n += 1;
    group.issues.push(one.issue);
    if (one.due_at && Date.parse(one.due_at) < Date.now()) group.late += 1;
    else if (one.due_at) group.due.push(one.due_at);
    groups.set(key, group);
  }
  return h("ul", { class: "issue-groups" }, [...groups].sort((a, b) => b[1].ok - a[1].ok || b[1].n - a[1].n).map(([who, group]) => {
    const [first, last] = [group.due.sort()[0], group.due.at(-1)];
    const when = first ? t("by %(when)s", { when: soon(first) === soon(last) ? soon(first) : `${soon(first)} – ${soon(last)}` }) : "";
    return h("li", { class: group.ok ? "" : "is-bad" }, h("b", { class: "figure" }, number(group.n)), ` ${group.ok ? "→ " : ""}${who}`, when ? ` · ${when}` : "", group.late ? h("span", { class: "is-bad" }, ` · ${t("%(n)s are overdue already", { n: number(group.late) })}`) : null,
      group.ok ? null : h("small", { class: "quiet figure" }, ` ${group.issues.slice(0, 5).map((issue) => `#${issue}`).join(" ")}${group.n > 5 ? " …" : ""}`));
  }));
}

// Buttons of acts; `run(wish, kept)` does one. `one` is the card at hand, none for many; `near` says what it may repeat; `foresee(wish)` asks what would become of it.
export function actButtons(acts, page, run, { one = null, near = () => [], foresee = null } = {}) {
  const holder = h("div", { class: "issue-acts" });
  const wanted = acts.includes("dispatch") && !acts.includes(BY_RULE) ? [BY_RULE, ...acts] : acts;
  const ordered = [...wanted].sort((a, b) => rank(a) - rank(b));
  const buttons = new Map();

  function close() {
    holder.querySelector("form")?.remove();
    for (const button of buttons.values()) button.removeAttribute("aria-expanded");
  }

  function foreseeing(form, act) {
    const told = h("div", { class: "issue-foresight", role: "status" });
    if (!foresee) return null;
    let timer = null;
    let turn = 0;
    async function ask() {
      const mine = ++turn;
      const items = await foresee(read(form, act)).catch(() => []);
      if (mine !== turn) return;
      const single = one && items.length === 1 ? items[0] : null;
      told.replaceChildren(...(single ? [h("p", { class: single.ok ? "" : "is-bad" }, single.ok ? foresight(single) : `✕ ${single.message}`)] : items.length ? [summary(items, page)] : []));
    }
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE_MS);
    });
    ask();
    return told;
  }

  function start(act, values = {}) {
    close();
    if (!NEEDS[act] && (one || !foresee)) {
      run(wishOf(act), null);
      return;
    }
    buttons.get(act)?.setAttribute("aria-expanded", "true");
    const form = h("form", { class: "issue-act-form" }, h("b", {}, wordOf(act, page)),
      (NEEDS[act] ?? []).map((name) => control(name, act, page, act === "merge" ? near().slice(0, one ? NEAREST : undefined) : [], one)));
    for (const [name, value] of Object.entries(values)) if (form.elements[name]) form.elements[name].value = value;
    const told = foreseeing(form, act);
    const go = h("button", { class: "button is-main", type: "submit" }, t("Do it"), " ", h("kbd", { "aria-hidden": "true" }, "Ctrl ↵"));
    go.setAttribute("aria-label", t("Do it"));
    form.dataset.act = act;
    form.append(...[told, h("div", { class: "card-actions" }, go, h("button", { class: "button", type: "button", onclick: close }, t("Cancel")))].filter(Boolean));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      form.setAttribute("aria-busy", "true");
      await run(read(form, act), kept(form, act));
      go.disabled = false;
      form.removeAttribute("aria-busy");
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      else if (event.key === "Escape") {
        close();
        buttons.get(act)?.focus();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    const reason = form.elements.reason;
    if (reason && one) reason.closest("label").before(textChoice(page, one.issue, reason, act));
    holder.append(form);
    (form.querySelector("select, input, textarea") ?? go).focus();
  }

  holder.append(h("div", { class: `issue-buttons ${one ? "is-told" : ""}` }, ordered.map((act, place) => {
    const told = one?.foreseen?.[act === BY_RULE ? "dispatch" : act];
    const before = told && act !== "dispatch" ? told.through.map((step) => page.words.acts[step]).join("、") : "";
    const small = act === "dispatch" ? "" : [told ? foresight(told) : "", before ? t("with %(steps)s", { steps: before }) : ""].filter(Boolean).join(" · ");
    const said = small ? h("small", { id: `foreseen-${act}`, class: "issue-foreseen" }, small) : null;
    const button = h("button", {
      class: `button ${place === 0 && MAIN.includes(act) && one ? "is-main" : ""} ${CAREFUL.has(act) ? "is-careful" : ""} ${small ? "has-more" : ""}`,
      type: "button", "data-act": act, "aria-label": wordOf(act, page), "aria-describedby": said ? said.id : null, "aria-keyshortcuts": KEYS[act] ?? null, onclick: () => start(act),
    }, h("span", {}, wordOf(act, page), KEYS[act] ? [" ", h("kbd", { "aria-hidden": "true" }, KEYS[act].toUpperCase())] : null), said);
    buttons.set(act, button);
    return button;
  })));
  holder.start = start;
  holder.draft = () => {
    const form = holder.querySelector("form");
    const words = form && [...form.querySelectorAll("textarea")].some((one) => one.value.trim());
    return words ? kept(form, form.dataset.act) : null;
  };
  holder.press = (key) => {
    const act = ordered.find((name) => KEYS[name] === key);
    if (act) start(act);
    return Boolean(act);
  };
  return holder;
}

const wordOf = (act, page) => (act === BY_RULE ? t("Dispatch by the rules") : page.words.acts[act] ?? act);

export const ACT_KEYS = [...new Set(Object.values(KEYS))];

function rank(act) {
  const place = MAIN.indexOf(act);
  return place < 0 ? (CAREFUL.has(act) ? 200 : 100) : place;
}
