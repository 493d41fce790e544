"""Answer questions about a frame: reports, plots, files, the page. Knows neither HTTP nor the archive."""
