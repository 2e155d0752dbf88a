"""The run folder: what is in it, who writes it, and what an interrupted training resumes from."""
