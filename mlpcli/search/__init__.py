"""The mechanics of `mlp search`: the search space, the Optuna study and its journal, and processes that run trials."""
