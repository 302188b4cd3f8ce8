// What the panel shows of a delivery, step by step: understood, mapped, looked at, confirmed, taken back.

import { h, isChinese, number, t } from "./dom.js";

export const KINDS = () => ({
  boundaries: t("Boundaries of grids"), buildings: t("Buildings"), streets: t("Streets"), barriers: t("Waters, railways, walls"),
  stations: t("Service stations"), posts: t("Posts and workers"), households: t("Counts of households"), addresses: t("Addresses"), issues: t("Issues of another system"), nets: t("Net of a department"),
});

const FIELDS = () => ({
  code: t("Code"), name: t("Name"), parent: t("Grid above"), households: t("Households"), use: t("Use"), floors: t("Floors"),
  entrances: t("Entrances"), kind: t("Kind"), address: t("Address"), opening_hours: t("Opening hours"),
  floor_area_m2: t("Floor area, m²"), capacity: t("Capacity"), stage: t("Stage"), grid: t("Grid code"), role: t("Role"),
  post: t("Post number"), worker_name: t("Worker's name"), duty_number: t("Duty number"), part_time: t("Part-time"),
  valid_from: t("From"), valid_to: t("Until"), building_code: t("Building's code"), building_name: t("Building's name"),
  compound: t("Compound"), alias: t("Another name"), category: t("Category"), reported_at: t("Reported at"),
  closed_at: t("Closed at"), channel: t("Channel"), state: t("State"), set_aside: t("Set aside"),
  external: t("Number on another platform"), deadline_at: t("To be done by"), department: t("Department"), words: t("What was said"), lon: t("Longitude"), lat: t("Latitude"),
});

export const STATES = () => ({
  received: t("received"), understood: t("understood"), prepared: t("looked at"), imported: t("imported"),
  undone: t("taken back"), refused: t("refused"), dropped: t("thrown away"),
});

const WORK = () => ({
  look: t("The file is being understood"), prepare: t("The file is being compared with what stands"),
  import: t("The file is being imported"), undo: t("The import is being taken back"), drop: t("The file is being deleted"),
});

const CHANGES = () => ({ new: t("new"), changed: t("changed"), same: t("the same"), gone: t("gone") });

const FINDINGS = () => ({
  invalid_ring: t("A ring crosses itself"), overlap: t("Areas overlap"), gap: t("A gap between areas"), sliver: t("A sliver"),
  area_changed: t("An area was changed"), parts: t("Several parts"), outside: t("Outside the city"), moved_in: t("Moved to the edge"),
  no_shape: t("Without a shape"), no_word: t("A text without a meaning yet"), about_person: t("About persons, not read"),
  same_code: t("A code stands twice"), same_record: t("Stands there before"), same_name: t("The same name twice"),
  end_moved: t("An end was joined"), kept: t("Kept, since something rests on it"), encoding: t("Encoding"), axes_swapped: t("Axes were swapped"),
  match_several: t("May be several buildings"), match_none: t("No building like it"), match_invalid: t("No count"), rejected: t("A row cannot be taken"),
  web_mercator: t("Web Mercator is no measure"), unplaced: t("Without a place"), duplicate: t("The same area twice"),
  open_gap: t("A gap open to the outside"), fragment: t("A strip beyond a neighbour"), near_miss: t("Corners that nearly meet"),
  unnoded: t("A border without its neighbour's corner"), needle: t("A needle-thin corner"), crumbs: t("Crumbs of ground"),
  height: t("Heights, left out"), mixed: t("Lines or points beside areas"),
  matched: t("Grids known again"), other_code: t("Another code"), by_address: t("Placed by their address"), no_address: t("Address not known"), no_building: t("Building not known"),
  no_area: t("Covers no ground"), no_name: t("Without a name"), short: t("Too short a line"), other_shape: t("Another kind of shape"),
  no_moment: t("Without a date"), missing_part: t("A part of the file is missing"), reference_system: t("Reference system"), empty: t("An empty layer"),
  default_place: t("A default place"), repeat: t("Reported again within a day"), impossible_time: t("Impossible times"), no_department: t("Department not known"),
  elsewhere: t("Lies nowhere in this system"), uncut: t("A cell left whole"), estimated: t("Households estimated"), closed_lines: t("Closed lines"),
});

