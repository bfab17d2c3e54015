"""Results for people and programs: formats, result folder, console, plot."""
