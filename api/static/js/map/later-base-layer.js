// The city's ground from vector tiles, fetched only when the map is near enough to show it.

class LaterBaseLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    this.loading = null;
  }

  show() {
    this.map.on("zoomend", this.#follow, this);
    this.#follow();
    return this;
  }

  #follow() {
    if (this.map.getZoom() < this.options.from || this.loading) return;
    this.loading = this.#load();
  }

  async #load() {
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = this.options.library;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(script);
    });
    const { baseLayer } = await import("./base-layer.js");
    this.base = baseLayer(this.map, this.options).show();
    if (this.level) this.base.setLevel(...this.level);
  }

  // The level of names follows the grids', when the ground is here.
  setLevel(level, leaf) {
    this.level = [level, leaf];
    this.base?.setLevel(level, leaf);
  }
}

export function laterBaseLayer(map, options) {
  return new LaterBaseLayer(map, options);
}
