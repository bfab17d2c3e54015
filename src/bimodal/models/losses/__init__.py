"""Losses: focal, and the two readings of the affinity loss."""
