"""scikit-learn's estimators around a model: `MLPClassifier` and `MLPRegressor`, for pipelines and searches.

Parameters with the names of scikit-learn's own perceptrons have the same meaning. Data frames may hold texts, dates and
missing cells. docs/python.md has examples.
"""

from mlpcli.estimators.perceptrons import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
