"""Search of settings: inner folds choose, outer folds are reported (`bimodal search`)."""
