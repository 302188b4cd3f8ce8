// What stands beside the list of a desk: answer texts, files for another platform, live events.

import { h, t } from "./dom.js";
import { dayOf } from "./issue-time.js";
import { ask } from "./reports.js";

const AGAIN_MS = 60_000;
const SOON_MS = 2_000;
const OWN_LISTS = new Set(["list", "list_en"]);

const option = (value, text, more = {}) => h("option", { value, ...more }, text);

const named = (label, control) => h("label", { class: "field" }, h("span", {}, label), control);

// A choice of texts, filled for the issue, that are put into a field; nothing where there is none.
export function textChoice(page, issue, field, act) {
  const select = h("select", { "aria-label": t("Answer text") }, option("", t("Answer text …")));
  const holder = named(t("Answer text"), select);
  holder.hidden = true;
  ask(page, `/issues/${issue}/answer-texts`).then(({ items }) => {
    const fitting = items.filter((one) => !one.act || one.act === act);
    holder.hidden = !fitting.length;
    for (const one of fitting) select.append(option(one.text, one.title));
    select.addEventListener("change", () => {
      const one = fitting.find((other) => String(other.text) === select.value);
      if (!one) return;
      field.value = one.filled;
      field.focus();
      const [from, to] = [one.filled.indexOf("【"), one.filled.indexOf("】")];
      if (from >= 0) field.setSelectionRange(from, to + 1);
    });
  }).catch(() => {});
  return holder;
}

// The dialog in which an administrator keeps the texts.
export async function textsDialog(dialog, page) {
  const list = h("ul", { class: "issue-texts" });
  const said = h("p", { class: "notice is-bad", role: "alert", hidden: true });
  let own = null;
  const form = h("form", { class: "issue-act-form" },
    named(t("Title"), h("input", { name: "title", required: true, maxlength: 80 })),
    named(t("Kind"), h("select", { name: "category" }, option("", t("All kinds")), page.kinds.map((one) => option(one.category, one.name)))),
    named(t("For"), h("select", { name: "act" }, option("", t("every act")), Object.entries(page.words.acts).map(([act, word]) => option(act, word)))),
    named(t("Text"), h("textarea", { name: "body", rows: 4, required: true, maxlength: 1000 })),
    h("p", { class: "quiet small" }, t("Places in braces are filled from the issue: %(places)s. Any other word in braces is left to whoever writes.", { places: page.places.map((one) => `{${one}}`).join(" ") })),
    h("div", { class: "card-actions" }, h("button", { class: "button is-main", type: "submit" }, t("Save")),
      h("button", { class: "button", type: "button", onclick: () => edit(null) }, t("New text"))));

  function edit(one) {
    own = one?.text ?? null;
    for (const name of ["title", "category", "act", "body"]) form.elements[name].value = one?.[name] ?? "";
    form.elements.title.focus();
  }

  async function run(work) {
    said.hidden = true;
    try {
      await work();
      await load();
    } catch (error) {
      said.hidden = false;
      said.textContent = error.message;
    }
  }

  async function load() {
    const { items } = await ask(page, "/answer-texts");
    list.replaceChildren(...(items.length ? items.map((one) => h("li", {},
      h("button", { class: "link", type: "button", onclick: () => edit(one) }, one.title),
      h("small", { class: "quiet" }, [page.kinds.find((kind) => kind.category === one.category)?.name ?? t("All kinds"), page.words.acts[one.act]].filter(Boolean).join(" · ")),
      h("button", { class: "link is-careful", type: "button", "aria-label": `${t("Take away")}: ${one.title}`, onclick: () => run(() => ask(page, `/answer-texts/${one.text}`, { method: "DELETE" })) }, t("Take away"))))
      : [h("li", { class: "quiet" }, t("No text is kept yet. One that is saved here is offered wherever a reason is written."))]));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wish = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value || null]));
    run(async () => {
      await ask(page, own ? `/answer-texts/${own}` : "/answer-texts", { method: own ? "PUT" : "POST", content: wish });
      edit(null);
    });
  });
  dialog.replaceChildren(h("h2", {}, t("Answer texts")), list, said, form, h("form", { method: "dialog" }, h("button", { class: "button" }, t("Close"))));
  await run(async () => {});
  dialog.showModal();
}

