"""How a model earns a score: data in memory, a budget, a recipe, one linear training loop."""
