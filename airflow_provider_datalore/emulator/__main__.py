"""The command ``datalore-emulator``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from .options import parse


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a folder of notebooks until SIGINT or SIGTERM."""
    settings, options = parse(arguments)
    # After its shutdown, uvicorn raises the signal that stopped it again. It must then mean a clean exit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    # Takes a second, which help and mistakes in the options need not wait for.
    from .server import serve

    serve(settings, options)


if __name__ == "__main__":
    main()
