"""Answer questions about a frame: reports, exports. Knows neither HTTP nor the archive."""
