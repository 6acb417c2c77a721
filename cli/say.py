"""Says a line, or why a command cannot do as it is told, without loading click where that can be done."""

import sys


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Prints a text at once, on standard error with `err`."""
    if "\x1b" in text:  # colours, which click leaves out where there is no terminal
        import click

        click.echo(text + end, err=err, nl=False)
        return
    stream = sys.stderr if err else sys.stdout
    stream.write(text + end)
    stream.flush()


def usage_error(text: str) -> Exception:
    """What to raise where a command is used wrongly: exit code 2, and how it is used is said, too."""
    import click

    return click.UsageError(text)


def failure(text: str, code: int = 1) -> Exception:
    """What to raise where a command cannot go on, and is to end with an exit code."""
    import click

    class Failure(click.ClickException):
        exit_code = code

    return Failure(text)
