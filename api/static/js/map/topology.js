// TopoJSON without copies: arcs are projected once, and every polygon and border is made of the same arcs.

const REFERENCE_ZOOM = 18;
const WORLD = 256 * 2 ** REFERENCE_ZOOM;

// Spherical Mercator in pixels of the reference zoom.
export function project(lon, lat) {
  const sin = Math.sin((Math.max(Math.min(lat, 85.05), -85.05) * Math.PI) / 180);
  return [
    WORLD * (lon / 360 + 0.5),
    WORLD * (0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)),
  ];
}

export const scaleAt = (zoom) => 2 ** (zoom - REFERENCE_ZOOM);

function decodeArc(arc, transform, origin) {
  const points = new Float64Array(arc.length * 2);
  const [sx, sy] = transform?.scale ?? [1, 1];
  const [tx, ty] = transform?.translate ?? [0, 0];
  let x = 0;
  let y = 0;
  for (let i = 0; i < arc.length; i++) {
    x = transform ? x + arc[i][0] : arc[i][0];
    y = transform ? y + arc[i][1] : arc[i][1];
    const [px, py] = project(x * sx + tx, y * sy + ty);
    points[2 * i] = px - origin[0];
    points[2 * i + 1] = py - origin[1];
  }
  return points;
}

// Drops points closer than the tolerance to the last one kept; ends stay, so that arcs still meet.
function thin(points, tolerance) {
  if (!tolerance || points.length <= 4) return points;
  const kept = new Float64Array(points.length);
  let n = 0;
  let lastX = Infinity;
  let lastY = Infinity;
  const end = points.length - 2;
  for (let i = 0; i <= end; i += 2) {
    const x = points[i];
    const y = points[i + 1];
    if (i === 0 || i === end || Math.abs(x - lastX) + Math.abs(y - lastY) >= tolerance) {
      kept[n++] = x;
      kept[n++] = y;
      lastX = x;
      lastY = y;
    }
  }
  return kept.subarray(0, n);
}

function addArc(path, points, reversed, first) {
  if (reversed) {
    for (let i = points.length - 2; i >= 0; i -= 2) {
      if (first && i === points.length - 2) path.moveTo(points[i], points[i + 1]);
      else path.lineTo(points[i], points[i + 1]);
    }
    return;
  }
  for (let i = 0; i < points.length; i += 2) {
    if (first && i === 0) path.moveTo(points[i], points[i + 1]);
    else path.lineTo(points[i], points[i + 1]);
  }
}

function boundsOf(points, box) {
  for (let i = 0; i < points.length; i += 2) {
    if (points[i] < box[0]) box[0] = points[i];
    if (points[i + 1] < box[1]) box[1] = points[i + 1];
    if (points[i] > box[2]) box[2] = points[i];
    if (points[i + 1] > box[3]) box[3] = points[i + 1];
  }
  return box;
}

const emptyBox = () => [Infinity, Infinity, -Infinity, -Infinity];

function ringsOf(geometry) {
  if (geometry.type === "Polygon") return geometry.arcs;
  if (geometry.type === "MultiPolygon") return geometry.arcs.flat();
  return [];
}

export class Topology {
  // data: a TopoJSON document with one object; properties g (id), n (name), c (colour number).
  constructor(data) {
    const transform = data.transform;
    const corner = transform ? transform.translate : data.arcs[0]?.[0] ?? [0, 0];
    this.origin = project(corner[0], corner[1]);
    this.arcs = data.arcs.map((arc) => decodeArc(arc, transform, this.origin));
    this.arcBoxes = this.arcs.map((points) => boundsOf(points, emptyBox()));
    const object = data.objects.grids ?? Object.values(data.objects)[0];
    this.features = (object?.geometries ?? []).map((geometry) => this.#feature(geometry));
    this.byId = new Map(this.features.map((feature) => [feature.id, feature]));
    this.details = new Map();
  }

  #feature(geometry) {
    const rings = ringsOf(geometry);
    const box = emptyBox();
    for (const ring of rings) {
      for (const arc of ring) {
        const other = this.arcBoxes[arc < 0 ? ~arc : arc];
        box[0] = Math.min(box[0], other[0]);
        box[1] = Math.min(box[1], other[1]);
        box[2] = Math.max(box[2], other[2]);
        box[3] = Math.max(box[3], other[3]);
      }
    }
    const { g, n, c, p } = geometry.properties ?? {};
    return { id: g ?? geometry.id, name: n ?? "", colour: c ?? 0, parent: p, rings, box };
  }

  // Paths for one zoom: neighbours share thinned arcs, so no gap opens between them.
  detail(zoom) {
    const level = Math.min(Math.ceil(zoom), 17);
    let detail = this.details.get(level);
    if (!detail) {
      const tolerance = level >= 17 ? 0 : 0.75 / scaleAt(level);
      detail = { arcs: this.arcs.map((points) => thin(points, tolerance)), paths: new Map() };
      if (this.details.size > 3) this.details.delete(this.details.keys().next().value);
      this.details.set(level, detail);
    }
    return detail;
  }

