"""The README in packages: without the picture and the links, whose targets are in the repository only."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n\n?", re.MULTILINE)
_RELATIVE_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")


def packaged(readme: str) -> str:
    """Return the README with plain text in the place of what would not open."""
    return _RELATIVE_LINK.sub(r"\1", _PICTURE.sub("", readme))


class Description(MetadataHookInterface):
    """The description that a package index shows."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add it to the metadata."""
        text = packaged((Path(self.root) / "README.md").read_text("utf-8"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class SourceReadme(BuildHookInterface[Any]):
    """README.md of the source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - Hatch calls it so
        """Add the file."""
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name) / "README.md"
        file.write_text(packaged((Path(self.root) / "README.md").read_text("utf-8")), "utf-8", newline="\n")
        build_data["force_include"][str(file)] = "README.md"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - as above
        """Delete the temporary file."""
        self._folder.cleanup()
