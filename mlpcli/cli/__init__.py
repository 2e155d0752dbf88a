"""The command line: Typer alone. A verb parses, calls one workflow and gives the document of its result."""
