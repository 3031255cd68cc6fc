"""The command line: commands parse, call and print; what they call is elsewhere.

``app`` has the entry point and the errors, one file each the commands of the spaces, the models, the
studies and the results.
"""

from regnetlab.cli.app import main

__all__ = ["main"]
