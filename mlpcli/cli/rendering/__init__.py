"""Renderers of documents (terminal, Markdown, HTML, JSON), charts, and the two output streams."""
