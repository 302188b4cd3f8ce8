// How the ground looks: rules for the vector tiles, colours from the style sheet.

import { grouped } from "./grouped.js";
import { token } from "./options.js";

const FONTS = '"Noto Sans CJK SC","Noto Sans SC","PingFang SC","Microsoft YaHei",system-ui,sans-serif';
const STREET_WIDTHS = {
  arterial: [1.6, 2.6, 4.5, 8],
  collector: [1, 1.8, 3.2, 6],
  local: [0.5, 0.9, 2, 4],
  path: [0.3, 0.5, 1, 2],
};

const step = (values, zoom) => values[Math.min(Math.max(Math.floor((zoom - 11) / 2), 0), 3)];
const kindOf = (feature) => feature.props.kind ?? "local";

function street(kind, colour) {
  return {
    dataLayer: "street",
    filter: (zoom, feature) => kindOf(feature) === kind,
    symbolizer: new protomapsL.LineSymbolizer({
      color: colour,
      width: (zoom) => step(STREET_WIDTHS[kind], zoom),
      lineCap: "round",
      lineJoin: "round",
    }),
  };
}

// Alone, the squares are a map of amounts; below the grids they only darken the ground a little.
function densityFill(alone) {
  const ramp = [1, 2, 3, 4, 5].map((step) => token(`${alone ? "--density" : "--map-density"}-${step}`));
  const limits = [10, 50, 150, 400];
  return (zoom, feature) => {
    const count = Number(feature.props.n ?? feature.props.count ?? 0);
    const index = limits.findIndex((limit) => count < limit);
    return ramp[index < 0 ? ramp.length - 1 : index];
  };
}

function waterRule(colour) {
  return { dataLayer: "water", symbolizer: new protomapsL.PolygonSymbolizer({ fill: token(colour) }) };
}

export function groundRules(alone) {
  const water = alone ? [] : [waterRule("--map-water")];
  const compound = {
    dataLayer: "compound",
    minzoom: 13,
    symbolizer: new protomapsL.PolygonSymbolizer({ fill: token("--map-compound") }),
  };
  const density = {
    dataLayer: "density",
    symbolizer: new protomapsL.PolygonSymbolizer({ fill: densityFill(alone), perFeature: true }),
  };
  const railway = [
    new protomapsL.LineSymbolizer({ color: token("--map-railway"), width: (z) => step([1, 1.6, 2.4, 3], z) }),
    new protomapsL.LineSymbolizer({
      color: token("--map-ground"),
      dash: [6, 6],
      dashColor: token("--map-ground"),
      dashWidth: 1.2,
      width: 1.2,
    }),
  ].map((symbolizer) => ({ dataLayer: "railway", symbolizer }));
  const wall = {
    dataLayer: "wall",
    minzoom: 15,
    symbolizer: new protomapsL.LineSymbolizer({ color: token("--map-wall"), width: 1 }),
  };
  const colour = token("--map-street");
  const streets = ["path", "local", "collector", "arterial"].map((kind) => street(kind, colour));
  return { density: [density], compound: [compound], water, railway, street: streets, wall: [wall] };
}

// Water and footprints lie above the grids' colours, so that a grid is read through its houses.
export function upperRules(alone) {
  return {
    water: [waterRule("--map-water-above")],
    building: [
      {
        dataLayer: "building",
        symbolizer: new protomapsL.PolygonSymbolizer({
          fill: token(alone ? "--map-building-alone" : "--map-building"),
          stroke: token("--map-building-edge"),
          width: (zoom) => (zoom >= 16 ? 0.7 : 0),
        }),
      },
    ],
  };
}

// Whether one of the boxes would lie on a mark; marks keep their size while the tiles are scaled.
function onMark(state, zoom, boxes) {
  return state.taken(zoom).some(([x, y, half]) => {
    const reach = half / state.scale;
    return boxes.some((box) =>
      box.minX < x + reach && box.maxX > x - reach && box.minY < y + reach && box.maxY > y - reach);
  });
}

// Names along lines, but none over a mark.
class ClearOfMarks {
  constructor(state, symbolizer) {
    this.state = state;
    this.symbolizer = symbolizer;
  }

  place(layout, geom, feature) {
    const labels = this.symbolizer.place(layout, geom, feature);
    return labels?.filter((label) => !onMark(this.state, layout.zoom, label.bboxes));
  }
}

