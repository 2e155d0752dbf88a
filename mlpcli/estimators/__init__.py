"""scikit-learn's estimators around a model: `MLPClassifier` and `MLPRegressor`, for pipelines and searches.

Parameters that scikit-learn's own perceptrons have mean what they mean there. Data frames may hold texts, dates and
missing cells. docs/python.md has examples.
"""

from mlpcli.estimators.perceptrons import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
