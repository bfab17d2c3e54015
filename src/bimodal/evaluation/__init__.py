"""Protocols and reports: how good is a model, and how sure are we."""
