"""orstats: what OpenRouter generations cost, took and said, as a pandas DataFrame."""
