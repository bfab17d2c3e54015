"""Losses: focal, the two readings of the affinity loss, what they are compared with, and their joint sum."""
