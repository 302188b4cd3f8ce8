"""The outer doors: web routes, pages and the command line. Nobody imports this package."""
