"""The formats: `skops`, `joblib`, `callable`, `files`; others through entry points."""
