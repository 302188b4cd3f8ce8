// Hatches for what has no figure: too few, none, nobody lives there; told apart without any colour.

import { token } from "./options.js";

const STEP = 8;

const DRAW = {
  // Strokes that rise: something is there, but too little to show.
  few(context) {
    context.moveTo(-2, 6);
    context.lineTo(6, -2);
    context.moveTo(2, 10);
    context.lineTo(10, 2);
    context.stroke();
  },
  // A dot: people live here and nothing was reported.
  zero(context) {
    context.arc(4, 4, 1.1, 0, 2 * Math.PI);
    context.fill();
  },
  // Level strokes: nobody lives here.
  nobody(context) {
    context.moveTo(0, 2);
    context.lineTo(8, 2);
    context.moveTo(0, 6);
    context.lineTo(8, 6);
    context.stroke();
  },
  // Crossed strokes: a place that is not taken.
  vacant(context) {
    DRAW.few(context);
    context.beginPath();
    context.moveTo(-2, 2);
    context.lineTo(6, 10);
    context.moveTo(2, -2);
    context.lineTo(10, 6);
    context.stroke();
  },
};

const INK = { few: "--hatch-few", zero: "--hatch-zero", nobody: "--hatch-nobody", vacant: "--hatch-vacant" };

// A small canvas with one tile of the hatch.
export function hatchTile(name, ratio = Math.min(window.devicePixelRatio || 1, 2)) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = STEP * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.strokeStyle = context.fillStyle = token(INK[name]) || "#7b8794";
  context.lineWidth = name === "nobody" ? 0.7 : 1.1;
  context.beginPath();
  DRAW[name](context);
  return canvas;
}

const tiles = new Map();

// What a canvas under a scale of `k` device pixels fills with so that the hatch keeps its size.
export function hatch(context, name, k) {
  const key = `${name}/${token(INK[name])}`;
  if (!tiles.has(key)) tiles.set(key, hatchTile(name));
  const pattern = context.createPattern(tiles.get(key), "repeat");
  pattern.setTransform(new DOMMatrix([1 / k, 0, 0, 1 / k, 0, 0]));
  return pattern;
}
