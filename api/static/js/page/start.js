// The guide's grid of the globe: a click or the own position fills longitude and latitude in.

const canvas = document.getElementById("globe");
const form = canvas?.closest("form");
// Large cities, to find one's way by: name, longitude, latitude.
const CITIES = [
  ["北京", 116.4, 39.9], ["上海", 121.5, 31.2], ["广州", 113.3, 23.1], ["成都", 104.1, 30.7], ["乌鲁木齐", 87.6, 43.8],
  ["哈尔滨", 126.6, 45.8], ["拉萨", 91.1, 29.7], ["Tokyo", 139.7, 35.7], ["Delhi", 77.2, 28.6], ["Moscow", 37.6, 55.8],
  ["Helsinki", 24.9, 60.2], ["Berlin", 13.4, 52.5], ["London", -0.1, 51.5], ["Cairo", 31.2, 30], ["Lagos", 3.4, 6.5],
  ["Nairobi", 36.8, -1.3], ["Cape Town", 18.4, -33.9], ["Sydney", 151.2, -33.9], ["New York", -74, 40.7],
  ["Los Angeles", -118.2, 34.1], ["México", -99.1, 19.4], ["São Paulo", -46.6, -23.6], ["Lima", -77, -12], ["Singapore", 103.8, 1.35],
];

if (canvas && form) {
  document.getElementById("places").hidden = false;
  const view = { west: -180, east: 180, south: -90, north: 90 };
  const paint = () => draw(canvas, view, Number(form.lon.value), Number(form.lat.value), form.lon.value !== "" && form.lat.value !== "");
  const choose = (lon, lat) => {
    form.lon.value = lon.toFixed(4);
    form.lat.value = lat.toFixed(4);
    paint();
  };
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const lon = view.west + ((event.clientX - box.left) / box.width) * (view.east - view.west);
    const lat = view.north - ((event.clientY - box.top) / box.height) * (view.north - view.south);
    const near = view.east - view.west > 60;
    choose(lon, lat);
    if (near) zoom(view, lon, lat);
    paint();
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    Object.assign(view, { west: -180, east: 180, south: -90, north: 90 });
    paint();
  });
  document.getElementById("here").addEventListener("click", () =>
    navigator.geolocation?.getCurrentPosition(({ coords }) => choose(coords.longitude, coords.latitude)));
  form.lon.addEventListener("input", paint);
  form.lat.addEventListener("input", paint);
  paint();
}

// The first click on the whole globe brings the region near, the second one takes the place.
function zoom(view, lon, lat) {
  const west = Math.max(-180, Math.min(180 - 40, lon - 20));
  const south = Math.max(-90, Math.min(90 - 20, lat - 10));
  Object.assign(view, { west, east: west + 40, south, north: south + 20 });
}

function draw(target, view, lon, lat, chosen) {
  const { width, height } = target;
  const colours = getComputedStyle(target);
  const paint = target.getContext("2d");
  const x = (value) => ((value - view.west) / (view.east - view.west)) * width;
  const y = (value) => ((view.north - value) / (view.north - view.south)) * height;
  const step = view.east - view.west > 60 ? 30 : 5;
  paint.clearRect(0, 0, width, height);
  paint.font = `12px ${colours.fontFamily}`;
  paint.strokeStyle = colours.getPropertyValue("--line");
  paint.fillStyle = colours.getPropertyValue("--quiet");
  for (let value = Math.ceil(view.west / step) * step; value <= view.east; value += step) {
    line(paint, x(value), 0, x(value), height);
    paint.fillText(`${value}°`, x(value) + 3, height - 4);
  }
  for (let value = Math.ceil(view.south / step) * step; value <= view.north; value += step) {
    line(paint, 0, y(value), width, y(value));
    paint.fillText(`${value}°`, 3, y(value) - 3);
  }
  paint.fillStyle = colours.getPropertyValue("--ink");
  for (const [name, cityLon, cityLat] of CITIES) {
    paint.beginPath();
    paint.arc(x(cityLon), y(cityLat), 2.5, 0, 7);
    paint.fill();
    paint.fillText(name, x(cityLon) + 5, y(cityLat) + 4);
  }
  if (!chosen) return;
  paint.strokeStyle = colours.getPropertyValue("--bad");
  paint.lineWidth = 2;
  paint.beginPath();
  paint.arc(x(lon), y(lat), 8, 0, 7);
  paint.stroke();
  paint.lineWidth = 1;
}

function line(paint, ...ends) {
  paint.beginPath();
  paint.moveTo(ends[0] + 0.5, ends[1] + 0.5);
  paint.lineTo(ends[2] + 0.5, ends[3] + 0.5);
  paint.stroke();
}
