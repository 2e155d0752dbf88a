"""The run folder: its files, its lock, and the state from which an interrupted training resumes."""
