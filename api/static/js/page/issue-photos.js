// The photos of an issue: looked at, painted over with a brush, released by a desk.

import { h, t } from "./dom.js";

const RADIUS = 0.035;

// A photo comes with a header that an image's address cannot carry: it is fetched and shown as a blob.
const address = (page, issue, photo, small) => `${page.api}/issues/${issue}/photos/${photo.photo}${small ? "?thumbnail=true" : ""}`;

export function photoStrip(page, issue, photos, change) {
  if (!photos.length) return null;
  return h("section", {}, h("h3", {}, t("Photos")), h("ul", { class: "issue-photos" }, photos.map((photo) => h("li", {},
    h("a", { href: address(page, issue, photo, false), target: "_blank", rel: "noopener" },
      h("img", { src: `${address(page, issue, photo, true)}&v=${encodeURIComponent(photo.covered_at ?? "")}`, alt: "", width: 120, height: 90, loading: "lazy" })),
    h("span", { class: `chip ${photo.released_at ? "is-good" : ""}` }, photo.released_at ? t("released") : t("private")),
    photo.covered_at ? h("span", { class: "chip" }, t("covered")) : null,
    page.mayRelease ? h("span", { class: "issue-photo-acts" },
      h("button", { class: "link", type: "button", onclick: () => brush(page, issue, photo, change) }, t("Cover")),
      h("button", { class: "link", type: "button", onclick: () => change(photo.photo, { released: !photo.released_at }) }, photo.released_at ? t("Hide") : t("Release"))) : null))));
}

async function brush(page, issue, photo, change) {
  const dialog = document.getElementById("brush");
  const answer = await fetch(address(page, issue, photo, false));
  if (!answer.ok) return;
  const image = await createImageBitmap(await answer.blob());
  const canvas = h("canvas", { width: image.width, height: image.height });
  const context = canvas.getContext("2d");
  const strokes = [];
  let stroke = null;

  function paint() {
    context.drawImage(image, 0, 0);
    context.strokeStyle = context.fillStyle = "rgb(91 103 118)";
    context.lineCap = context.lineJoin = "round";
    for (const one of stroke ? [...strokes, stroke] : strokes) {
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

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke = { points: [place(event)], radius: RADIUS };
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    stroke.points.push(place(event));
    paint();
  });
  canvas.addEventListener("pointerup", () => {
    if (stroke) strokes.push({ ...stroke, points: stroke.points.slice(0, 2000) });
    stroke = null;
    paint();
  });
  dialog.replaceChildren(h("p", {}, t("Draw over faces and plates. What is covered is gone for good.")), canvas,
    h("div", { class: "card-actions" },
      h("button", { class: "button is-main", type: "button", onclick: () => {
        dialog.close();
        if (strokes.length) change(photo.photo, { cover: strokes });
      } }, t("Cover")),
      h("button", { class: "button", type: "button", onclick: () => {
        strokes.pop();
        paint();
      } }, t("Undo")),
      h("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("Cancel"))));
  paint();
  dialog.showModal();
}
