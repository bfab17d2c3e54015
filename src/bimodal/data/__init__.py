"""Manifests, labels, splits, batches, corpora."""
