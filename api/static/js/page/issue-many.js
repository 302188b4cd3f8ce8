// Many issues of the desk's list at once: which are ticked, the bar with their acts, and what came of these.

import { h, number, say, t } from "./dom.js";
import { BULK, actButtons } from "./issue-acts.js";
import { ask } from "./reports.js";

const SHOWN_FAILURES = 8;
const byId = (id) => document.getElementById(id);

// The desk gives its rows as they are now, how to draw and load them again, and how to show one.
export function manyIssues(page, { rows, draw, reload, show }) {
  const chosen = new Set();
  let buttons = null;
  let last = null;

  function toggle(issue) {
    if (chosen.has(issue)) chosen.delete(issue);
    else chosen.add(issue);
    last = issue;
    drawBar();
  }

  // With the shift key everything between this one and the one before is ticked as well.
  function tickTo(issue, event) {
    const [from, to] = [last, issue].map((one) => rows().findIndex((row) => row.issue === one));
    if (event.shiftKey && from >= 0) {
      for (const row of rows().slice(Math.min(from, to), Math.max(from, to) + 1)) chosen.add(row.issue);
      last = issue;
      draw();
    } else toggle(issue);
  }

  // All that are shown, or none of them.
  function chooseAll() {
    const all = rows().every((one) => chosen.has(one.issue));
    for (const one of rows()) {
      if (all) chosen.delete(one.issue);
      else chosen.add(one.issue);
    }
    draw();
  }

  // Built once for what is chosen: a form that is being filled in stays when the list changes under it.
  function drawBar() {
    const bar = byId("bulk");
    for (const one of byId("rows").querySelectorAll(".issue-tick input")) one.checked = chosen.has(Number(one.closest("li").dataset.issue));
    byId("choose-all").textContent = rows().length && rows().every((one) => chosen.has(one.issue)) ? t("Choose none") : t("Choose all");
    bar.hidden = !chosen.size && !bar.querySelector(".notice");
    if (!chosen.size) {
      buttons?.remove();
      buttons = null;
      bar.querySelector("b")?.remove();
      return;
    }
    if (!buttons) {
      buttons = actButtons(BULK, page, run, { near: () => rows().filter((one) => chosen.has(one.issue)), foresee });
      bar.replaceChildren(h("b", { role: "status" }), buttons);
    }
    bar.querySelector("b").textContent = t("%(n)s chosen", { n: number(chosen.size) });
    buttons.querySelector("form")?.dispatchEvent(new Event("input"));
  }

  // The versions of those that were looked at: what somebody changed since is left as it is.
  function wanted(wish) {
    const issues = [...chosen].filter((one) => one !== wish.into);
    const versions = Object.fromEntries(rows().filter((one) => issues.includes(one.issue)).map((one) => [one.issue, one.version]));
    return { ...wish, issues, versions };
  }

  const foresee = async (wish) => (chosen.size ? (await ask(page, "/issues/foreseen", { method: "POST", content: wanted(wish) })).items : []);

  function tell(tone, ...content) {
    const bar = byId("bulk");
    bar.hidden = false;
    bar.querySelector(".notice")?.remove();
    bar.prepend(h("div", { class: `notice ${tone}`, role: tone === "is-bad" ? "alert" : "status" }, content, h("button", { class: "link", type: "button", "aria-label": t("Close"), onclick: () => {
      bar.querySelector(".notice").remove();
      drawBar();
    } }, "✕")));
  }

  async function run(wish) {
    try {
      const { items } = await ask(page, "/issues/acts", { method: "POST", content: wanted(wish) });
      const failed = items.filter((one) => !one.ok);
      drop();
      await reload();
      for (const one of failed) if (rows().some((row) => row.issue === one.issue)) chosen.add(one.issue);
      draw();
      const why = failed.slice(0, SHOWN_FAILURES).map((one) => h("li", {}, h("button", { class: "link figure", type: "button", onclick: () => show(one.issue) }, `#${one.issue}`), ` ${one.message}`));
      tell(failed.length ? "is-watch" : "is-good", h("p", {}, t("%(n)s done", { n: number(items.length - failed.length) }), failed.length ? ` · ${t("%(n)s not done, they stay chosen:", { n: number(failed.length) })}` : ""),
        why.length ? h("ul", {}, why, failed.length > SHOWN_FAILURES ? h("li", {}, "…") : null) : null);
      say(t("%(n)s done", { n: items.length - failed.length }));
    } catch (error) {
      tell("is-bad", error.message);
    }
  }

  function drop() {
    chosen.clear();
    drawBar();
  }

  return { any: () => chosen.size > 0, has: (issue) => chosen.has(issue), buttons: () => buttons, toggle, tickTo, chooseAll, drop, drawBar };
}
