"""Label your own recordings with a model in the loop: clips, raters' files, order, head, curve, model folder."""
