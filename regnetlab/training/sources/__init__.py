"""Where images come from: folders of images, and published data sets in the layouts they are found in.

Each file knows one format and nothing of validation splits or checksums (``training/datasets.py``).
Nothing here unpickles: a file that would need it is refused.
"""
