"""Folders of trained networks: judged, written with everything that using them takes, and read again."""
