// The view in the address bar, so that it can be sent: place, level, selection, layers.

const state = new URLSearchParams(location.search);

export function read(name) {
  return state.get(name);
}

export function write(values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") state.delete(name);
    else state.set(name, value);
  }
  history.replaceState(null, "", `?${state}`);
  followLinks();
}

// Links that lead to the same view in another form or language keep up with the address.
function followLinks() {
  const language = document.getElementById("language");
  if (language) language.search = `?${withValues({ lang: language.dataset.lang })}`;
  for (const table of document.querySelectorAll(".to-table")) {
    table.search = `?${onlyValues(["city", "as_of", "level", "lang"])}`;
  }
  const signIn = document.getElementById("sign-in");
  if (signIn) signIn.search = `?${new URLSearchParams({ next: `${location.pathname}?${state}` })}`;
}

function withValues(values) {
  const copy = new URLSearchParams(state);
  for (const [name, value] of Object.entries(values)) copy.set(name, value);
  return copy;
}

export function onlyValues(names) {
  const copy = new URLSearchParams();
  for (const name of names) if (state.has(name)) copy.set(name, state.get(name));
  return copy;
}

export function followMap(map) {
  map.on("moveend", () => {
    const centre = map.getCenter();
    write({ lat: centre.lat.toFixed(5), lon: centre.lng.toFixed(5), z: String(map.getZoom()) });
  });
}