const FORMATS = {
  shapefile: "Shapefile", geopackage: "GeoPackage", geojson: "GeoJSON", flatgeobuf: "FlatGeobuf", geoparquet: "GeoParquet", kml: "KML", dxf: "DXF",
  osm_pbf: "OSM .pbf", csv: "CSV", xlsx: "XLSX", zip: "ZIP",
};
const LISTED = 60;
const nameOf = (item) => (isChinese ? item.name : item.name_en || item.name);
export const fieldName = (field, page) => {
  const level = /^level_(\d)$/.exec(field);
  if (!level) return FIELDS()[field] ?? field;
  const known = page.levels.find((one) => one.level === Number(level[1]));
  return known ? t("Grid above: %(name)s", { name: nameOf(known) }) : null;
};

const option = (value, word, chosen) => h("option", { value, selected: value === chosen }, word);
const button = (word, onclick, main = false) => h("button", { type: "button", class: main ? "button is-main" : "button", onclick }, word);
const chip = (word, tone = "") => h("span", { class: `chip ${tone}` }, word);

// ---- while work goes on ----------------------------------------------------------------------------

export function working(job, onCancel) {
  const said = job.state === "queued" ? t("Waiting for the worker …") : `${WORK()[job.step]} …`;
  return h("div", { class: "work", role: "status" }, h("b", {}, said),
    h("progress", job.state === "queued" ? { max: 1 } : { max: 1, value: job.share }),
    h("div", {}, button(job.cancel_asked ? t("Stopping …") : t("Stop"), onCancel)));
}

export function failure(job) {
  const error = job.error ?? {};
  if (job.state === "cancelled") return h("p", { class: "notice", role: "status" }, t("Stopped. Nothing was changed."));
  return h("div", { class: "notice is-bad", role: "alert" },
    h("b", {}, t("This did not work; nothing was changed.")),
    h("ul", {}, (error.defects ?? [error.message ?? error.code]).slice(0, 20).map((one) => h("li", {}, one))));
}

export const refused = (card) => h("div", { class: "notice is-bad", role: "alert" },
  h("b", {}, t("This file was refused; nothing was changed.")),
  h("ul", {}, card.refused.map((one) => h("li", {}, one))));

// ---- understood: kind, columns, what the file does not say ----------------------------------------

export function understood(card, page, wish, onWish, onPrepare) {
  const layers = card.understood.layers;
  const layer = layers.find((one) => one.name === wish.layer) ?? layers[0];
  const proposed = layer.proposal.subjects.filter((kind) => page.kinds[kind]);
  const kind = wish.kind ?? proposed[0] ?? "buildings";
  const change = (more) => onWish({ ...wish, layer: layer.name, kind, ...more });
  const kinds = [...new Set([...proposed, ...Object.keys(page.kinds)])];
  return [
    facts(card, layer, kind === "posts" ? Object.values(mappingOf(layer, kind, wish)) : []),
    layers.length > 1 && h("label", { class: "field" }, h("span", {}, t("Layer")),
      h("select", { onchange: (event) => onWish({ layer: event.target.value }) }, layers.map((one) =>
        option(one.name, t("%(name)s (%(n)s rows)", { name: one.name, n: number(one.features) }), layer.name)))),
    h("label", { class: "field" }, h("span", {}, t("What it is")),
      h("select", { onchange: (event) => onWish({ layer: layer.name, kind: event.target.value }) },
        kinds.map((one) => option(one, KINDS()[one] + (one === proposed[0] ? t(" (proposed)") : ""), kind)))),
    kind === "boundaries" && levelChoice(page, wish, change),
    h("h3", {}, t("Which column is what")),
    mapping(layer, kind, page, wish, change),
    questions(layer, page, wish, change),
    h("div", { class: "card-actions" }, button(t("Look at it"), () => onPrepare(complete(layer, kind, page, wish)), true)),
  ];
}

function facts(card, layer, taken) {
  const persons = layer.columns.filter((one) => one.about_person && !taken.includes(one.name));
  const rows = [
    [t("Format"), FORMATS[card.understood.format] ?? card.understood.format],
    [t("Rows"), number(layer.features)],
    layer.kind !== "table" && [t("Coordinates"), layer.crs.name || (layer.crs.srid ? `EPSG:${layer.crs.srid}` : t("not said"))],
    [t("Encoding"), layer.encoding.used + (layer.encoding.reason === "declared_lies" ? ` · ${t("the file says %(name)s, wrongly", { name: layer.encoding.declared })}` : "")],
  ].filter(Boolean);
  return [
    h("h3", {}, t("What was understood")),
    h("table", { class: "rows" }, h("tbody", {}, rows.map(([word, value]) => h("tr", {}, h("th", { scope: "row" }, word), h("td", {}, value))))),
    persons.length > 0 && h("p", { class: "notice" }, t("Columns about persons are left out: %(names)s", { names: persons.map((one) => one.name).join(isChinese ? "、" : ", ") })),
  ];
}

