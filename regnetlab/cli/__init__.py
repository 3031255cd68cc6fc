"""The command line: commands parse, call and print; what they call is elsewhere.

``app`` has the entry point and prints errors; the other files are called as the commands or questions that
they hold. What commands share is in ``options`` and ``output``.
"""

from regnetlab.cli.app import main

__all__ = ["main"]
