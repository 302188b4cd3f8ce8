// The rail of tools: every tool has a name and a key, and the help lists them.

import { h, icon, t } from "./dom.js";

// A tick is no typing: its letters still belong to the page.
const isTyping = (target) => target.closest('input:not([type="checkbox"], [type="radio"]), textarea, select, [contenteditable], dialog[open]');

export function tools(rail, list) {
  const buttons = {};
  for (const tool of list) {
    const properties = {
      class: tool.phone ? "tool is-phone" : "tool",
      title: `${tool.name} (${tool.key})`,
      "aria-label": tool.name.includes(tool.caption) ? tool.name : `${tool.caption}: ${tool.name}`,
      "aria-keyshortcuts": tool.key,
    };
    const content = [icon(tool.icon), h("span", {}, tool.caption)];
    const button = h("button", { ...properties, type: "button", onclick: () => tool.run(button) }, content);
    if (tool.toggles) button.setAttribute("aria-pressed", "false");
    if (tool.opens) {
      button.setAttribute("aria-expanded", "false");
      button.setAttribute("aria-controls", tool.opens);
    }
    buttons[tool.icon] = button;
    rail.append(button);
  }
  return buttons;
}

export function keyboard(bindings) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) return;
    const run = bindings[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    if (run(event) !== false) event.preventDefault();
  });
}

export function helpDialog(dialog, rows) {
  dialog.append(
    h("h2", { id: "help-title" }, t("Keys")),
    h("dl", {}, rows.map(([keys, what]) => [
      h("dt", {}, keys.split(" ").map((key) => [h("kbd", {}, key), " "])),
      h("dd", {}, what),
    ])),
    h("form", { method: "dialog" }, h("button", { class: "button is-main" }, t("Close"))),
  );
  return () => dialog.showModal();
}
