"""Write training_expected.h: fits of scikit-learn for the rows that test_training.c makes for itself.
usage: make_training_expected.py > training_expected.h   (needs scikit-learn)"""
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier

# name, link, rows, width, outputs, C, balanced class weights, seed
SETS = [("four", 0, 240, 9, 4, 1.0, False, 1), ("two", 1, 150, 12, 1, 0.3, False, 2), ("balanced", 0, 310, 6, 3, 20.0, True, 3),
        ("labels", 1, 200, 7, 5, 2.0, False, 4), ("ridge", 2, 120, 10, 1, 0.5, False, 5)]


class Numbers:
    """The generator of test_training.c."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return float(np.float32((self.state >> 40) / 2 ** 23 - 1))


def make(link, n, width, k, seed):
    numbers = Numbers(seed)
    a = [[numbers.next() * 3 for _ in range(width)] for _ in range(k)]
    x, y = [], []
    for _ in range(n):
        row = [numbers.next() + (0.5 if j == 0 else 0) for j in range(width)]
        z = []
        for c in range(k):
            s = numbers.next() * 2 - (1.0 if c == 1 else 0)
            for j in range(width):
                s += a[c][j] * row[j]
            z.append(s)
        x.append(row)
        y.append(z.index(max(z)) if link == 0 else [float(v > 0) for v in z] if link == 1 else [float(np.float32(v)) for v in z])
    return np.float32(x).astype(float), np.array(y)


print("/* Made by make_training_expected.py with scikit-learn: do not edit. */")
print("static const Expected expected[] = {")
for name, link, n, width, k, C, balanced, seed in SETS:
    x, y = make(link, n, width, k, seed)
    if link == 2:
        model = Ridge(alpha=1 / C).fit(x, y[:, 0])
        scores = model.predict(x[:3])[:, None]
        coefficients, intercepts = model.coef_[None], np.array([model.intercept_])
    else:
        base = LogisticRegression(C=C, solver="lbfgs", tol=1e-10, max_iter=10000, class_weight="balanced" if balanced else None)
        model = (OneVsRestClassifier(base) if k > 1 and link == 1 else base).fit(x, y if k > 1 else y[:, 0])
        parts = model.estimators_ if k > 1 and link == 1 else [model]
        coefficients = np.concatenate([m.coef_ for m in parts])
        intercepts = np.concatenate([m.intercept_ for m in parts])
        scores = model.predict_proba(x[:3])
        scores = scores[:, 1:] if k == 1 else scores
    numbers = lambda values: "{" + ", ".join("%.7g" % v for v in values) + "}"
    print('\t{"%s", %d, %d, %d, %d, %g, %d, %d,\n\t\t%s,\n\t\t%s,\n\t\t%s},' % (name, link, n, width, k, C, balanced, seed,
          numbers(coefficients.ravel()), numbers(intercepts), numbers(scores.ravel())))
print("};")
