"""The three stages and the one training loop."""
