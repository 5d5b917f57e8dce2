"""The fixtures of the whole application: pages are tested where users meet them."""

from tests.end_to_end.conftest import samples
from tests.isocenter.conftest import services, store, web

__all__ = ["samples", "services", "store", "web"]
