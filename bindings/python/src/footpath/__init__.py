"""Footpath: real-time user-behaviour analytics.

    import footpath

    client = footpath.Client("http://127.0.0.1:7400", key="...", project="demo", queue_folder="/var/lib/app/footpath")
    client.track("checkout_started", {"amount": footpath.money("12.50", "EUR"), "items": 3}, user="u-17")

No call raises or waits for a disk or a network, unless it says so. See docs/sdk-python.md.
"""

from ._client import Client, Receipt, Stats, Tracked
from ._encode import Money, money
from ._core import ClientError, Consent, FlushResult, Pause, Problem
from ._core import Receipt as ReceiptState

__all__ = [
    "Client",
    "ClientError",
    "Consent",
    "FlushResult",
    "Money",
    "Pause",
    "Problem",
    "Receipt",
    "ReceiptState",
    "Stats",
    "Tracked",
    "money",
]
