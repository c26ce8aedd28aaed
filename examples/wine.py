"""Replace a model safely, and go back: the whole job in one script.

Run it with `python examples/wine.py`. It keeps its registry in the folder `wine-registry`.
"""

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import detent

X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, random_state=42, stratify=y
)
registry = detent.connect("wine-registry")

# 1. Train two versions, and keep each with where it came from.
for n_estimators, max_depth in ((100, 4), (200, 6)):
    with registry.recording("wine", sample=X_train.head(20), data=X_train) as recording:
        forest = RandomForestClassifier(n_estimators, max_depth=max_depth, random_state=42)
        recording.model = forest.fit(X_train, y_train)
    print("registered", recording.version)

# 2. Evaluate both on the same rows.
for version in ("wine/1", "wine/2"):
    evaluation = registry.evaluate(version, X_test, y_test, dataset="wine-test")
    print(version, "accuracy", evaluation["accuracy"].value, "on", evaluation.n_rows, "rows")

# 3. Activate the first, then the second if its accuracy is at least as good.
registry.activate("wine/1", "production", reason="the first one")
registry.set_policy(
    "wine@production", {"rule": [{"name": "at_least_as_good", "metric": "accuracy"}]}
)
try:
    registry.activate("wine/2", "production", reason="at least as accurate on 54 rows")
except detent.RefusedError as refused:
    print(refused)
comparison = registry.compare("wine/1", "wine/2")
print(comparison.n_changed, "of", comparison.n_rows, "rows are answered differently")
accuracy = comparison["accuracy"]
print("seen with a margin of one point:", accuracy.verdict, "- rows needed:", accuracy.rows_needed)

# 4. The new one fails in production: go back, and predict with what is active.
registry.rollback("wine@production", reason="the new version failed in production")
model = registry.load("wine@production")
print("active:", registry.version("wine@production"), "accuracy", model.score(X_test, y_test))

# 5. Say what was active when, who changed it, and why.
for entry in registry.history("wine@production"):
    print(f"{entry.at:%Y-%m-%d %H:%M:%S}", entry)
