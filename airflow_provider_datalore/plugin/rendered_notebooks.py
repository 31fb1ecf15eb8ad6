"""Notebooks and their comparisons as HTML pages: each is rendered once, in a process of its own, for all who ask."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Hashable, Sequence

from airflow_provider_datalore import settings
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.notebooks import limited
from airflow_provider_datalore.plugin.cache import BoundedCache
from airflow_provider_datalore.plugin.limits import MAX_QUEUED, Bulkhead
from airflow_provider_datalore.plugin.render import EXIT_PAGE_TOO_LARGE, HOW_TO_INSTALL

RENDER_TIMEOUT = settings.RENDERING_TIMEOUT
"""Time limit for rendering a notebook, in seconds."""
MAX_CONCURRENT_RENDERINGS = 3
"""Maximum number of concurrent renderings: two for each user and notebook. Each is a process of up to 2 GiB."""
RENDER_QUEUE_TIMEOUT = 15.0
"""Seconds that a page waits for a slot, at most."""
RENDER_PROGRAM = ("-m", "airflow_provider_datalore.plugin.render")
"""Arguments of Python that run the renderer."""
COMPARISON_PROGRAM = ("-m", "airflow_provider_datalore.plugin.render_comparison")
"""Arguments of Python that run the renderer of comparisons."""
PAGE_TTL = 600.0
"""Seconds for which a page, or the reason why there is none, is cached."""

_pages: BoundedCache[bytes] = BoundedCache(64 * 1024 * 1024, len)
_unrenderable: BoundedCache[str] = BoundedCache(1000)
_rendering_limit = Bulkhead(MAX_CONCURRENT_RENDERINGS, MAX_QUEUED, RENDER_QUEUE_TIMEOUT)


class NotDisplayableError(DataloreError):
    """The notebook cannot be rendered as a page; the message says why."""


def notebook_page(
    key: Hashable, theme: str, read: Callable[[], bytes], holders: Sequence[Hashable], *, has_failed: bool
) -> bytes:
    """An executed notebook as a page, compressed with gzip.

    :param key: identifies the notebook, whatever the theme.
    :param theme: ``"light"`` or ``"dark"``.
    :param read: reads the notebook.
    :param holders: the user and the notebook, which both get a part of the slots only.
    :param has_failed: whether its run failed.
    :raises NotDisplayableError: if it is too large or not a notebook.
    """
    return _page(key, theme, [*RENDER_PROGRAM, theme, *(["failed"] if has_failed else [])], read, holders)


def comparison_page(key: Hashable, theme: str, read: Callable[[], bytes], holders: Sequence[Hashable]) -> bytes:
    """The comparison of two executed notebooks as a page; otherwise as :func:`notebook_page`.

    :param read: reads both notebooks, packed.
    """
    return _page(key, theme, [*COMPARISON_PROGRAM, theme], read, holders)


def _page(
    key: Hashable, theme: str, program: Sequence[str], read: Callable[[], bytes], holders: Sequence[Hashable]
) -> bytes:
    page = _cached(key, theme)
    if page is not None:
        return page
    # Without the theme: a notebook that is slow in one is slow in the other.
    # All who wait for the same page share one rendering.
    with _rendering_limit.slot(*holders, alone=key):
        # The previous owner of the slot may have rendered the same page.
        page = _cached(key, theme)
        if page is not None:
            return page
        try:
            page = _render(program, read())
        except NotDisplayableError as error:
            _unrenderable.put(key, str(error), PAGE_TTL)
            raise
        _pages.put((key, theme), page, PAGE_TTL)
        return page


def _cached(key: Hashable, theme: str) -> bytes | None:
    """The page from the cache.

    :raises NotDisplayableError: if an earlier attempt to render it failed.
    """
    problem = _unrenderable.get(key)
    if problem is not None:
        raise NotDisplayableError(problem)
    return _pages.get((key, theme))


def _render(program: Sequence[str], content: bytes) -> bytes:
    """Run a program that renders a page, such as :mod:`.render`."""
    try:
        done = limited.run(program, content, RENDER_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise NotDisplayableError(
            f"Rendering the notebook takes longer than {RENDER_TIMEOUT:.0f} s. Download it, or open it in Datalore."
        ) from None
    if done.returncode == EXIT_PAGE_TOO_LARGE:
        raise NotDisplayableError("The rendered notebook is too large to be displayed here. Download it instead.")
    if done.returncode != 0:
        last = limited.last_line(done)
        if "nbconvert" in last and "ModuleNotFoundError" in last:
            raise NotDisplayableError(f"nbconvert is required to display notebooks. Run {HOW_TO_INSTALL}.")
        reason = last[:300].rstrip(".")
        raise NotDisplayableError(f"The file cannot be read as a notebook. {reason}. Download it to inspect it.")
    return done.stdout
