"""Plans redrawn: what each edit does to grids and cells, and the rules that the result keeps."""
