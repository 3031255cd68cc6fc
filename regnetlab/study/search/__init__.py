"""Searches inside a space with Optuna's samplers.

A search proposes networks one after another and learns from their errors, so what it trains is no random
sample of its space. Its trainings lie in the study's store like all others, where no population asks for
them; its own store keeps which proposal each was (``store``).
"""
