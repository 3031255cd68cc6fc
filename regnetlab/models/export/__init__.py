"""A network in the words of others: torchvision, timm, pycls, PyTorch alone, ONNX; one file a format.

A format is written from the network's sizes where the other side can build exactly that network, and refused
with the reason where it can't. ``formats`` lists them; torch is loaded only by those that need it.
"""
