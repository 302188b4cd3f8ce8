// The panel as a sheet on small screens: three heights, by drag, click or key.

const HEIGHTS = ["0px", "30dvh", "66dvh"];

export function sheet(handle, body) {
  let at = 1;
  let start = null;
  const small = matchMedia("(max-width: 900px)");

  function set(next) {
    at = Math.min(Math.max(next, 0), HEIGHTS.length - 1);
    body.classList.add("is-moving");
    body.style.setProperty("--sheet", HEIGHTS[at]);
    handle.setAttribute("aria-expanded", String(at > 0));
  }

  handle.addEventListener("click", () => {
    if (!start?.moved) set(at === 2 ? 0 : at + 1);
    start = null;
  });
  handle.addEventListener("pointerdown", (event) => {
    start = { y: event.clientY, height: body.getBoundingClientRect().height, moved: false };
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!start) return;
    const delta = start.y - event.clientY;
    if (Math.abs(delta) < 6) return;
    start.moved = true;
    body.classList.remove("is-moving");
    body.style.setProperty("--sheet", `${Math.max(0, start.height + delta)}px`);
  });
  handle.addEventListener("pointerup", (event) => {
    if (!start?.moved) return;
    const share = (start.height + start.y - event.clientY) / innerHeight;
    set(share < 0.16 ? 0 : share < 0.5 ? 1 : 2);
  });
  set(small.matches ? (innerHeight < 700 ? 0 : 1) : 1);
  return {
    // Makes room to read a card without hiding the map.
    open() {
      if (small.matches && at === 0) set(1);
    },
  };
}
