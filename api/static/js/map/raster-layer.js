// A tile base map that the operator configured; tiles in GCJ-02 are moved to meet the city's own lines.

import { toGcj02 } from "./datum.js";

const ShiftedTiles = L.TileLayer.extend({
  _shift(center, zoom) {
    const [lon, lat] = toGcj02(center.lng, center.lat);
    return this._map.project([lat, lon], zoom).subtract(this._map.project(center, zoom)).round();
  },

  _getTiledPixelBounds(center) {
    const bounds = L.TileLayer.prototype._getTiledPixelBounds.call(this, center);
    const shift = this._shift(center, this._tileZoom);
    return L.bounds(bounds.min.add(shift), bounds.max.add(shift));
  },

  _getTilePos(coords) {
    const shift = this._shift(this._map.getCenter(), this._tileZoom);
    return L.TileLayer.prototype._getTilePos.call(this, coords).subtract(shift);
  },
});

class RasterLayer {
  constructor(map, options) {
    this.map = map;
    this.options = options;
    const Tiles = options.datum === "GCJ02" ? ShiftedTiles : L.TileLayer;
    this.layer = new Tiles(options.tiles, { pane: "raster", maxZoom: 20, attribution: "" });
  }

  show() {
    this.layer.addTo(this.map);
    return this;
  }

  hide() {
    this.layer.remove();
  }
}

export function rasterLayer(map, options) {
  return new RasterLayer(map, options);
}
