"""Folium frames: pages that show the net and hold no data."""
