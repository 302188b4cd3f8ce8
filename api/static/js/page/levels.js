// The choice of level: automatic by zoom, or one level; a radio group for pointer and keyboard.

import { h, t } from "./dom.js";

export function levelControl(holder, steps, net, onChoose) {
  const choices = [{ level: 0, name: t("Auto") }, ...steps];
  const buttons = choices.map(({ level, name }, index) =>
    h("button", {
      type: "button",
      role: "radio",
      "aria-keyshortcuts": String(index),
      title: level ? `${name} (${index})` : t("Level follows the zoom (0)"),
      onclick: () => choose(index),
    }, name));
  holder.append(...buttons);
  holder.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    choose(at);
    buttons[at].focus();
  });

  function mark() {
    const current = choices.findIndex(({ level }) => level === net.fixedLevel);
    buttons.forEach((button, index) => {
      button.setAttribute("aria-checked", String(index === current));
      button.tabIndex = index === current ? 0 : -1;
      button.classList.toggle("is-shown", net.fixedLevel === 0 && choices[index].level === net.shown && index > 0);
    });
  }

  function choose(index) {
    if (!choices[index]) return;
    net.setLevel(choices[index].level);
    mark();
    onChoose(choices[index].level);
  }

  net.on("level", mark);
  mark();
  return { choose, mark };
}
