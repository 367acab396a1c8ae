"""The command `cdp-bridge-sandbox`: starts the twins and prints their addresses."""

import asyncio

import click


@click.group()
def main() -> None:
    """Strict local twins of the vendors' APIs."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--meta-port", default=0, help="Port of the Meta twin; 0 lets the system choose.")
@click.option("--tiktok-port", default=0, help="Port of the TikTok twin; 0 lets the system choose.")
@click.option("--google-port", default=0, help="Port of the Google twin; 0 lets the system choose.")
@click.option("--segment-port", default=0, help="Port of the Segment twin; 0 lets the system choose.")
@click.option("--people", default=50_000, show_default=True, type=click.IntRange(min=0), help="Size of the population.")
@click.option("--seed", default=1, show_default=True, help="Another seed makes other people.")
@click.option("--warehouse", help="Warehouse to fill for Segment Profiles Sync: duckdb:///FILE or postgresql://...")
def serve(host: str, people: int, seed: int, warehouse: str | None, **ports: int) -> None:
    """Run all twins until SIGTERM or SIGINT; one JSON line on stdout says where they are."""
    import duckdb
    import psycopg

    from sandbox.server import Options, run

    by_twin = {name.removesuffix("_port"): port for name, port in ports.items()}
    options = Options(host, by_twin, people, seed, warehouse)
    try:
        asyncio.run(run(options))
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error}. Choose another --host or port.") from error
    except (ValueError, duckdb.Error, psycopg.Error) as error:
        raise click.ClickException(f"cannot fill the warehouse: {error}. Check --warehouse.") from error


if __name__ == "__main__":
    main()
