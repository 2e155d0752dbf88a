"""One function per verb: no Typer, no rich; each returns a result. Here data, network and files meet."""
