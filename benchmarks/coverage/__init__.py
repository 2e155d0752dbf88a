"""How often intervals hold the true score, and how often equal models are called different: simulations."""
