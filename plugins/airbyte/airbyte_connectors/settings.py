"""Settings: which Airbyte connector is run, and with which config."""

from typing import Annotated, Any

from cdp_bridge.sdk import Secret, option
from msgspec import Meta, Struct

Config = Annotated[
    dict[str, Any],
    option("Config", "The connector's own config, without its secrets; its documentation says what it takes"),
]
Secrets = Annotated[
    dict[str, Secret],
    option(
        "Secrets",
        "The secrets of the config: dotted path in it, and where the value is kept",
        examples=[{"credentials.client_secret": "env:CLIENT_SECRET"}],
    ),
]
Patience = Annotated[
    int, option("Patience", "Seconds without a word after which the connector counts as stuck", ge=1, le=86_400)
]


class Executable(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, tag="executable"):
    """A program that speaks the Airbyte protocol."""

    command: Annotated[
        str,
        option(
            "Command",
            "Its path, or a name on PATH",
            local="program",
            min_length=1,
            examples=["/opt/source-faker/bin/source-faker"],
        ),
    ]
    arguments: Annotated[
        tuple[str, ...], option("Arguments", "What comes before spec, check, read and so on", local="program")
    ] = ()


class Manifest(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, tag="manifest"):
    """A low-code source: a manifest that airbyte-cdk runs, in an environment of its own."""

    path: Annotated[str, option("Manifest", "Path of the manifest.yaml", local="path", min_length=1)]
    runner: Annotated[
        str,
        option(
            "Runner",
            "The program of that name in airbyte-cdk's environment: its path, or a name on PATH",
            local="program",
        ),
    ] = "source-declarative-manifest"


class Image(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True, tag="image"):
    """An image of a connector, which this machine's container engine has."""

    image: Annotated[str, option("Image", "Its name, best by digest", local="image", min_length=1)]


class Members(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Where people and their segments are found."""

    stream: Annotated[str, option("Stream", "Each of its records is a person", min_length=1)]
    segment_field: Annotated[
        str | None,
        option("Segment field", "Names the segment, or lists the segments; without it all are in the one asked for"),
    ] = None


Hosts = Annotated[
    tuple[Annotated[str, Meta(extra_json_schema={"format": "hostname"})], ...],
    option(
        "Hosts",
        "What an image may reach, besides the URLs in its config: a host, or scheme://host:port where it is not HTTPS",
        examples=[["api.example.com", "postgresql://db.example.com:5432"]],
    ),
]


class SourceSettings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One source connector of Airbyte's."""

    connector: Annotated[Executable | Manifest | Image, option("Connector", "How it is run")]
    config: Config = {}
    secrets: Secrets = {}
    hosts: Hosts = ()
    members: Annotated[Members | None, option("Members", "Needed to keep an audience equal to a segment")] = None
    patience: Patience = 3_600


class DestinationSettings(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One destination connector of Airbyte's."""

    connector: Annotated[Executable | Image, option("Connector", "How it is run")]
    config: Config = {}
    secrets: Secrets = {}
    hosts: Hosts = ()
    profile: Annotated[
        str, option("Identity profile", "Whose rules normalise and hash the identifiers; `clear`: they stay in clear")
    ] = "generic"
    patience: Patience = 3_600