// Where a net stands, codes tell the level; else areas are of the lowest one unless somebody says otherwise.
const levelOf = (page, wish) => wish.level ?? (page.hasNet ? null : page.levels.at(-1)?.level ?? null);

function levelChoice(page, wish, change) {
  const chosen = levelOf(page, wish) ?? "";
  return h("label", { class: "field" }, h("span", {}, t("Which level")),
    h("select", { onchange: (event) => change({ level: Number(event.target.value) || null }) },
      page.hasNet && option("", t("the one that has these codes"), chosen),
      page.levels.map((one) => option(one.level, nameOf(one), chosen))));
}

const mappingOf = (layer, kind, wish) => wish.columns ?? layer.proposal.mappings[kind] ?? {};

function mapping(layer, kind, page, wish, change) {
  const { needed, allowed } = page.kinds[kind];
  const columns = mappingOf(layer, kind, wish);
  const free = layer.columns.filter((one) => !one.about_person || kind === "posts");
  const rows = [...needed, ...allowed].filter((one) => fieldName(one, page)).map((one) => h("tr", {},
    h("th", { scope: "row" }, fieldName(one, page), needed.includes(one) && !columns[one] ? [" ", chip(t("needed"), "is-watch")] : null),
    h("td", {}, h("select", {
      "aria-label": fieldName(one, page),
      onchange: (event) => {
        const next = { ...columns, [one]: event.target.value };
        if (!event.target.value) delete next[one];
        change({ columns: next });
      },
    }, option("", "–", columns[one] ?? ""), free.map((column) => option(column.name,
      column.examples.length ? `${column.name} (${column.examples.join(isChinese ? "、" : ", ").slice(0, 40)})` : column.name, columns[one]))))));
  return h("table", { class: "rows" }, h("tbody", {}, rows));
}

function questions(layer, page, wish, change) {
  const asked = [];
  if (layer.kind !== "table" && !layer.crs.sure) {
    asked.push(h("label", { class: "field" }, h("span", {}, t("Reference system (EPSG number)")),
      h("input", { type: "number", min: 1, value: wish.crs ?? layer.crs.choices[0] ?? "", onchange: (event) => change({ crs: Number(event.target.value) || null }) }),
      h("small", { class: "quiet" }, layer.crs.why)));
  }
  if (layer.kind !== "table" && !layer.datum.sure) {
    asked.push(h("p", { class: "quiet small" }, t("The file does not say its datum. It is shown on the streets in the next step, where you choose.")));
  }
  const kind = wish.kind ?? layer.proposal.subjects[0];
  if (kind === "boundaries" && page.hasNet) {
    asked.push(h("p", { class: "quiet small" }, t("The city has a net: these boundaries become a draft plan of your own.")));
  }
  if (kind === "buildings") {
    asked.push(h("div", { class: "ticks" }, h("label", {}, h("input", {
      type: "checkbox", checked: Boolean(wish.cut_cells), onchange: (event) => change({ cut_cells: event.target.checked }),
    }), t("Give each new building a cell of its own")), h("label", {}, h("input", {
      type: "checkbox", checked: Boolean(wish.estimate), onchange: (event) => change({ estimate: event.target.checked }),
    }), t("Estimate households that the file does not say, marked as estimates"))));
  }
  if (kind === "households") {
    asked.push(h("label", { class: "field" }, h("span", {}, t("A count of a season, taken on")),
      h("input", { type: "date", value: wish.season ?? "", onchange: (event) => change({ season: event.target.value || null }) }),
      h("small", { class: "quiet" }, t("Leave it empty for the count of the year. A season's stands beside it and changes no building."))));
  }
  if (wish.kind === "barriers" || (layer.proposal.subjects[0] === "barriers" && !wish.kind)) {
    const kinds = { "": "–", river: t("River"), water: t("Water"), railway: t("Railway"), wall: t("Wall") };
    asked.push(h("label", { class: "field" }, h("span", {}, t("All rows are")),
      h("select", { onchange: (event) => change({ fixed: event.target.value ? { kind: event.target.value } : {} }) },
        Object.entries(kinds).map(([code, word]) => option(code, word, wish.fixed?.kind ?? "")))));
  }
  return asked;
}

