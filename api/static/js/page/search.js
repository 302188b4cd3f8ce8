// Search by name or code: a combobox that suggests grids, streets, compounds, stations and buildings.

import { h, say, t } from "./dom.js";

const WAIT_MS = 160;

const words = () => ({
  grid: t("Grid"),
  street: t("Street"),
  compound: t("Compound"),
  station: t("Station"),
  building: t("Building"),
});

export function search(input, list, api, onPick) {
  let items = [];
  let active = -1;
  let timer = 0;
  let pending = null;
  const kinds = words();

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  };

  function row(item, index) {
    return h("li", { role: "option", id: `found-${index}`, "aria-selected": "false", onmousedown: (event) => {
      event.preventDefault();
      pick(index);
    } },
      h("span", { class: "kind" }, kinds[item.type] ?? item.type),
      h("span", {}, item.name),
      item.detail ? h("small", {}, item.detail) : null,
      item.code ? h("span", { class: "code figure" }, item.code) : null);
  }

  function show(found) {
    items = found;
    active = -1;
    list.replaceChildren(...items.map(row));
    if (!items.length) list.append(h("li", { class: "empty", role: "presentation" }, t("Nothing found. Try a shorter name or part of a code.")));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    say(t("%(n)s found", { n: items.length }));
  }

  async function ask() {
    pending?.abort();
    const text = input.value.trim();
    if (!text) return close();
    pending = new AbortController();
    try {
      show((await api.get("/search", { q: text, limit: 12 }, pending.signal)).items ?? []);
    } catch (error) {
      if (error.name !== "AbortError") {
        show([]);
        list.replaceChildren(h("li", { class: "empty", role: "presentation" }, error.message));
      }
    }
  }

  function move(step) {
    if (list.hidden || !items.length) return;
    active = (active + step + items.length) % items.length;
    [...list.children].forEach((child, index) => child.setAttribute("aria-selected", String(index === active)));
    list.children[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `found-${active}`);
  }

  async function pick(index) {
    const item = items[index];
    if (!item) return;
    input.value = item.name;
    close();
    input.blur();
    onPick(item);
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  input.addEventListener("focus", () => input.value && items.length && show(items));
  input.addEventListener("blur", () => setTimeout(close, 120));
  input.addEventListener("keydown", async (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(timer);
      if (active < 0) await ask();
      pick(Math.max(active, 0));
    } else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
      input.blur();
    }
  });
}
