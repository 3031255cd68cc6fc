"""Folders of images: looked through (``tree``), surveyed, decoded, kept in a cache, read (``reader``)."""
