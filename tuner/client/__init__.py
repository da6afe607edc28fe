"""A server of Thaw, from Python: `Client(url, token)`. Knows nothing of what runs there but its API."""

from tuner.client.client import Client

__all__ = ["Client"]
