"""What draws a document: lines of a terminal, Markdown, HTML, JSON; charts; the two streams."""