// The dialog that hands out files: our own table, or the columns of another platform.
export async function filesDialog(dialog, page, query) {
  const { items } = await ask(page, "/exports").catch(() => ({ items: [] }));
  const today = dayOf(Date.now());
  const own = page.lang === "en" ? "list_en" : "list";
  const others = items.filter((one) => one.own || !OWN_LISTS.has(one.name));
  const form = h("form", { class: "issue-act-form" },
    named(t("Columns"), h("select", { name: "name" }, option(own, t("our own, the list as it stands")), others.map((one) => option(one.name, `${one.title} (${one.name})`)))),
    named(t("Format"), h("select", { name: "f" }, option("xlsx", "XLSX"), option("csv", "CSV"))),
    h("fieldset", { class: "issue-period" }, h("legend", {}, t("Which issues")),
      h("label", { class: "field is-check" }, h("input", { type: "radio", name: "which", value: "open", checked: true }), t("the list as it stands, with its box and filters")),
      h("label", { class: "field is-check" }, h("input", { type: "radio", name: "which", value: "period" }), t("all that was reported in a period")),
      named(t("From"), h("input", { name: "from", type: "date", value: `${today.slice(0, 8)}01` })), named(t("To"), h("input", { name: "to", type: "date", value: today }))),
    h("div", { class: "card-actions" }, h("button", { class: "button is-main", type: "submit" }, t("Download"))),
    h("p", { class: "notice is-bad", role: "alert", hidden: true }),
    h("p", { class: "quiet small" }, t("The number of the other platform is kept. Contacts are in no file; each file is a row of the log.")));
  const follow = () => {
    form.elements.from.disabled = form.elements.to.disabled = form.elements.which.value !== "period";
  };
  form.addEventListener("change", follow);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = form.querySelector("[role=alert]");
    const search = query({ f: form.elements.f.value });
    for (const one of ["limit", "after"]) search.delete(one);
    if (form.elements.which.value === "period") {
      search.delete("box");
      search.set("from", form.elements.from.value);
      search.set("to", form.elements.to.value);
    } else search.set("as_listed", "true");
    form.setAttribute("aria-busy", "true");
    said.hidden = true;
    try {
      await download(`${page.api}/exports/${form.elements.name.value}?${search}`);
      dialog.close();
    } catch (error) {
      said.hidden = false;
      said.textContent = error.message;
    }
    form.removeAttribute("aria-busy");
  });
  follow();
  dialog.replaceChildren(h("h2", {}, t("Download issues")), form, h("form", { method: "dialog" }, h("button", { class: "button" }, t("Close"))));
  dialog.showModal();
}

// A file is fetched first, so that a refusal is said here and not in place of the page.
async function download(address) {
  const answer = await fetch(address).catch(() => null);
  if (!answer) throw new Error(t("The server cannot be reached. Check the connection and try again."));
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.detail || told.title || t("The server could not answer. Try again."));
  }
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "issues";
  const blob = URL.createObjectURL(await answer.blob());
  const link = h("a", { href: blob, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(blob), AGAIN_MS);
}

// Calls back with the counts whenever something on the desk has changed. A browser gives up a stream that was refused once:
// it is asked for again, each time a little later, and the list is asked for now and again meanwhile.
export function live(page, told, asked, heard) {
  let source = null;
  let pause = SOON_MS;
  let open = false;
  let over = false;
  function connect() {
    source = new EventSource(`${page.api}/desk/events`);
    source.addEventListener("open", () => {
      open = true;
      pause = SOON_MS;
      heard("open");
    });
    source.addEventListener("desk", (event) => told(JSON.parse(event.data)));
    source.addEventListener("over", () => {
      over = true;
      open = false;
      source.close();
      heard("over");
    });
    source.addEventListener("error", () => {
      open = false;
      if (over) return;
      heard("away");
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, pause);
      pause = Math.min(2 * pause, AGAIN_MS);
    });
  }
  connect();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted && !over) connect();
  });
  setInterval(() => {
    if (!open && !over && document.visibilityState === "visible") asked();
  }, AGAIN_MS);
}
