"""The forest's mean is scikit-learn's own."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from archlab.latency.trees import forest_mean


def test_it_is_what_the_forest_predicts() -> None:
    rng = np.random.default_rng(0)
    table, asked = rng.standard_normal((40, 5)), rng.standard_normal((7, 5))
    forest = ExtraTreesRegressor(30, random_state=0).fit(table, table @ np.arange(5.0))
    assert (forest_mean(forest, asked) == forest.predict(asked)).all()
