"""Recognition: model folder, model, recognizer, streams, timelines. Imports no torch."""
