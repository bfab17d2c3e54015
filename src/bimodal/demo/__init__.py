"""The spoken synthetic corpus, and the run from corpus to recognition."""
