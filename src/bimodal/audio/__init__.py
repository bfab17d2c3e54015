"""Recordings: decode, find, cut at pauses."""
