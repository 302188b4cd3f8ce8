// What stands beside the list of a desk: answer texts, files for another platform, live events.

import { h, t } from "./dom.js";
import { ask } from "./reports.js";

const AGAIN_MS = 60_000;

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
  const today = new Date().toISOString().slice(0, 10);
  const form = h("form", { class: "issue-act-form" },
    named(t("Columns"), h("select", { name: "name" }, option("", t("our own, the list as it stands")), items.map((one) => option(one.name, `${one.title} (${one.name})`)))),
    named(t("Format"), h("select", { name: "f" }, option("xlsx", "XLSX"), option("csv", "CSV"))),
    h("fieldset", { class: "issue-period" }, h("legend", {}, t("Which issues")),
      h("label", { class: "field is-check" }, h("input", { type: "radio", name: "which", value: "open", checked: true }), t("what is open, with the filters of the list")),
      h("label", { class: "field is-check" }, h("input", { type: "radio", name: "which", value: "period" }), t("all that was reported in a period")),
      named(t("From"), h("input", { name: "from", type: "date", value: `${today.slice(0, 8)}01` })), named(t("To"), h("input", { name: "to", type: "date", value: today }))),
    h("div", { class: "card-actions" }, h("button", { class: "button is-main", type: "submit" }, t("Download"))),
    h("p", { class: "quiet small" }, t("The number of the other platform is kept. Contacts are in no file; each file is a row of the log.")));
  const follow = () => {
    const own = !form.elements.name.value;
    form.elements.f.disabled = own;
    for (const one of form.elements.which) one.disabled = own;
    const period = !own && form.elements.which.value === "period";
    form.elements.from.disabled = form.elements.to.disabled = !period;
  };
  form.addEventListener("change", follow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = form.elements.name.value;
    const search = query({ f: name ? form.elements.f.value : "csv" });
    if (name) for (const one of ["limit", "after"]) search.delete(one);
    if (name && form.elements.which.value === "period") {
      search.delete("box");
      search.set("from", form.elements.from.value);
      search.set("to", form.elements.to.value);
    }
    location.assign(`${page.api}${name ? `/exports/${name}` : "/desk"}?${search}`);
    dialog.close();
  });
  follow();
  dialog.replaceChildren(h("h2", {}, t("Download issues")), form, h("form", { method: "dialog" }, h("button", { class: "button" }, t("Close"))));
  dialog.showModal();
}

// Calls back with the counts whenever something on the desk has changed; asks now and again where events do not come through.
export function live(page, told, asked) {
  let open = false;
  const source = new EventSource(`${page.api}/desk/events`);
  source.addEventListener("open", () => {
    open = true;
  });
  source.addEventListener("desk", (event) => told(JSON.parse(event.data)));
  source.addEventListener("over", () => source.close());
  source.addEventListener("error", () => {
    open = false;
  });
  addEventListener("pagehide", () => source.close());
  setInterval(() => {
    if (!open && document.visibilityState === "visible") asked();
  }, AGAIN_MS);
}
