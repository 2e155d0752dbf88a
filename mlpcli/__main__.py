"""`python -m mlpcli` is `mlp`."""

import signal


def main() -> None:
    """Run the program; Ctrl-C before its imports are done ends the process without Python's traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mlpcli.cli.main import main as run_program

    run_program()


if __name__ == "__main__":
    main()
