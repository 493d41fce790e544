"""The version, written here: a zipapp or a copied folder has no package metadata to ask."""

__version__ = "0.2.0"
