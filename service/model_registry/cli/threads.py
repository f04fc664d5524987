"""The threads behind `asyncio.to_thread`, which the end of the loop does not wait for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class AbandonedThreads(ThreadPoolExecutor):
    """As asyncio's own, but the loop's end does not wait for work that goes on: it would for as long as that takes."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="registry")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 (theirs)
        """Begin nothing more."""
        super().shutdown(wait=False, cancel_futures=True)
