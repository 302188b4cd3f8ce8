"""The subject itself: the dated net of grids, its database and its geometry."""
