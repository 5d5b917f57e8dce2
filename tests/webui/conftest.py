"""The fixtures of the whole application: pages are tested where users meet them."""

from tests.isocenter.conftest import services, store, web

__all__ = ["services", "store", "web"]
