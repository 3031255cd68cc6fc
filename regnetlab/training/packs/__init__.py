"""Packs: images that were decoded once into files which every process maps, whatever the memory."""