export function complete(layer, kind, page, wish) {
  const { needed, allowed } = page.kinds[kind];
  const known = [...needed, ...allowed];
  const columns = Object.fromEntries(Object.entries(mappingOf(layer, kind, wish)).filter(([name]) => known.includes(name) && !(name in (wish.fixed ?? {}))));
  const made = {
    kind, layer: layer.name, columns, fixed: wish.fixed ?? {}, words: wish.words ?? {},
    crs: wish.crs ?? (layer.crs.sure ? null : layer.crs.choices[0] ?? null), datum: wish.datum ?? null,
    decided: wish.decided ?? {}, decisions: wish.decisions ?? {},
  };
  if (kind === "buildings") Object.assign(made, { cut_cells: Boolean(wish.cut_cells), estimate: Boolean(wish.estimate) });
  if (kind === "households") made.season = wish.season ?? null;
  if (kind === "boundaries") made.level = levelOf(page, wish);
  return made;
}

// ---- prepared: the difference, what is to be decided, findings --------------------------------------

export function prepared(card, page, parts, on) {
  const { report } = card;
  return [
    report.imported_before && h("p", { class: "notice" }, t("This very file was imported before (number %(n)s).", { n: report.imported_before })),
    report.datum && datum(card, on),
    difference(report, page),
    report.figures.set_aside > 0 && h("p", { class: "notice is-watch" }, t("%(n)s cases are set aside: they come in, stand on no desk and count in no rate until a desk puts them back.", { n: number(report.figures.set_aside) })),
    unknown(card, page, on),
    (report.figures.questions ?? []).length > 0 && contradictions(card, on),
    (report.figures.open ?? []).length > 0 && openRows(card, on),
    findings(report, parts, on),
    changes(parts),
    confirmation(card, on),
  ];
}

function datum(card, on) {
  const { ranking, pictures, sure } = card.report.datum;
  const compared = pictures.some((one) => one.streets.length);
  return [
    h("h3", {}, t("Which of these lies right on the streets?")),
    on.map.pictures(pictures, ranking, card.wish.datum, (which) => which !== card.wish.datum && on.prepare({ datum: which })),
    h("p", { class: "quiet small" }, !compared
      ? t("No streets stand here yet to compare with: import streets first, or ask who made the file.")
      : sure ? t("The streets tell: the marked one is proposed. Choose another if it does not look right.")
        : t("The streets do not tell beyond doubt: look and choose.")),
  ];
}

function difference(report, page) {
  const words = CHANGES();
  const level = page.levels.find((one) => one.level === report.figures.level);
  return [
    h("h3", {}, t("Beside what stands")),
    level && h("p", { class: "quiet small" }, t("Compared with the level: %(name)s", { name: nameOf(level) })),
    h("div", { class: "tiles" }, Object.keys(words).map((one) =>
      h("div", { class: "tile" }, h("span", {}, words[one]), h("b", { class: "figure" }, number(report.difference[one]))))),
  ];
}

const WORDS = (page, kind, field) => page.words[`${kind}.${field}`] ?? {
  "stations.stage": [["planned", t("planned")], ["building", t("being built")], ["open", t("open")], ["closed", t("closed")]],
  "streets.kind": [["arterial", t("arterial")], ["collector", t("collector")], ["local", t("local street")], ["path", t("path")]],
  "issues.state": [["reported", t("reported")], ["dispatched", t("dispatched")], ["closed", t("case closed")], ["void", t("void")]],
  "barriers.kind": [["river", t("River")], ["water", t("Water")], ["railway", t("Railway")], ["wall", t("Wall")]],
}[`${kind}.${field}`]?.map(([code, name]) => ({ code, name, name_en: name })) ?? [];

function unknown(card, page, on) {
  const fields = Object.entries(card.report.unknown ?? {});
  if (!fields.length) return null;
  const words = structuredClone(card.wish.words ?? {});
  return [
    h("h3", {}, t("Texts that need a meaning")),
    h("p", { class: "quiet small" }, t("Rows with these texts are left out until you say what they mean.")),
    fields.map(([field, texts]) => h("table", { class: "rows" }, h("tbody", {}, Object.entries(texts).slice(0, LISTED).map(([text, rows]) =>
      h("tr", {}, h("th", { scope: "row" }, text || "–", " ", h("small", { class: "quiet" }, t("%(n)s rows", { n: number(rows) }))),
        h("td", {}, h("select", {
          "aria-label": text,
          onchange: (event) => { words[field] = { ...words[field], [text]: event.target.value }; },
        }, option("", t("leave out"), ""), WORDS(page, card.kind, field).map((one) => option(one.code, nameOf(one), words[field]?.[text] ?? ""))))))))),
    h("div", { class: "card-actions" }, button(t("Apply and look again"), () => on.prepare({ words: withoutEmpty(words) }))),
  ];
}

