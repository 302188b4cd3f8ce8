// What opens from the bar closes again: by a press elsewhere, by Escape, and when the keyboard leaves it.

const menus = () => document.querySelectorAll(".menu[open], .pill-menu[open]");

document.addEventListener("pointerdown", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
}, true);

document.addEventListener("focusin", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}, true);
