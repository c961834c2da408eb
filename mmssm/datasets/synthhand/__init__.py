"""The synthetic hands: poses, scenes, pictures, files."""
