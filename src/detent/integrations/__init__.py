"""Engines and platforms of others, with detent inside: Ray, KServe."""
