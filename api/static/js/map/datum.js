// The shift of Chinese web maps (GCJ-02) against WGS 84, to lay their tiles under the city's own lines.

const AXIS = 6378245;
const ECCENTRICITY_SQUARED = 0.00669342162296594;
const sin = (x) => Math.sin(x * Math.PI);

function waves(x, a, b) {
  return ((20 * sin(6 * x) + 20 * sin(2 * x) + 20 * sin(a) + 40 * sin(a / 3) + b) * 2) / 3;
}

// Degrees in, degrees out; exact to a centimetre inside mainland China, not meant for places outside.
export function toGcj02(lon, lat) {
  const x = lon - 105;
  const y = lat - 35;
  const root = Math.sqrt(Math.abs(x));
  const north =
    -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root +
    waves(x, y, 160 * sin(y / 12) + 320 * sin(y / 30));
  const east =
    300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root +
    waves(x, x, 150 * sin(x / 12) + 300 * sin(x / 30));
  const phi = (lat * Math.PI) / 180;
  const w2 = 1 - ECCENTRICITY_SQUARED * Math.sin(phi) ** 2;
  const w = Math.sqrt(w2);
  const metresNorth = (AXIS * (1 - ECCENTRICITY_SQUARED)) / (w2 * w);
  const metresEast = (AXIS / w) * Math.cos(phi);
  return [lon + (east * 180) / (metresEast * Math.PI), lat + (north * 180) / (metresNorth * Math.PI)];
}

// Five steps back from the shifted place are exact to nanometres.
export function fromGcj02({ lon, lat }) {
  let [x, y] = [lon, lat];
  for (let step = 0; step < 5; step += 1) {
    const [shiftedX, shiftedY] = toGcj02(x, y);
    [x, y] = [x + lon - shiftedX, y + lat - shiftedY];
  }
  return { lon: x, lat: y };
}
