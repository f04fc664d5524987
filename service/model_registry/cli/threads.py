"""The threads of `asyncio.to_thread`, which do not delay the end of the loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class AbandonedThreads(ThreadPoolExecutor):
    """Like asyncio's own executor, but the end of the loop does not wait for running work, however long it takes."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="registry")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 (theirs)
        """Start no further work."""
        super().shutdown(wait=False, cancel_futures=True)
