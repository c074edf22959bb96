"""`reknit serve`: the API and, unless told otherwise, a worker in one process."""

import os

import click


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True)
@click.option("--worker/--no-worker", default=True, show_default=True, help="Also work on runs.")
@click.option(
    "--share-port", is_flag=True, help="Let the next process listen before this one ends."
)
def serve(host: str, port: int, worker: bool, share_port: bool) -> None:
    """Serve the API; health and metrics stand on a port of their own (REKNIT_METRICS_PORT)."""
    from api import logs, server
    from engine import failpoints
    from engine.settings import from_environment

    failpoints.arm(os.environ.get("FAILPOINT", ""))
    # Signed URLs and links point at this very server unless a public address is set.
    settings = from_environment({"REKNIT_PUBLIC_URL": f"http://{host}:{port}", **os.environ})
    logs.configure(settings.log_level, known=settings.confidential)
    server.serve(settings, host=host, port=port, worker=worker, share_port=share_port)


def register(root: click.Group) -> None:
    """Add the command of this module."""
    root.add_command(serve)