  path(feature, detail) {
    let path = detail.paths.get(feature);
    if (!path) {
      path = new Path2D();
      for (const ring of feature.rings) {
        ring.forEach((arc, i) => {
          addArc(path, detail.arcs[arc < 0 ? ~arc : arc], arc < 0, i === 0);
        });
        path.closePath();
      }
      detail.paths.set(feature, path);
    }
    return path;
  }

  // Every border inside the window once, however many polygons share it; all, or those of a rank.
  borders(detail, window, ranks = null, rank = 0) {
    const path = new Path2D();
    for (let i = 0; i < detail.arcs.length; i++) {
      if (ranks && ranks[i] !== rank) continue;
      if (meets(this.arcBoxes[i], window)) addArc(path, detail.arcs[i], false, true);
    }
    return path;
  }

  // For each arc the highest level whose border it is, 1 on top: the first place where the lines of
  // ancestors of its two sides part. `lineOf` gives the ids from the top down to a feature.
  ranks(lineOf) {
    const sides = this.arcs.map(() => []);
    for (const feature of this.features) {
      const line = lineOf(feature);
      if (!line) return null;
      for (const ring of feature.rings) for (const arc of ring) sides[arc < 0 ? ~arc : arc].push(line);
    }
    return Uint8Array.from(sides, ([one, other]) => {
      if (!other) return 1;
      let level = 0;
      while (level < one.length && one[level] === other[level]) level++;
      return level + 1;
    });
  }

  at(lon, lat) {
    const [px, py] = project(lon, lat);
    const x = px - this.origin[0];
    const y = py - this.origin[1];
    return this.features.find((feature) => {
      const [x0, y0, x1, y1] = feature.box;
      return x >= x0 && x <= x1 && y >= y0 && y <= y1 && this.#covers(feature, x, y);
    });
  }

  #covers(feature, x, y) {
    let inside = false;
    for (const ring of feature.rings) {
      for (const arc of ring) {
        const points = this.arcs[arc < 0 ? ~arc : arc];
        for (let i = 0; i + 3 < points.length; i += 2) {
          const y0 = points[i + 1];
          const y1 = points[i + 3];
          if (y0 > y === y1 > y) continue;
          if (x < points[i] + ((points[i + 2] - points[i]) * (y - y0)) / (y1 - y0)) {
            inside = !inside;
          }
        }
      }
    }
    return inside;
  }

  // The middle of the greatest ring of a feature, for its name.
  middle(feature) {
    if (feature.middle) return feature.middle;
    let greatest = 0;
    let found = centre(feature.box);
    for (const ring of feature.rings) {
      let [area, x, y] = [0, 0, 0];
      let last = null;
      const take = (px, py) => {
        if (last) {
          const cross = last[0] * py - px * last[1];
          area += cross;
          x += (last[0] + px) * cross;
          y += (last[1] + py) * cross;
        }
        last = [px, py];
      };
      for (const arc of ring) {
        const points = this.arcs[arc < 0 ? ~arc : arc];
        if (arc >= 0) for (let i = 0; i < points.length; i += 2) take(points[i], points[i + 1]);
        else for (let i = points.length - 2; i >= 0; i -= 2) take(points[i], points[i + 1]);
      }
      if (Math.abs(area) > greatest) {
        greatest = Math.abs(area);
        found = [x / (3 * area), y / (3 * area)];
      }
    }
    feature.middle = found;
    return found;
  }

  // The grid whose middle lies nearest in a direction (dx, dy in screen sense) from another one.
  beside(feature, dx, dy) {
    const [cx, cy] = centre(feature.box);
    let best = null;
    let bestCost = Infinity;
    for (const other of this.features) {
      if (other === feature) continue;
      const [ox, oy] = centre(other.box);
      const along = (ox - cx) * dx + (oy - cy) * dy;
      const across = Math.abs((ox - cx) * dy - (oy - cy) * dx);
      if (along <= 0 || across > along * 1.2) continue;
      const cost = along + across * 2;
      if (cost < bestCost) [best, bestCost] = [other, cost];
    }
    return best;
  }

  lonLat(x, y) {
    const worldX = (x + this.origin[0]) / WORLD;
    const worldY = (y + this.origin[1]) / WORLD;
    const lat = (Math.atan(Math.sinh(Math.PI * (1 - 2 * worldY))) * 180) / Math.PI;
    return [worldX * 360 - 180, lat];
  }

  boundsOf(feature) {
    const [x0, y0, x1, y1] = feature.box;
    const [west, north] = this.lonLat(x0, y0);
    const [east, south] = this.lonLat(x1, y1);
    return [west, south, east, north];
  }
}

const centre = (box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

export const meets = (a, b) => a[0] <= b[2] && a[2] >= b[0] && a[1] <= b[3] && a[3] >= b[1];
