// The photos of an issue: looked at, painted over with a brush, released by a desk.

import { h, t } from "./dom.js";

const RADII = { fine: 0.012, usual: 0.035, broad: 0.08 };
const MOST_POINTS = 2000;
const MOST_STROKES = 200;

const address = (page, issue, photo, small) => `${page.api}/issues/${issue}/photos/${photo.photo}${small ? "?thumbnail=true" : ""}`;

export function photoStrip(page, issue, photos, change) {
  if (!photos.length) return null;
  return h("section", {}, h("h3", {}, t("Photos")), h("ul", { class: "issue-photos" }, photos.map((photo, place) => h("li", {},
    h("a", { href: address(page, issue, photo, false), target: "_blank", rel: "noopener", "aria-label": t("Photo %(n)s", { n: place + 1 }) },
      h("img", { src: `${address(page, issue, photo, true)}&v=${encodeURIComponent(photo.covered_at ?? "")}`, alt: "", width: 120, height: 90, loading: "lazy" })),
    h("span", { class: `chip ${photo.released_at ? "is-good" : ""}` }, photo.released_at ? t("released") : t("private")),
    photo.covered_at ? h("span", { class: "chip" }, t("covered")) : null,
    page.mayRelease ? h("span", { class: "issue-photo-acts" },
      h("button", { class: "link", type: "button", onclick: () => brush(page, issue, photo, change) }, t("Cover")),
      h("button", { class: "link", type: "button", onclick: () => change(photo.photo, { released: !photo.released_at }) }, photo.released_at ? t("Hide") : t("Release"))) : null))));
}

// A canvas that is drawn on by mouse, finger or pen; what is shown is exactly what the house will paint.
function easel(image) {
  const canvas = h("canvas", { width: image.width, height: image.height });
  const context = canvas.getContext("2d");
  const made = { canvas, strokes: [], radius: RADII.usual, undo };
  let stroke = null;

  function paint() {
    context.drawImage(image, 0, 0);
    context.strokeStyle = context.fillStyle = "rgb(91 103 118)";
    context.lineCap = context.lineJoin = "round";
    for (const one of made.strokes) {
      const radius = one.radius * Math.max(canvas.width, canvas.height);
      context.lineWidth = 2 * radius;
      context.beginPath();
      one.points.forEach(([x, y], place) => context[place ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
      context.stroke();
      for (const [x, y] of one.points) {
        context.beginPath();
        context.arc(x * canvas.width, y * canvas.height, radius, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  }

  // A stroke that grows too long for the house goes on as a new one from where it stands.
  function draw(points) {
    for (const point of points) {
      if (stroke.points.length >= MOST_POINTS) {
        if (made.strokes.length >= MOST_STROKES) return;
        stroke = { points: [stroke.points.at(-1)], radius: stroke.radius };
        made.strokes.push(stroke);
      }
      stroke.points.push(point);
    }
    paint();
  }

  function undo() {
    made.strokes.pop();
    paint();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (made.strokes.length >= MOST_STROKES || (event.pointerType === "mouse" && event.button !== 0)) return;
    canvas.setPointerCapture(event.pointerId);
    stroke = { points: [], radius: made.radius, pointer: event.pointerId };
    made.strokes.push(stroke);
    draw([place(event)]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (stroke?.pointer !== event.pointerId) return;
    const { pointer } = stroke;
    draw((event.getCoalescedEvents?.() ?? []).concat(event).map(place));
    stroke.pointer = pointer;
  });
  // A finger that the system takes away keeps what it has covered so far.
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, () => { stroke = null; });
  }
  paint();
  return made;
}

async function brush(page, issue, photo, change) {
  const dialog = document.getElementById("brush");
  const answer = await fetch(address(page, issue, photo, false)).catch(() => null);
  if (!answer?.ok) {
    dialog.replaceChildren(h("p", { class: "notice is-bad", role: "alert" }, t("The photo cannot be loaded now. Try again.")),
      h("div", { class: "card-actions" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("Close"))));
    dialog.showModal();
    return;
  }
  const made = easel(await createImageBitmap(await answer.blob()));
  const names = { fine: t("Fine"), usual: t("Usual"), broad: t("Broad") };
  const width = h("div", { class: "brush-widths", role: "radiogroup", "aria-label": t("Width of the brush") }, Object.keys(RADII).map((name) => h("label", {},
    h("input", { type: "radio", name: "brush-width", checked: name === "usual", onchange: () => { made.radius = RADII[name]; } }), " ", names[name])));
  dialog.replaceChildren(h("p", {}, t("Draw over faces and plates. What is covered is gone for good.")), width, made.canvas,
    h("div", { class: "card-actions" },
      h("button", { class: "button is-main", type: "button", onclick: () => {
        dialog.close();
        const cover = made.strokes.map(({ points, radius }) => ({ points, radius }));
        if (cover.length) change(photo.photo, { cover });
      } }, t("Cover")),
      h("button", { class: "button", type: "button", onclick: made.undo }, t("Undo")),
      h("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("Cancel"))));
  dialog.showModal();
}