// How far a name may step aside, in halves of its height and a bit: not out of its grid.
const SHIFTS = [0, -0.6, 0.6, -1.25, 1.25];

// A name with a quieter second line; never drawn over another one, nor over a mark.
class PlaceSymbolizer {
  constructor(state, { size: pixels, weight, colour, halo, second }) {
    const size = pixels / state.scale;
    this.state = state;
    this.font = `${weight} ${size}px ${FONTS}`;
    this.secondFont = `500 ${size - 1 / state.scale}px ${FONTS}`;
    this.size = size;
    this.colour = colour;
    this.halo = halo;
    this.second = second;
  }

  // With its second line where there is room, else without; a little higher or lower beside a mark.
  place(layout, geom, feature) {
    const text = String(feature.props.name ?? "");
    if (!text) return undefined;
    const below = this.second ? this.second(layout.zoom, feature) : "";
    for (const second of below ? [below, ""] : [""]) {
      for (const shift of SHIFTS) {
        const label = this.#label(layout.scratch, geom[0][0], text, second, shift);
        if (layout.index.labelCollides(label, layout.order)) continue;
        if (!onMark(this.state, layout.zoom, label.bboxes)) return [label];
      }
    }
    return undefined;
  }

  #label(scratch, place, text, below, shift) {
    scratch.font = this.font;
    let width = scratch.measureText(text).width;
    if (below) {
      scratch.font = this.secondFont;
      width = Math.max(width, scratch.measureText(below).width);
    }
    const halfWidth = width / 2 + 3;
    const halfHeight = (this.size * (below ? 2.2 : 1.15)) / 2 + 1;
    const anchor = place.clone();
    anchor.y += shift * (halfHeight + this.size * 0.7);
    const box = {
      minX: anchor.x - halfWidth,
      maxX: anchor.x + halfWidth,
      minY: anchor.y - halfHeight,
      maxY: anchor.y + halfHeight,
    };
    return { anchor, bboxes: [box], draw: (context) => this.#draw(context, text, below) };
  }

  #draw(context, text, below) {
    context.globalAlpha = 1;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.strokeStyle = this.halo;
    context.fillStyle = this.colour;
    const shift = below ? this.size * 0.58 : 0;
    const lines = [[text, this.font, -shift], ...(below ? [[below, this.secondFont, shift]] : [])];
    for (const [line, font, y] of lines) {
      context.font = font;
      context.lineWidth = 3.5 / this.state.scale;
      context.strokeText(line, 0, y);
      context.fillText(line, 0, y);
    }
  }
}

function placeRule(state, filter, look) {
  return { dataLayer: "place", filter, symbolizer: new PlaceSymbolizer(state, look) };
}

// Names of the level that stands on the map first, then of the level above, then streets.
export function labelRules(state) {
  const halo = token("--map-label-halo");
  const ink = token("--map-label");
  const quiet = token("--map-label-quiet");
  const households = (zoom, feature) =>
    state.households && feature.props.n ? `${grouped(feature.props.n)} ${state.households}` : "";
  const isShown = (zoom, { props }) =>
    props.level === state.level || (state.leaf && props.level < state.level && props.leaf);
  const sort = (a, b) => (b.n ?? 0) - (a.n ?? 0);
  const main = placeRule(state, isShown, { size: 13, weight: 600, colour: ink, halo, second: households });
  const above = placeRule(
    state,
    (zoom, { props }) => props.level === state.level - 1 && !props.leaf,
    { size: 14, weight: 600, colour: quiet, halo },
  );
  const streetName = {
    dataLayer: "street",
    minzoom: 15,
    filter: (zoom, { props }) => Boolean(props.name) && props.kind !== "path",
    symbolizer: new ClearOfMarks(state, new protomapsL.LineLabelSymbolizer({
      labelProps: ["name"],
      fill: token("--map-label-street"),
      stroke: halo,
      width: 3 / state.scale,
      font: `500 ${12 / state.scale}px ${FONTS}`,
      repeatDistance: 400,
    })),
  };
  const compoundName = {
    ...placeRule(state, () => true, { size: 12, weight: 500, colour: quiet, halo }),
    dataLayer: "compound_label",
    minzoom: 15,
  };
  return [{ ...main, sort }, { ...above, sort }, streetName, compoundName];
}
