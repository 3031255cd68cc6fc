"""What may be drawn: configurations, the constraints that narrow them, and the sampler.

NumPy only: nothing here may import torch, so that sampling starts at once.
"""
