"""Recognises the emotion expressed in speech from both what is heard and what is said."""
