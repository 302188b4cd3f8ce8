// A canvas that moves and zooms with the map; what is drawn on it is a function of the caller's.

export const CanvasSheet = L.Renderer.extend({
  options: { padding: 0.12, paint: null },

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
    const [width, height] = [Math.round(size.x * ratio), Math.round(size.y * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      canvas.style.width = `${size.x}px`;
      canvas.style.height = `${size.y}px`;
    }
    this._ratio = ratio;
    this.repaint();
  },

  repaint() {
    if (!this._map || !this._context || !this._bounds) return;
    const context = this._context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this._container.width, this._container.height);
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