const withoutEmpty = (words) => Object.fromEntries(Object.entries(words).map(([field, texts]) =>
  [field, Object.fromEntries(Object.entries(texts).filter(([, word]) => word))]));

function areaName(code, name) {
  if (code === "nobody") return t("nobody");
  return name && name !== code ? `${name} ${code}` : code;
}

function contradictions(card, on) {
  const decisions = { ...card.wish.decisions };
  return [
    h("h3", {}, t("Areas that contradict each other")),
    h("ol", { class: "stack" }, card.report.figures.questions.slice(0, LISTED).map((one) => h("li", {},
      h("button", { type: "button", class: "link", onclick: () => on.map.showDefect(one) }, t("%(n)s m² claimed by several", { n: number(Math.round(one.size_m2)) })),
      h("select", { "aria-label": t("Who takes this ground"), onchange: (event) => { decisions[one.key] = event.target.value; } },
        one.options.map((code, place) => option(code, areaName(code, one.names?.[place]), decisions[one.key] ?? one.proposed)))))),
    h("div", { class: "card-actions" }, button(t("Apply and look again"), () => {
      for (const one of card.report.figures.questions) decisions[one.key] ??= one.proposed;
      on.prepare({ decisions });
    })),
  ];
}

function openRows(card, on) {
  const decided = { ...card.wish.decided };
  return [
    h("h3", {}, t("Rows to decide")),
    h("table", { class: "rows" }, h("tbody", {}, card.report.figures.open.slice(0, LISTED).map((one) => h("tr", {},
      h("th", { scope: "row" }, one.said || t("row %(n)s", { n: one.row }), " ",
        one.households === null || one.households === undefined ? null : h("small", { class: "quiet" }, t("%(n)s households", { n: number(one.households) }))),
      h("td", {}, h("select", { "aria-label": one.said, onchange: (event) => { decided[one.row] = Number(event.target.value); } },
        option("0", t("leave out"), "0"), one.candidates.map((two) => option(two.building, two.label || `#${two.building}`, decided[one.row])))))))),
    h("div", { class: "card-actions" }, button(t("Apply and look again"), () => on.prepare({ decided }))),
  ];
}

function findings(report, parts, on) {
  const list = parts.defects ?? [];
  if (!list.length) return h("p", { class: "notice is-good" }, t("Nothing was wrong with the file."));
  const words = FINDINGS();
  const size = (one) => (one.size ? `${number(Math.round(one.size * 100) / 100)} ${one.unit === "m2" ? "m²" : one.unit === "households" ? t("households") : one.unit ?? ""}` : "");
  return h("details", { class: "more", open: list.length <= 12 },
    h("summary", {}, t("What was found: %(n)s", { n: number(report.defects) })),
    h("ol", { class: "stack" }, list.slice(0, LISTED).map((one) => h("li", {},
      one.lat === undefined
        ? h("span", {}, words[one.kind] ?? one.kind)
        : h("button", { type: "button", class: "link", onclick: () => on.map.showDefect(one) }, words[one.kind] ?? one.kind),
      h("span", { class: "far" }, size(one)),
      h("small", {}, `${one.kind === "no_word" ? FIELDS()[one.subject] ?? one.subject : one.subject} · ${one.done}`),
      one.before && h("span", { class: "defect-ways" },
        button(t("before"), () => on.map.showDefect(one, "before")), button(t("after"), () => on.map.showDefect(one, "after")))))),
    list.length > LISTED && h("p", { class: "quiet small" }, t("and %(n)s more", { n: number(report.defects - LISTED) })));
}

