// A canvas that moves and zooms with the map; what is drawn on it is a function of the caller's.

export const CanvasSheet = L.Renderer.extend({
  // idle: tells when there is nothing to paint, so that the canvas takes no room.
  options: { padding: 0.12, paint: null, idle: () => false },

  _initContainer() {
    const canvas = (this._container = document.createElement("canvas"));
    canvas.setAttribute("aria-hidden", "true");
    this._context = canvas.getContext("2d");
  },

  _destroyContainer() {
    this._container.remove();
    delete this._container;
    delete this._context;
  },

  _update() {
    if (this._map._animatingZoom && this._bounds) return;
    L.Renderer.prototype._update.call(this);
    const bounds = this._bounds;
    const size = bounds.getSize();
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const canvas = this._container;
    L.DomUtil.setPosition(canvas, bounds.min);
    canvas.style.width = `${size.x}px`;
    canvas.style.height = `${size.y}px`;
    this._ratio = ratio;
    this._pixels = [Math.round(size.x * ratio), Math.round(size.y * ratio)];
    this._paint();
  },

  // Several changes before the next frame are painted once.
  repaint() {
    this._waiting ??= requestAnimationFrame(() => this._paint());
  },

  // An empty canvas is a point; a larger one is cleared by taking its size anew.
  _resize(width, height) {
    const canvas = this._container;
    if (canvas.width === width && canvas.height === height) {
      this._context.setTransform(1, 0, 0, 1, 0, 0);
      if (width > 1) this._context.clearRect(0, 0, width, height);
      return;
    }
    canvas.width = width;
    canvas.height = height;
  },

  _paint() {
    cancelAnimationFrame(this._waiting);
    this._waiting = null;
    if (!this._map || !this._context || !this._pixels) return;
    if (this.options.idle()) {
      this._resize(1, 1);
      return;
    }
    this._resize(...this._pixels);
    const context = this._context;
    const corner = this._bounds.min.add(this._map.getPixelOrigin());
    this.options.paint(context, {
      zoom: this._zoom,
      ratio: this._ratio,
      left: corner.x,
      top: corner.y,
      width: this._container.width,
      height: this._container.height,
    });
  },
});
