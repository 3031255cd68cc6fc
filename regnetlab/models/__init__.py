"""How a configuration becomes a module, and what its layers cost."""
