"""How good is a model, and how sure are we: all systems side by side, with intervals; without torch."""