function changes(parts) {
  const list = (parts.difference ?? []).filter((one) => one.label || one.before);
  if (!list.length) return null;
  const words = CHANGES();
  const told = (one) => Object.keys(one.after ?? {}).map((name) => `${FIELDS()[name] ?? name}: ${one.before[name] ?? "–"} → ${one.after[name] ?? "–"}`).join(" · ");
  return h("details", { class: "more" }, h("summary", {}, t("What would change, one by one")),
    h("ol", { class: "stack" }, list.slice(0, LISTED).map((one) => h("li", {},
      h("b", {}, one.label || `#${one.object ?? one.row}`), chip(words[one.state], one.state === "gone" ? "is-bad" : one.state === "new" ? "is-good" : "is-watch"),
      one.before && h("small", {}, [told(one), one.moved && t("its shape")].filter(Boolean).join(" · "))))),
    list.length > LISTED && h("p", { class: "quiet small" }, t("and %(n)s more", { n: number(list.length - LISTED) })));
}

function confirmation(card, on) {
  const words = CHANGES();
  const counts = card.report.difference;
  const ticked = new Set(["new", "changed"].filter((one) => counts[one] > 0));
  const nothing = !["new", "changed", "gone"].some((one) => counts[one] > 0);
  if (card.report.figures.rejected > 0) {
    return [h("p", { class: "notice is-bad" }, t("%(n)s rows cannot be taken, so nothing of this file is: correct them and deliver it again.", { n: number(card.report.figures.rejected) })), again(on)];
  }
  if ((card.report.figures.undecided ?? []).length > 0) {
    return [h("p", { class: "notice is-bad" }, t("Areas contradict each other: decide above who takes the ground, or mend the source.")), again(on)];
  }
  if (nothing && counts.same === 0) return [h("p", { class: "notice" }, t("Nothing of this file can be imported as it is: see what was found.")), again(on)];
  if (nothing) return [h("p", { class: "notice is-good" }, t("Everything stands already; there is nothing to import.")), again(on)];
  const go = button(t("Import"), () => on.confirm([...ticked]), true);
  const tick = (one) => h("label", {}, h("input", {
    type: "checkbox", checked: ticked.has(one),
    onchange: (event) => { if (event.target.checked) ticked.add(one); else ticked.delete(one); go.disabled = ticked.size === 0; },
  }), `${words[one]} (${number(counts[one])})`);
  return [
    h("h3", {}, t("What is taken over")),
    h("div", { class: "ticks" }, ["new", "changed", "gone"].filter((one) => counts[one] > 0).map(tick)),
    counts.gone > 0 && h("p", { class: "quiet small" }, t("What is gone from the file stays unless you tick it.")),
    h("div", { class: "card-actions" }, go, again(on)),
  ];
}

const again = (on) => button(t("Other columns"), on.back);

// ---- imported and the book -------------------------------------------------------------------------

export function imported(card, parts, on) {
  const { plan, ...counts } = card.report.applied ?? {};
  const applied = Object.entries(counts).filter(([, count]) => count > 0);
  const words = { ...CHANGES(), grids: t("grids"), cells: t("cells"), workers: t("workers") };
  return [
    h("p", { class: "notice is-good" }, applied.length
      ? t("Imported: %(list)s.", { list: applied.map(([name, count]) => `${number(count)} ${words[name] ?? name}`).join(isChinese ? "、" : ", ") })
      : t("Imported; nothing had to be changed.")),
    parts.defects?.length > 0 && findings(card.report, parts, on),
    plan && h("p", {}, t("A draft plan of your own was made, number %(n)s. The net stays as it is until a plan is published.", { n: plan })),
    h("div", { class: "card-actions" }, h("a", { class: "button is-main", href: `/net?city=${encodeURIComponent(on.city)}` }, t("To the map")),
      button(t("Take it back"), on.undo)),
  ];
}

export function book(items, chosen, onOpen) {
  if (!items.length) return h("p", { class: "quiet" }, t("No file has come in yet."));
  const words = STATES();
  const tone = { imported: "is-good", refused: "is-bad", prepared: "is-watch", understood: "is-watch" };
  return [
    h("h2", {}, t("Files so far")), h("ol", { class: "stack" }, items.map((one) => h("li", {},
      h("button", { type: "button", class: "link", "aria-current": one.delivery === chosen, onclick: () => onOpen(one.delivery) }, one.name),
      chip(words[one.state], tone[one.state]),
      h("small", {}, [`#${one.delivery}`, one.kind && KINDS()[one.kind], when(one.received_at), one.author].filter(Boolean).join(" · ")),
      one.refused && h("small", { class: "is-bad" }, one.refused[0])))),
  ];
}

const when = (moment) => new Date(moment).toLocaleString(isChinese ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "short" });
