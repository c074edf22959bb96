"""The `reknit` command. Every command module registers itself; heavy imports stay inside commands."""

import signal
import sys

import click

from api.cli import demo, documents, local, operate, serve
from api.cli.exits import exit_code, shown

EXITS = """\b
Exit codes:
  0  done
  1  an internal step failed            5  no usable answer from the model
  2  wrong usage, plan not valid        6  no such record or file
  3  plan and file do not fit, or       10 the run waits for a decision
     somebody else was faster           11 the run failed by its policy
  4  a file cannot be read as a table
"""


@click.group(epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reknit", message="reknit %(version)s")
def root() -> None:
    """Import customers' files by a plan, and heal the plan when the files change."""


for module in (local, documents, demo, serve, operate):
    module.register(root)


def main() -> None:
    """Run the command; known errors become one message and a documented exit code."""
    # As an exception, so that what is half written goes away; a server sets its own handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        root.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("reknit: interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        if (code := exit_code(error)) is None:
            raise
        click.echo(f"reknit: {shown(error)}", err=True)
        sys.exit(code)
