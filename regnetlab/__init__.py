"""regnetlab: explore spaces of convolutional networks, not single networks.

The packages, each importing only what stands to its left:
``spaces`` → ``models`` → ``training`` → ``study`` → ``analysis`` → ``report``, with ``cli`` on top.
"""

__version__ = "0.1.0"
